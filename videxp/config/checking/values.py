"""Does a value from YAML fit a parameter's annotation? Answered from the annotation's syntax tree alone.

Annotations that are not understood never complain.
"""

import ast
import math
import re
from collections.abc import Callable
from typing import Any

from videxp.config.problems import show
from videxp.core.signatures import UNREADABLE, Definition, Parameter, Source, last_name, literal, lookup_expression

LISTS = frozenset(
    {"Sequence", "MutableSequence", "Iterable", "Collection"} | {"list", "List", "tuple", "Tuple", "set", "Set"}
)
DICTS = frozenset(["dict", "Dict", "Mapping", "MutableMapping", "OrderedDict"])
WRAPPERS = frozenset(["Final", "ClassVar", "Required", "NotRequired", "InitVar"])
ANYTHING = "?"  # the answer for an annotation that says nothing that can be checked

# Ranges of parameters of other people's classes, which declare none: (is it right?, how it reads).
Range = tuple[Callable[[Any], bool], str]
BY_NAME: dict[str, Range] = {
    "lr": (lambda v: v > 0, "> 0"),
    "eps": (lambda v: v > 0, "> 0"),
    "weight_decay": (lambda v: v >= 0, ">= 0"),
    "momentum": (lambda v: 0 <= v < 1, ">= 0 and < 1"),
    "dampening": (lambda v: 0 <= v <= 1, ">= 0 and <= 1"),
    "dropout": (lambda v: 0 <= v <= 1, ">= 0 and <= 1"),
    "decay": (lambda v: 0 <= v <= 1, ">= 0 and <= 1"),
    "max_epochs": (lambda v: v >= 1 or v == -1, ">= 1, or -1 for no limit"),
    "max_steps": (lambda v: v >= 1 or v == -1, ">= 1, or -1 for no limit"),
    "accumulate_grad_batches": (lambda v: v >= 1, ">= 1"),
    "check_val_every_n_epoch": (lambda v: v >= 1, ">= 1"),
    "val_check_interval": (lambda v: v > 0, "> 0"),
    "log_every_n_steps": (lambda v: v >= 0, ">= 0"),
    "gradient_clip_val": (lambda v: v >= 0, ">= 0"),
    "patience": (lambda v: v >= 0, ">= 0"),
    "batch_size": (lambda v: v >= 1, ">= 1"),
    "num_frames": (lambda v: v >= 1, ">= 1"),
    "num_classes": (lambda v: v >= 1, ">= 1"),
    "num_workers": (lambda v: v >= 0, ">= 0"),
}


ONE_NUMBER = {"lr", "weight_decay", "momentum", "dampening"}


def complaint(value: Any, parameter: Parameter) -> str:
    """What is wrong with a value for a parameter, and the remedy; "" if nothing is."""
    node = parameter.annotation
    if value is None and parameter.default is None:
        return ""  # `x: int = None` says int and means `int | None`
    wrong = misfit(value, node, parameter.source) if node is not None else ""
    if wrong and wrong != ANYTHING:
        return _in_words(value, wrong)
    if parameter.name in ONE_NUMBER and isinstance(value, list | dict):
        return "wrong type; takes a number"  # torch says `float | Tensor`, and of a Tensor nothing can be told
    has_a_default = not (parameter.required or parameter.default is UNREADABLE)
    if isinstance(value, float) and math.isinf(value) and (parameter.name in BY_NAME or has_a_default):
        return "out of range; must be finite"
    if parameter.name in BY_NAME and _is_number(value) and not (node is not None and "Annotated" in ast.dump(node)):
        fits, reads = BY_NAME[parameter.name]
        return "" if fits(value) else f"out of range; must be {reads}"
    if parameter.name in BY_NAME and node is None and isinstance(value, str | bool):
        return _in_words(value, "a number")
    return ""


def misfit(value: Any, node: ast.expr, source: Source, *, depth: int = 0) -> str:
    """ "" if the value fits, ANYTHING if that cannot be told, else what was expected: `a whole number`, `> 0`."""
    if depth > 12:
        return ANYTHING
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return _misfit_of_text(value, node.value, source, depth=depth)
        return "" if node.value is None and value is None else "null" if node.value is None else ANYTHING
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(value, [node.left, node.right], source, depth=depth)
    if isinstance(node, ast.Subscript):
        return _misfit_of_generic(value, node, source, depth=depth)
    if isinstance(node, ast.Name | ast.Attribute):
        return _misfit_of_name(value, node, source, depth=depth)
    return ANYTHING


def _misfit_of_text(value: Any, text: str, source: Source, *, depth: int) -> str:
    try:
        return misfit(value, ast.parse(text, mode="eval").body, source, depth=depth + 1)
    except SyntaxError:
        return ANYTHING


def _union(value: Any, members: list[ast.expr], source: Source, *, depth: int) -> str:
    answers = [misfit(value, member, source, depth=depth + 1) for member in members]
    if "" in answers or ANYTHING in answers:
        return "" if "" in answers else ANYTHING
    wanted = list(dict.fromkeys(answer for answer in answers if answer != "null"))
    plain = [answer for answer in wanted if not answer.startswith(_OBJECT)]  # nobody can write a Tensor in YAML
    return " or ".join(plain or wanted) or "null"


def _misfit_of_generic(value: Any, node: ast.Subscript, source: Source, *, depth: int) -> str:
    name = last_name(node.value)
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return "" if value is None else misfit(value, inner[0], source, depth=depth + 1)
    if name == "Union":
        return _union(value, inner, source, depth=depth)
    if name == "Literal":
        allowed = [literal(item, source.bindings) for item in inner]
        if UNREADABLE in allowed or any(type(value) is type(item) and value == item for item in allowed):
            return "" if UNREADABLE not in allowed else ANYTHING
        return ("one of " if len(allowed) > 1 else "") + ", ".join(show(item) for item in allowed)
    if name == "Annotated":
        return misfit(value, inner[0], source, depth=depth + 1) or _out_of_range(value, inner[1:])
    if name in WRAPPERS:
        return misfit(value, inner[0], source, depth=depth + 1)
    if name in LISTS:
        return _misfit_of_list(value, inner, source, fixed=name.lower() == "tuple", depth=depth)
    if name in DICTS:
        if not isinstance(value, dict) or "_target_" in value:
            return "a mapping"
        odd = [
            answer for key in value if (answer := misfit(key, inner[0], source, depth=depth + 1)) not in ("", ANYTHING)
        ]
        if odd:
            return f"a mapping from {odd[0]}"
        answers = [misfit(item, inner[-1], source, depth=depth + 1) for item in value.values()]
        return next((f"a mapping to {answer}" for answer in answers if answer not in ("", ANYTHING)), "")
    return ANYTHING


def _misfit_of_list(value: Any, inner: list[ast.expr], source: Source, *, fixed: bool, depth: int) -> str:
    if not isinstance(value, list):
        return "a list"
    ellipsis = isinstance(inner[-1], ast.Constant) and inner[-1].value is Ellipsis
    if fixed and not ellipsis:
        if len(value) != len(inner):
            return f"a list of {len(inner)}"
        types = inner
    else:
        types = [inner[0]] * len(value)
    answers = [misfit(item, kind, source, depth=depth + 1) for item, kind in zip(value, types)]
    return next((f"a list of {answer}" for answer in answers if answer not in ("", ANYTHING)), "")


def _misfit_of_name(value: Any, node: ast.Name | ast.Attribute, source: Source, *, depth: int) -> str:
    name = last_name(node)
    if isinstance(node, ast.Name) and name in _PLAIN and name not in source.bindings:
        fits, reads = _PLAIN[name]
        return "" if fits(value) else reads
    if name in ("Any", "object"):
        return ANYTHING
    if name in LISTS:
        return "" if isinstance(value, list) else "a list"
    if name in DICTS:
        return "" if isinstance(value, dict) and "_target_" not in value else "a mapping"
    if name in ("Path", "PathLike"):
        return "" if isinstance(value, str) else "a path"
    found = lookup_expression(source, node)
    if not isinstance(found, Definition):
        return ANYTHING
    if isinstance(found.node, ast.ClassDef):
        return _misfit_of_class(value, found.node)
    if isinstance(found.node, ast.expr) and found.node is not node:
        return misfit(value, found.node, found.source, depth=depth + 1)
    return ANYTHING


def _misfit_of_class(value: Any, node: ast.ClassDef) -> str:
    """A number or a text is no instance of a class, unless the class is made of such (Enum, str) or structural."""
    if isinstance(value, dict | list) or value is None:
        return ANYTHING if value is not None else f"{_OBJECT}{node.name}"
    bases = " ".join(ast.unparse(base) for base in node.bases)
    return (
        ANYTHING
        if re.search(r"Enum|Protocol|TypedDict|NamedTuple|\bstr\b|\bint\b|\bfloat\b", bases)
        else f"{_OBJECT}{node.name}"
    )


def _out_of_range(value: Any, marks: list[ast.expr]) -> str:
    """What a value should be by `Annotated[..., Gt(0), Interval(ge=0, le=1)]`; lists are checked item by item."""
    if isinstance(value, list):
        return next((answer for item in value if (answer := _out_of_range(item, marks))), "")
    if not _is_number(value):
        return ""
    limits = [(kind, limit) for mark in marks for kind, limit in _limits(mark)]
    if all(_COMPARE[kind](value, limit) for kind, limit in limits):
        return ""
    return _RANGE + " and ".join(f"{_SYMBOL[kind]} {limit}" for kind, limit in limits)


def _limits(mark: ast.expr) -> list[tuple[str, float]]:
    if not isinstance(mark, ast.Call):
        return []
    name = last_name(mark.func)
    if name == "Interval":
        pairs = [(keyword.arg or "", literal(keyword.value, {})) for keyword in mark.keywords]
    else:
        value = mark.args[0] if mark.args else mark.keywords[0].value if mark.keywords else None
        pairs = [({"MultipleOf": "multiple_of"}.get(name, name.lower()), literal(value, {}))]
    return [(kind, limit) for kind, limit in pairs if kind in _COMPARE and _is_number(limit)]


_OBJECT = "an object of class "
_RANGE = "\0"  # marks an expectation that is about the size of the value, not its type
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda v, limit: v > limit,
    "ge": lambda v, limit: v >= limit,
    "lt": lambda v, limit: v < limit,
    "le": lambda v, limit: v <= limit,
    "multiple_of": lambda v, limit: v % limit == 0,
}
_SYMBOL = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "a multiple of"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_PLAIN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (lambda v: isinstance(v, int) and not isinstance(v, bool), "a whole number"),
    "float": (lambda v: _is_number(v) and not math.isnan(v), "a number"),
    "bool": (lambda v: isinstance(v, bool), "true or false"),
    "str": (lambda v: isinstance(v, str), "text"),
    "bytes": (lambda v: isinstance(v, bytes), "bytes"),
}


def _in_words(value: Any, expected: str) -> str:
    if _RANGE in expected:
        parts = [part for part in expected.split(" or ") if _RANGE in part]
        return "out of range; must be " + parts[0].partition(_RANGE)[2]
    if isinstance(value, dict) and "_target_" in value:
        return f"wrong type; takes {expected}, not an object"
    if "whole number" in expected and isinstance(value, float) and value.is_integer():
        return f"wrong type; takes {expected}: write {int(value)}"
    if "number" in expected and isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", value, re.I):
        return f"wrong type; takes {expected}, not text: write {value} without quotes"
    kind = "value" if isinstance(value, str) and expected.startswith("one of ") else "type"
    return f"wrong {kind}; takes {expected}"
