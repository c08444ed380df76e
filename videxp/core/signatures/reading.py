"""Classes and functions as syntax trees: the parameters they take, themselves or through **kwargs."""

import ast
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from videxp.core.signatures.modules import (
    UNREADABLE,
    Definition,
    Function,
    Source,
    has_decorator,
    is_name,
    last_name,
    literal,
    locate,
    lookup_expression,
    statements,
)

# Where a class keeps **kwargs for a later call: what that call takes.
_PASSED_ON_LATER = {
    "pytorch_lightning.callbacks.weight_averaging.WeightAveraging": "torch.optim.swa_utils.AveragedModel",
    "pytorch_lightning.loggers.wandb.WandbLogger": "wandb.init",
    "lightning_fabric.loggers.tensorboard.TensorBoardLogger": "torch.utils.tensorboard.SummaryWriter",
}
_BUILTIN_READERS = frozenset({"len", "sorted", "bool", "list", "set", "str", "repr", "print", "isinstance", "tuple"})


@dataclass(frozen=True)
class Parameter:
    name: str
    annotation: ast.expr | None
    source: Source
    """The module in which the annotation's names mean something."""
    default: Any
    """The literal; UNREADABLE if it is none or if there is no default."""
    required: bool


@dataclass(frozen=True)
class Call:
    """A call with keywords alone, such as `Contract(needs=("label",))`."""

    name: str
    """The last name of what is called; "" for any other expression."""
    arguments: dict[str, Any]
    """The literals; UNREADABLE for those that are none."""


@dataclass(frozen=True)
class Signature:
    """What a target takes, and where it really is."""

    module: str
    qualname: str
    kind: Literal["class", "function", "value"]
    parameters: dict[str, Parameter]
    open: bool
    """It passes **kwargs on to where this reader cannot follow: other names may be right."""
    lineage: tuple[str, ...] = ()
    """Full names of the class and of all its bases that were found."""
    accepts: dict[str, int] | None = None
    """The literals of `@accepts(...)`."""
    constants: dict[str, Any] = field(default_factory=dict)
    """Literals assigned in the class body or in its bases', by name."""
    calls: dict[str, "Call"] = field(default_factory=dict)
    """What else is assigned there, by name."""

    @property
    def full_name(self) -> str:
        return f"{self.module}.{self.qualname}"


# --- classes and functions ---------------------------------------------------------------------------------------


@cache
def signature(dotted: str) -> Signature | None:
    """The signature of a class or function by its dotted name; None if its source cannot be read."""
    found = locate(dotted)
    if not isinstance(found, Definition):
        return None
    if isinstance(found.node, ast.ClassDef):
        return _class_signature(found)
    if isinstance(found.node, Function):
        taken = _function_parameters(found.source, found.node, skip_first=False, owner=None, above=[])
        accepted = _accepts(found.source, found.node)
        return Signature(found.source.name, found.name, "function", taken.named, taken.open, accepts=accepted)
    return Signature(found.source.name, found.name, "value", {}, True)


@dataclass
class _Taken:
    named: dict[str, Parameter]
    open: bool = False
    positional: list[str] = field(default_factory=list)


def lineage(definition: Definition) -> tuple[list[Definition], bool]:
    """The class and its bases in the order in which Python looks methods up; and whether all were found.

    Depth first, keeping the last of repeated ones: C3's order but for hierarchies that nobody writes.
    """
    order: list[Definition] = []
    complete = True

    def visit(current: Definition) -> None:
        nonlocal complete
        order.append(current)
        assert isinstance(current.node, ast.ClassDef)
        for base in current.node.bases:
            found = lookup_expression(current.source, base)
            if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
                visit(found)
            elif last_name(base) not in ("object", "ABC", "Generic", "Protocol", "Enum", "Exception", "NamedTuple"):
                complete = False

    visit(definition)
    kept: dict[str, Definition] = {}
    for item in reversed(order):
        kept.setdefault(item.full_name, item)
    return list(reversed(kept.values())), complete


def _class_signature(found: Definition) -> Signature:
    order, complete = lineage(found)
    taken = _constructor(order)
    constants: dict[str, Any] = {}
    calls: dict[str, Call] = {}
    for item in reversed(order):
        for name, value in _class_values(item).items():
            constants.pop(name, None)
            calls.pop(name, None)
            if isinstance(value, Call):
                calls[name] = value
            else:
                constants[name] = value
    accepted = next((limits for item in order if (limits := _accepts(item.source, item.node))), None)
    return Signature(
        found.source.name,
        found.name,
        "class",
        taken.named,
        taken.open or (not complete and not taken.named),
        tuple(item.full_name for item in order),
        accepted,
        constants,
        calls,
    )


def _constructor(order: list[Definition]) -> _Taken:
    """The parameters of the first class in the order that says how it is made."""
    for position, item in enumerate(order):
        assert isinstance(item.node, ast.ClassDef)
        above = order[position + 1 :]
        for method in ("__init__", "__new__"):
            function = _method(item.node, method)
            if function is not None and (method == "__init__" or _arguments(function)[1:] or function.args.kwarg):
                return _function_parameters(item.source, function, skip_first=True, owner=item, above=above)
        if has_decorator(item.node, "dataclass"):
            return _Taken(_dataclass_fields(order[position:]))
        if any(last_name(base) == "NamedTuple" for base in item.node.bases):
            return _Taken(_fields_of(item))
    return _Taken({})


def _method(node: ast.ClassDef, name: str) -> Function | None:
    found = [s for s in statements(node.body) if isinstance(s, Function) and s.name == name]
    return next((f for f in reversed(found) if not has_decorator(f, "overload")), None)


def _dataclass_fields(order: list[Definition]) -> dict[str, Parameter]:
    fields: dict[str, Parameter] = {}
    for item in reversed(order):
        if isinstance(item.node, ast.ClassDef) and has_decorator(item.node, "dataclass"):
            fields |= _fields_of(item)
    return fields


def _fields_of(item: Definition) -> dict[str, Parameter]:
    fields = {}
    assert isinstance(item.node, ast.ClassDef)
    for statement in item.node.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        outer = statement.annotation.value if isinstance(statement.annotation, ast.Subscript) else statement.annotation
        if last_name(outer) in ("ClassVar", "KW_ONLY"):
            continue
        value, name = statement.value, statement.target.id
        required = value is None
        if isinstance(value, ast.Call) and last_name(value.func) == "field":
            options = {keyword.arg: keyword.value for keyword in value.keywords}
            if literal(options.get("init"), {}) is False:
                continue
            required = not {"default", "default_factory"} & set(options)
            value = options.get("default")
        default = literal(value, item.source.bindings) if value is not None else UNREADABLE
        fields[name] = Parameter(name, statement.annotation, item.source, default, required)
    return fields


def _class_values(item: Definition) -> dict[str, Any]:
    """What a class body assigns: literals, and a `Call` for all else."""
    assert isinstance(item.node, ast.ClassDef)
    values: dict[str, Any] = {}
    for statement in item.node.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        if isinstance(target, ast.Name) and isinstance(statement, ast.Assign | ast.AnnAssign) and value is not None:
            readable = literal(value, item.source.bindings)
            values[target.id] = _call(value, item.source) if readable is UNREADABLE else readable
    return values


def _call(node: ast.expr, source: Source) -> Call:
    if not isinstance(node, ast.Call) or node.args or any(keyword.arg is None for keyword in node.keywords):
        return Call("", {})
    arguments = {str(keyword.arg): literal(keyword.value, source.bindings) for keyword in node.keywords}
    return Call(last_name(node.func), arguments)


def _function_parameters(
    source: Source, function: Function, *, skip_first: bool, owner: Definition | None, above: list[Definition]
) -> _Taken:
    arguments = _arguments(function)[1 if skip_first else 0 :]
    defaults: list[ast.expr | None] = [None] * len(_arguments(function))
    if function.args.defaults:
        defaults[-len(function.args.defaults) :] = function.args.defaults
    pairs = list(zip(arguments, defaults[1 if skip_first else 0 :])) + list(
        zip(function.args.kwonlyargs, function.args.kw_defaults)
    )
    # What may only be given by position cannot come from a config.
    by_position = {argument.arg for argument in function.args.posonlyargs}
    named = {
        argument.arg: Parameter(
            argument.arg,
            argument.annotation,
            source,
            UNREADABLE if default is None else literal(default, source.bindings),
            default is None,
        )
        for argument, default in pairs
        if argument.arg not in by_position
    }
    taken = _Taken(named, positional=[argument.arg for argument in arguments])
    if function.args.kwarg:
        extra = _through_kwargs(source, function, function.args.kwarg.arg, owner=owner, above=above)
        taken.named = extra.named | named
        taken.open = extra.open
    return taken


def _arguments(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def _through_kwargs(
    source: Source, function: Function, kwargs: str, *, owner: Definition | None, above: list[Definition]
) -> _Taken:
    """What `**kwargs` may hold: names that the body takes out of it, and the parameters of what it is passed on to."""
    taken = _Taken({})
    leaks = forwarded = False
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            if is_name(getattr(node.func, "value", None), kwargs):
                method = last_name(node.func)
                if method in ("pop", "get", "setdefault") and node.args:
                    _take_name(taken, source, literal(node.args[0], {}))
                leaks |= method in ("items", "copy")
            elif any(keyword.arg is None and is_name(keyword.value, kwargs) for keyword in node.keywords):
                forwarded = True
                callee = _callee(source, node, owner=owner, above=above)
                bound = {keyword.arg for keyword in node.keywords if keyword.arg}
                if callee is None:
                    taken.open = True
                else:
                    bound |= set(callee.positional[: len(_plain_arguments(node, owner=owner, source=source))])
                    taken.named |= {n: p for n, p in callee.named.items() if n not in bound}
                    taken.open |= callee.open
            elif any(is_name(argument, kwargs) for argument in node.args):
                leaks |= last_name(node.func) not in _BUILTIN_READERS
        elif isinstance(node, ast.Subscript) and is_name(node.value, kwargs):
            _take_name(taken, source, literal(node.slice, {}))
        elif isinstance(node, ast.Compare) and any(is_name(c, kwargs) for c in node.comparators):
            _take_name(taken, source, literal(node.left, {}))
        elif isinstance(node, ast.Assign | ast.Return) and is_name(node.value, kwargs):
            leaks = True
    later = signature(_PASSED_ON_LATER[owner.full_name]) if owner and owner.full_name in _PASSED_ON_LATER else None
    if later is not None:
        taken.named |= {name: replace(parameter, required=False) for name, parameter in later.parameters.items()}
        return taken
    # A helper that edits kwargs on its way to a known callee takes nothing out of our sight.
    taken.open |= leaks and not forwarded
    return taken


def _take_name(taken: _Taken, source: Source, name: Any) -> None:
    if isinstance(name, str):
        taken.named.setdefault(name, Parameter(name, None, source, UNREADABLE, False))


def _callee(source: Source, call: ast.Call, *, owner: Definition | None, above: list[Definition]) -> _Taken | None:
    """The parameters of what is called: `super().__init__`, `Base.__init__`, a class or a function."""
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in ("__init__", "__new__"):
        if isinstance(function.value, ast.Call) and last_name(function.value.func) == "super":
            return _constructor(above)
        base = lookup_expression(source, function.value)
        if isinstance(base, Definition) and isinstance(base.node, ast.ClassDef):
            return _constructor(lineage(base)[0])
        return None
    if is_name(function, "cls") and owner is not None:
        return _constructor([owner, *above])
    found = lookup_expression(source, function)
    if not isinstance(found, Definition):
        return None
    if isinstance(found.node, ast.ClassDef):
        return _constructor(lineage(found)[0])
    if isinstance(found.node, Function) and found.node is not getattr(owner, "node", None):
        return _function_parameters(found.source, found.node, skip_first=False, owner=None, above=[])
    return None


def _plain_arguments(call: ast.Call, *, owner: Definition | None, source: Source) -> list[ast.expr]:
    """The positional arguments, without the `self` of `Base.__init__(self, ...)`."""
    explicit_self = (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in ("__init__", "__new__")
        and not isinstance(call.func.value, ast.Call)
    )
    return call.args[1:] if explicit_self else call.args


def _accepts(source: Source, node: ast.AST) -> dict[str, int] | None:
    for decorator in getattr(node, "decorator_list", []):
        if isinstance(decorator, ast.Call) and last_name(decorator.func) == "accepts":
            return {k.arg: literal(k.value, source.bindings) for k in decorator.keywords if k.arg}
    return None
