"""Everything that is wrong with a config, at once, before anything is built: keys, types, ranges, targets, and fit.

Signatures are read from source text (videxp.core.signatures), so torch is not imported.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from videxp.config.addresses import mixed_addresses
from videxp.config.checking.fitting import check_fit
from videxp.config.checking.fitting_data import check_samples
from videxp.config.checking.metric_names import sweep_problems
from videxp.config.checking.targets import read_target, targets_in
from videxp.config.checking.values import complaint
from videxp.config.checking.wandb_limits import wandb_problems
from videxp.config.composing.words import answer
from videxp.config.environment import named_by_environment, why_unresolved
from videxp.config.problems import NOTHING, SPECIAL_KEYS, Problem, listing, nearest, refuse, suggestion
from videxp.config.reading import read_config
from videxp.config.redaction import redacted
from videxp.core import signatures
from videxp.core.contract import contract_of, contract_trouble
from videxp.core.signatures import Parameter, Signature
from videxp.core.weight_files import TORCHVISIONS, is_name, is_url, unusable

if TYPE_CHECKING:
    from videxp.config.composing.composed import Composed

SCHEMA = "videxp.config.checking.schema"
# Filled in while building: a config that leaves them out misses nothing.
INJECTED = {
    "model": {"num_classes", "num_frames", "size"},
    "task": {"network", "optimizer", "scheduler", "classes", "num_frames", "size", "load_teacher"},
    "logger": {"save_dir"},
}
# Replaced by other keys while composing: no constructor has them.
COMPOSED_AWAY = {"dataset": {"protocol"}}
# What the Trainer gets from elsewhere: setting it here would silently win over the place where people look.
ELSEWHERE = {
    **{key: f"hardware.{key}" for key in ("accelerator", "devices", "num_nodes", "precision", "strategy")},
    **{key: f"a file in conf/{key}" for key in ("logger", "callbacks")},
    "default_root_dir": "hydra.run.dir",
}


# What Lightning's Trainer takes, and what has no effect here, another one than it says, or breaks what videxp promises.
WITHOUT_EFFECT = {
    "overfit_batches": "would draw other batches in each epoch; give a data set of the few videos, dataset=manifest",
    "fast_dev_run": "would leave no run behind; trainer=quick takes two steps of everything",
    "limit_predict_batches": "videxp predict goes over whole videos",
    "barebones": "would log nothing; logger=csv is the least",
    "use_distributed_sampler": "would count some samples twice; videxp's own pads nothing",
    "enable_checkpointing": "would lose the run; callbacks.checkpoint says when one is written",
    "enable_progress_bar": "a run has a bar of its own",
    "enable_model_summary": "a run's first lines say what the network is",
    "plugins": "would replace those that write checkpoints whole",
    "model_registry": "would upload nothing",
    "enable_autolog_hparams": "a logger gets the whole config",
}


def check(composed: "Composed") -> list[Problem]:
    """All problems of a composed config; builds nothing but data-set layouts, which look for their files."""
    around = redacted(OmegaConf.to_container(composed.around, resolve=True))
    wrong = [
        Problem(key, around[key], "wrong type; takes a mapping") for key in around if not isinstance(around[key], dict)
    ]
    if wrong:
        return wrong
    found = [*_check_resuming(composed), *check_config(composed.cfg)]
    found += [*_check_fields(around, "sweep"), *_check_group(around, "launcher")]
    if not any(problem.key.startswith(("task", "sweep")) for problem in found) and "sweep" in around:
        found += sweep_problems(_plain_task(composed.cfg), around["sweep"])
    goes_on = OmegaConf.select(composed.cfg, "run.resume") == "auto" and Path(composed.run_dir, "config.yaml").is_file()
    found += mixed_addresses(composed.cfg)
    if not any(problem.key.startswith("dataset") for problem in found):
        found += check_samples(composed.cfg)
    return [*found, *_check_teacher(composed.cfg), *(() if goes_on else _check_weights(composed.cfg))]


def _plain_task(cfg: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(cfg.task, resolve=False))


def _check_resuming(composed: "Composed") -> Iterator[Problem]:
    """The same command goes on with a run only if it names the same folder each time."""
    if OmegaConf.select(composed.cfg, "run.resume") == "auto" and composed.is_new_each_time:
        yield Problem("run.resume", "auto", "each command makes a new folder; name one: hydra.run.dir=FOLDER")


def _check_teacher(cfg: DictConfig) -> Iterator[Problem]:
    """Asked of what shall train alone: a run is evaluated, and predicts, when its teacher is gone."""
    teacher = OmegaConf.select(cfg, "task.teacher", throw_on_missing=False, throw_on_resolution_failure=False)
    if not isinstance(teacher, str):
        return
    if not (file := Path(teacher, "config.yaml")).is_file():
        yield Problem(
            "task.teacher", teacher, "no run folder: there is no config.yaml in it; give one of this kind of task"
        )
        return
    theirs_cfg = read_config(file)
    refuse([*check_targets(theirs_cfg), *mixed_addresses(theirs_cfg)])
    theirs, ours = (_activation(one) for one in (theirs_cfg, cfg))
    if theirs != ours:
        learned = f"learned by {theirs or 'no labels'}, this task by {ours or 'no labels'}"
        yield Problem("task.teacher", teacher, f"{learned}; another run")


def _activation(cfg: Any) -> str:
    """By which a classifier's logits are read; "" of another task."""
    target = OmegaConf.select(cfg, "task._target_")
    contract = contract_of(target) if isinstance(target, str) else None
    return contract.activation if contract else ""


def _check_weights(cfg: DictConfig) -> Iterator[Problem]:
    """Asked of what begins to train alone, too: a checkpoint holds all that the network began with.

    Of our own networks, whose `weights`, `flow_weights` and so on are files, from the current folder, or URLs.
    """
    pruned = OmegaConf.select(cfg, "pruning.weights", throw_on_resolution_failure=False)
    if isinstance(pruned, str) and (wrong := unusable(pruned, names=())):
        yield Problem("pruning.weights", pruned, wrong)
    for path, target in targets_in(OmegaConf.to_container(cfg, resolve=False), ""):
        if not (path.startswith("model.") and str(target).startswith("videxp.")):
            continue
        for key in OmegaConf.select(cfg, node := path.removesuffix("._target_")):
            full = f"{node}.{key}"
            value = OmegaConf.select(cfg, full, throw_on_missing=False, throw_on_resolution_failure=False)
            is_path = isinstance(value, str) and key.endswith("weights") and not is_url(value) and not is_name(value)
            if is_path and (wrong := unusable(value, names=TORCHVISIONS)):
                yield Problem(full, value, wrong)


def check_config(cfg: DictConfig) -> list[Problem]:
    """The same for a config from any source."""
    try:
        plain = redacted(OmegaConf.to_container(cfg, resolve=True))
    except OmegaConfBaseException as error:
        return [Problem(str(error.full_key or "config"), NOTHING, why_unresolved(error))]
    problems = [*_check_root(plain), *(p for key in ("hardware", "run", "pruning") for p in _check_fields(plain, key))]
    for group in ("dataset", "model", "task", "optimizer", "scheduler", "trainer"):
        problems += _check_group(plain, group)
    problems += _check_contract(plain.get("task"))
    for group in ("callbacks", "logger"):
        problems += _check_collection(plain, group)
    problems = _without_echoes([*problems, *wandb_problems(plain), *named_by_environment(cfg)])
    problems = [_in_our_words(problem, plain) for problem in problems]
    return problems + check_fit(plain, broken={problem.key for problem in problems})


def _check_contract(task: Any) -> Iterator[Problem]:
    target = task.get("_target_") if isinstance(task, dict) else None
    if isinstance(target, str) and (wrong := contract_trouble(target)):
        yield Problem("task._target_", target, wrong)


def _in_our_words(problem: Problem, plain: dict[str, Any]) -> Problem:
    """An unknown key that stands elsewhere, or that other frameworks have, is answered with what it is here."""
    if not problem.message.startswith(("unknown key", "no node with _target_")):
        return problem
    key, value = problem.key, problem.value
    if isinstance(plain.get(key), dict) and len(plain[key]) == 1:  # `train.epochs=3`
        [(name, inner)] = plain[key].items()
        if not any(isinstance(plain.get(near), dict) and name in plain[near] for near in nearest(key, plain)[1:]):
            key, value = f"{key}.{name}", inner
    meant = answer(key, set(_dotted(plain)))
    return Problem(key, _brief(value), f"{problem.message.partition(';')[0]}; {meant}") if meant else problem


def _dotted(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Every full key: `dataset`, `dataset.root`, ..."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """A wrong value that other keys take over by interpolation is one problem: the one nearest to the root."""

    def may_be_echo(problem: Problem) -> bool:
        return problem.value == "???" or problem.message.startswith(("wrong type", "wrong value", "out of range"))

    first: dict[tuple[str, str], Problem] = {}
    for problem in sorted(filter(may_be_echo, problems), key=lambda problem: problem.key.count(".")):
        first.setdefault((problem.key.rpartition(".")[2], repr(problem.value)), problem)
    kept = set(map(id, first.values()))
    return [problem for problem in problems if id(problem) in kept or not may_be_echo(problem)]


def check_targets(cfg: DictConfig) -> list[Problem]:
    """Only that each `_target_`, however deep, may be built."""
    found = targets_in(OmegaConf.to_container(cfg, resolve=False), "")
    return [problem for path, target in found if (problem := read_target(target, key=path).problem)]


def _fields(name: str) -> dict[str, Parameter]:
    found = signatures.signature(f"{SCHEMA}.{name}")
    assert found is not None, name
    return found.parameters


def _check_root(plain: dict[str, Any]) -> Iterator[Problem]:
    known = _fields("Root")
    for key, value in plain.items():
        if key not in known:
            yield Problem(key, _brief(value), f"unknown key; {_suggest_root(str(key), plain, known)}")
    for key, parameter in known.items():
        if key in plain:
            is_part = isinstance(plain[key], dict) and key != "seed"
            if not is_part and (wrong := _value_problem(plain[key], parameter)):
                yield Problem(key, _brief(plain[key]), wrong)
        elif parameter.required:
            yield Problem(key, NOTHING, f"missing; the recipe chooses none: {key}=NAME ({listing(key)})")


def _suggest_root(key: str, plain: dict[str, Any], known: dict[str, Parameter]) -> str:
    if key == "experiments":
        return "a recipe's first line must be `# @package _global_`"
    same = [f"{group}.{key}" for group, node in plain.items() if isinstance(node, dict) and key in node]
    if same and not nearest(key, known):
        return f"did you mean {' or '.join(same)}?"
    return suggestion(key, known, limit=20)


def _check_fields(plain: dict[str, Any], group: str) -> Iterator[Problem]:
    """A node without `_target_`: its keys are the fields of a dataclass of ours."""
    node = plain.get(group)
    if not isinstance(node, dict):
        return
    known = _fields(f"{group.capitalize()}Options")
    for key, value in node.items():
        path = f"{group}.{key}"
        if key not in known:
            yield Problem(path, _brief(value), f"unknown key of {group}; {suggestion(key, known, prefix=f'{group}.')}")
        elif wrong := _value_problem(value, known[key]):
            yield Problem(path, value, wrong)


def check_launcher(plain: dict[str, Any]) -> list[Problem]:
    """A launcher by itself, `{"_target_": ..., "jobs": 4}`."""
    return list(_check_group({"launcher": plain}, "launcher"))


def _check_group(plain: dict[str, Any], group: str) -> Iterator[Problem]:
    node = plain.get(group)
    if not isinstance(node, dict):
        return
    if "_target_" not in node:
        yield Problem(group, NOTHING, f"has no _target_; choose one by {group}=NAME ({listing(group)})")
        return
    for key, place in ELSEWHERE.items() if group == "trainer" else ():
        if key in node:
            yield Problem(f"trainer.{key}", _brief(node[key]), f"set {place} instead")
    for key, why in WITHOUT_EFFECT.items() if group == "trainer" else ():
        if node.get(key) not in (None, 0, False):
            yield Problem(f"trainer.{key}", _brief(node[key]), f"{why}; leave it out")
    yield from _check_node(node, group, injected=INJECTED.get(group, set()))


def _check_collection(plain: dict[str, Any], group: str) -> Iterator[Problem]:
    """callbacks and logger: a name for each node, or null to switch one off."""
    nodes: dict[str, Any] = plain[group] if isinstance(plain.get(group), dict) else {}
    for name, node in nodes.items():
        path = f"{group}.{name}"
        if isinstance(node, dict) and "_target_" in node:
            yield from _check_node(node, path, injected=INJECTED.get(group, set()))
        elif name == "_target_":
            yield Problem(path, node, f"a mapping of names to nodes is wanted: {group}.NAME._target_")
        else:
            known = [n for n, item in nodes.items() if isinstance(item, dict) and "_target_" in item]
            yield Problem(path, _brief(node), f"no node with _target_; {suggestion(name, known, prefix=f'{group}.')}")


def _check_node(
    node: dict[str, Any], path: str, *, injected: set[str] | frozenset[str] = frozenset()
) -> Iterator[Problem]:
    target = read_target(node["_target_"], key=f"{path}._target_")
    if target.problem or target.signature is None:
        if target.problem:
            yield target.problem
        yield from _check_nested({k: v for k, v in node.items() if k != "_target_"}, path)
        return
    taken = target.signature
    for key, value in node.items():
        if key not in SPECIAL_KEYS:
            yield from _check_argument(key, value, taken, target=str(node["_target_"]), path=path)
    for key in ("_partial_", "_recursive_"):
        if not isinstance(node.get(key, False), bool):
            yield Problem(f"{path}.{key}", node[key], "wrong type; takes true or false")
    if node.get("_partial_") is True:
        return  # the rest is given where it is called
    for name, parameter in taken.parameters.items():
        if parameter.required and name not in node and name not in injected:
            yield Problem(f"{path}.{name}", NOTHING, f"missing; {node['_target_']} needs it: +{path}.{name}=VALUE")


def _check_argument(key: Any, value: Any, taken: Signature, *, target: str, path: str) -> Iterator[Problem]:
    known, full = taken.parameters, f"{path}.{key}"
    if key == "_args_":
        yield Problem(full, value, f"arguments must be named; {target} takes {', '.join(list(known)[:6])}")
    elif key in known:
        if wrong := _value_problem(value, known[key]):
            yield Problem(full, _brief(value), wrong)
        else:
            yield from _check_nested(value, full)
    elif not taken.open or nearest(str(key), known, cutoff=0.8):
        shown = {*known, *COMPOSED_AWAY.get(path, set())} - INJECTED.get(path, set())
        yield Problem(full, _brief(value), f"unknown key of {target}; {suggestion(str(key), shown, prefix=f'{path}.')}")
    else:
        yield from _check_nested(value, full)


def _check_nested(value: Any, path: str) -> Iterator[Problem]:
    """Nodes and missing values inside lists and mappings."""
    if value == "???":
        yield Problem(path, "???", f"missing; write {path}=VALUE")
    elif isinstance(value, dict) and "_target_" in value:
        yield from _check_node(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _check_nested(item, f"{path}.{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _check_nested(item, f"{path}[{position}]")


def _value_problem(value: Any, parameter: Parameter) -> str:
    if value == "???":
        return "missing; give it a value"
    if any(True for _ in targets_in(value, "")):
        # What a node builds cannot be told from its text, but it is no number.
        return complaint(value, parameter) if isinstance(value, dict) and "_target_" in value else ""
    if isinstance(value, list | dict) and "???" in str(value):
        return ""
    return complaint(value, parameter)


def _brief(value: Any) -> Any:
    return NOTHING if isinstance(value, dict) else value
