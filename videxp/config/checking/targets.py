"""A `_target_` as text: what it takes, or why it may not be built. Nothing is imported where source can be read."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from videxp.config.gate import refusal, refusal_of_name, resolve
from videxp.config.problems import Problem, suggestion
from videxp.core import signatures
from videxp.core.errors import BadRequest
from videxp.core.signatures import UNREADABLE, Parameter, Signature, Source


@dataclass(frozen=True)
class Target:
    """Either a signature or a problem; neither if it may be built but does not tell what it takes."""

    signature: Signature | None = None
    problem: Problem | None = None


def read_target(target: Any, *, key: str) -> Target:
    """Decide by the text of a target's source; import it only if there is no readable source."""
    if not isinstance(target, str) or target == "???":
        return Target(problem=Problem(key, target, "missing; write the dotted name of a class"))
    if reason := refusal_of_name(target):
        return Target(problem=Problem(key, target, reason))
    found = signatures.signature(target)
    if found is None and (missing := _missing_name(target)):
        return Target(problem=Problem(key, target, missing))
    if found is None or found.kind == "value":
        return _read_by_importing(target, key=key)
    reason = refusal(module=found.module, qualname=found.qualname, lineage=found.lineage, kind=found.kind)
    return Target(problem=Problem(key, target, reason)) if reason else Target(found)


def targets_in(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(full key, target) of each `_target_` in a plain value."""
    if isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else str(key)
            if key == "_target_":
                yield inner, item
            else:
                yield from targets_in(item, inner)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from targets_in(item, f"{path}[{position}]")


def _missing_name(target: str) -> str:
    """Why the name cannot exist; "" if only running the code can tell (a C extension, a module's __getattr__)."""
    parts = target.split(".")
    for position in range(1, len(parts)):
        outer = signatures.locate(".".join(parts[:position]))
        if outer is None:
            return ""
        if not isinstance(outer, Source):
            return f"is inside {'.'.join(parts[:position])}, neither a class nor a function of a module"
        if signatures.locate(".".join(parts[: position + 1])) is None:
            spec = signatures.find_spec(".".join(parts[: position + 1]))
            dynamic = "__getattr__" in outer.bindings or outer.stars
            if spec is not None or dynamic:
                return ""
            name = parts[position]
            known = [other for other in signatures.names_in(outer) if not other.startswith("_")]
            return f"{outer.name} has no {name}; {suggestion(name, known, prefix=outer.name + '.', limit=4)}"
    return "is a module, neither a class nor a function"


def _read_by_importing(target: str, *, key: str) -> Target:
    try:
        found = resolve(target)
    except BadRequest as error:
        return Target(problem=Problem(key, target, str(error).partition(": ")[2]))
    except ImportError as error:
        own = isinstance(error, ModuleNotFoundError) and error.name == target.partition(".")[0]
        remedy = "; PYTHONPATH=FOLDER says where it is" if own else ""
        return Target(problem=Problem(key, target, f"cannot be imported: {error}{remedy}"))
    try:
        taken = inspect.signature(found).parameters.values()
    except (ValueError, TypeError):
        return Target()
    source = Source(found.__module__, False, {}, ())
    named = {
        p.name: Parameter(p.name, None, source, UNREADABLE if p.default is p.empty else p.default, p.default is p.empty)
        for p in taken
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    is_open = any(p.kind == p.VAR_KEYWORD for p in taken)
    return Target(Signature(found.__module__, found.__qualname__, "class", named, is_open))


def accepts_parameter(target: str, name: str) -> bool:
    """Can `target` be given an argument `name`, by itself or through its **kwargs?"""
    found = signatures.signature(target)
    return found is not None and name in found.parameters


def target_of(node: Any) -> str:
    """The `_target_` of a part of a config; "" where it has none."""
    target = node.get("_target_") if isinstance(node, Mapping) else None
    return target if isinstance(target, str) else ""


def signature_of(target: str) -> Signature | None:
    """What a `_target_` takes, by the text of its source; None of "" and of what cannot be read."""
    return signatures.signature(target) if target else None


def class_name(target: str) -> str:
    """videxp.tasks.Restoration -> Restoration."""
    return target.rpartition(".")[2]
