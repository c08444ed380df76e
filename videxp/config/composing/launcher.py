"""A launcher by itself, without a recipe: conf/launcher/NAME.yaml and what is said of it on the command line."""

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from videxp.config.checking.check import check_launcher
from videxp.config.composing.overriding import parse
from videxp.config.places import group_options
from videxp.config.problems import NOTHING, Problem, listing, refuse, suggestion
from videxp.config.reading import read_config


def compose_launcher(words: list[str]) -> DictConfig:
    """`["launcher=local", "launcher.jobs=2"]` -> the checked node. Raises BadRequest with all that is wrong."""
    chosen = [text.partition("=")[2] for text in words if text.startswith("launcher=")]
    if len(chosen) != 1:
        refuse([Problem("launcher", NOTHING, f"choose one by launcher=NAME ({listing('launcher')})")])
    files = {choice.name: choice.path for choice in group_options("launcher")}
    if chosen[0] not in files:
        refuse([Problem("launcher", chosen[0], f"unknown launcher; {suggestion(chosen[0], files)}")])
    node = read_config(files[chosen[0]])
    OmegaConf.set_struct(node, False)
    if "array" in node:
        node.array = True  # parts of one request; `launcher.array=false` asks for a job for each
    problems = [problem for text in words if (problem := _apply(node, text))]
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    refuse([*problems, *check_launcher({str(key): value for key, value in plain.items()})])
    return node


def _apply(node: DictConfig, text: str) -> Problem | None:
    """Sets `launcher.KEY=VALUE`."""
    if text.startswith("launcher="):
        return None
    try:
        override = parse(text)
        key, value = override.get_key_element().removeprefix("launcher."), override.value()
    except HydraException:
        return Problem(text, NOTHING, "is no override; write launcher.KEY=VALUE")
    if key not in node or key == "_target_":
        known = [str(name) for name in node if name != "_target_"]
        return Problem(f"launcher.{key}", value, f"unknown key; {suggestion(key, known)}")
    node[key] = value
    return None
