"""The only place where a config becomes objects."""

import functools
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from videxp.config.checking.targets import accepts_parameter, read_target, targets_in
from videxp.config.gate import resolve
from videxp.config.problems import SPECIAL_KEYS, refuse, show
from videxp.core.errors import BadRequest, VidexpError


def build(node: Any, **injected: Any) -> Any:
    """Build what a node with `_target_` describes, nodes inside it first; lists and dicts are plain ones.

    `injected` values go to the outermost target: each one whose parameter exists there and that the config leaves
    out (`build(cfg.model, num_classes=8)`). A dict or list of nodes is built item by item.

    Raises BadRequest if a target may not be built or refuses its values, VidexpError if it fails otherwise.
    """
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig | ListConfig) else node
    # By the text first, of all targets: nothing is imported, let alone built, if one of them is refused.
    refuse(problem for path, target in targets_in(plain, "") if (problem := read_target(target, key=path).problem))
    return _build(plain, injected, path="")


def _build(node: Any, injected: dict[str, Any], *, path: str) -> Any:
    if isinstance(node, list):
        return [_build(item, injected, path=f"{path}[{i}]") for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if "_target_" not in node:
        return {
            key: _build(value, injected if _is_node(value) else {}, path=f"{path}.{key}") for key, value in node.items()
        }
    target = node["_target_"]
    if "_args_" in node:
        raise BadRequest(f"_target_={target}: _args_ is not supported; give the arguments by name")
    # The object that is called is the one that the gate saw.
    constructor = resolve(target)
    given = {key: value for key, value in node.items() if key not in SPECIAL_KEYS}
    if node.get("_recursive_", True):
        given = {key: _build(value, {}, path=f"{path}.{key}") for key, value in given.items()}
    given |= {key: value for key, value in injected.items() if key not in given and accepts_parameter(target, key)}
    if node.get("_partial_", False):
        return functools.partial(constructor, **given)
    return _call(constructor, given, target=target, path=path)


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "_target_" in value


def _call(constructor: Any, given: dict[str, Any], *, target: str, path: str) -> Any:
    try:
        return constructor(**given)
    except VidexpError:
        raise
    except Exception as error:
        # A refused value is the user's to correct (status 2); anything else failed while running (status 1).
        kind = BadRequest if isinstance(error, TypeError | ValueError | LookupError) else VidexpError
        cause = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{target}{' at ' + path.lstrip('.') if path else ''}: {show_cause(cause)}") from error


def show_cause(text: str) -> str:
    """At most 300 characters of what a library says."""
    return text if len(text) <= 300 else show(text[:57]) + "..." + text[-200:]
