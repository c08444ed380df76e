"""Modules as syntax trees: what each name in them means, followed through imports to where it is defined.

Followed are re-exports, star imports, aliases, names under `if` or `try`, and `lazy_exports` tables.
"""

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

# A default that is no literal, such as `torch.device("cpu")`.
UNREADABLE: Any = object()
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class Source:
    """One parsed module."""

    name: str
    is_package: bool
    bindings: dict[str, ast.AST] = field(repr=False)
    """Name -> the statement that binds it (or, for a lazy export, the literal that names its module)."""
    stars: tuple[ast.ImportFrom, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Definition:
    """A class, function or assigned expression in the module that really defines it."""

    source: Source
    node: ast.AST
    name: str

    @property
    def full_name(self) -> str:
        return f"{self.source.name}.{self.name}"


# --- modules -----------------------------------------------------------------------------------------------------


@cache
def find_spec(module: str) -> ModuleSpec | None:
    """The module's spec, found without importing its parents."""
    parent, _, _ = module.rpartition(".")
    if not parent:
        try:
            return importlib.util.find_spec(module)  # a top-level name: nothing is imported; editable installs work
        except (ValueError, ImportError):
            return None
    above = find_spec(parent)
    if above is None or above.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(module, list(above.submodule_search_locations))


@cache
def read_source(module: str) -> Source | None:
    """Parse a module; None if it does not exist or has no Python source."""
    spec = find_spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    try:
        with open(spec.origin, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return None
    bindings: dict[str, ast.AST] = {}
    stars: list[ast.ImportFrom] = []
    for statement in statements(tree.body):
        _bind(statement, bindings, stars)
    _bind_lazy_exports(tree, bindings)
    return Source(module, spec.submodule_search_locations is not None, bindings, tuple(stars))


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Nested ones under if/try/with first, so that what stands at the module's level wins."""
    for statement in body:
        if isinstance(statement, ast.If | ast.With):
            # The first branch wins: it is the one for TYPE_CHECKING or for what is installed.
            yield from statements(list(getattr(statement, "orelse", [])))
            yield from statements(statement.body)
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from statements(handler.body)
            yield from statements([*statement.body, *statement.orelse, *statement.finalbody])
        else:
            yield statement


def _bind(statement: ast.stmt, bindings: dict[str, ast.AST], stars: list[ast.ImportFrom]) -> None:
    if isinstance(statement, ast.ClassDef | Function):
        if not has_decorator(statement, "overload"):
            bindings[statement.name] = statement
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            bindings[alias.asname or alias.name.partition(".")[0]] = statement
    elif isinstance(statement, ast.ImportFrom):
        if statement.names[0].name == "*":
            stars.append(statement)
        else:
            for alias in statement.names:
                bindings[alias.asname or alias.name] = statement
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                bindings[target.id] = statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value and isinstance(statement.target, ast.Name):
        bindings[statement.target.id] = statement.value


def _bind_lazy_exports(tree: ast.Module, bindings: dict[str, ast.AST]) -> None:
    """`__getattr__, __all__ = lazy_exports(__name__, {"Name": "module"})` binds Name, unless it is bound anyway."""
    for statement in tree.body:
        call = statement.value if isinstance(statement, ast.Assign) else None
        if not (isinstance(call, ast.Call) and last_name(call.func) == "lazy_exports" and len(call.args) == 2):
            continue
        table: ast.AST = call.args[1]
        if isinstance(table, ast.Name):
            table = bindings.get(table.id, table)
        for name, module in (literal(table, {}) or {}).items():
            exported = ast.ImportFrom(module=module, names=[ast.alias(name=name, asname=None)], level=0)
            bindings.setdefault(name, exported)


# --- names -------------------------------------------------------------------------------------------------------


def locate(dotted: str) -> Definition | Source | None:
    """What `a.b.C` is, in the module that defines it; None if its source cannot be found."""
    head, *rest = dotted.split(".")
    found: Definition | Source | None = read_source(head) or _module_without_source(head)
    for name in rest:
        if not isinstance(found, Source):
            return None  # an attribute of a class: nothing that a config may build
        found = lookup(found, name)
    return found


def _module_without_source(module: str) -> Source | None:
    """An empty one for a namespace package, whose modules may be read though it has no file."""
    spec = find_spec(module)
    return Source(module, True, {}, ()) if spec and spec.origin is None and spec.submodule_search_locations else None


def lookup(source: Source, name: str, *, seen: frozenset[tuple[str, str]] = frozenset()) -> Definition | Source | None:
    """What `name` means inside a module, followed through imports to where it is defined."""
    if (source.name, name) in seen:
        return None
    seen |= {(source.name, name)}
    bound = source.bindings.get(name)
    if isinstance(bound, ast.ImportFrom):
        if found := _follow_import(source, bound, name, seen):
            return found
    elif isinstance(bound, ast.Import):
        for alias in bound.names:
            if alias.asname == name or (alias.asname is None and alias.name.partition(".")[0] == name):
                module = alias.name if alias.asname else name
                return read_source(module) or _module_without_source(module)
    elif isinstance(bound, ast.Name | ast.Attribute):
        return lookup_expression(source, bound, seen=seen) or Definition(source, bound, name)
    elif bound is not None:
        return Definition(source, bound, name)
    for star in reversed(source.stars):
        module_source = read_source(_absolute(source, star))
        if module_source and not name.startswith("_") and (found := lookup(module_source, name, seen=seen)):
            return found
    module = f"{source.name}.{name}"
    return (read_source(module) or _module_without_source(module)) if source.is_package else None


def _follow_import(
    source: Source, statement: ast.ImportFrom, name: str, seen: frozenset[tuple[str, str]]
) -> Definition | Source | None:
    original = next(alias.name for alias in statement.names if (alias.asname or alias.name) == name)
    module = _absolute(source, statement)
    inside = read_source(module) or _module_without_source(module)
    if inside is None:
        return None
    found = lookup(inside, original, seen=seen) if (inside.name, original) not in seen else None
    return found or read_source(f"{module}.{original}")


def _absolute(source: Source, statement: ast.ImportFrom) -> str:
    """The full module name of a relative import."""
    if not statement.level:
        return statement.module or ""
    parts = source.name.split(".")
    up = statement.level - 1 if source.is_package else statement.level
    return ".".join([*parts[: len(parts) - up], *([statement.module] if statement.module else [])])


def lookup_expression(
    source: Source, node: ast.AST, *, seen: frozenset[tuple[str, str]] = frozenset()
) -> Definition | Source | None:
    """What a name or a dotted name written in a module means: `nn.Module`, `Base`, `"Base"`, `Base[int]`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        return lookup(source, node.id, seen=seen)
    if isinstance(node, ast.Attribute):
        outer = lookup_expression(source, node.value, seen=seen)
        return lookup(outer, node.attr, seen=seen) if isinstance(outer, Source) else None
    return None


def names_in(source: Source) -> list[str]:
    """What a module binds by itself."""
    return sorted(source.bindings)


# --- small readers -----------------------------------------------------------------------------------------------


def has_decorator(node: ast.ClassDef | Function, name: str) -> bool:
    decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(last_name(decorator) == name for decorator in decorators)


def last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def is_name(node: Any, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def literal(node: ast.AST | None, bindings: dict[str, ast.AST], *, depth: int = 0) -> Any:
    """The value of a literal, or of a module constant that is one (`EPS = 1e-6`); UNREADABLE otherwise."""
    if isinstance(node, ast.Name) and depth < 3 and node.id in bindings:
        return literal(bindings[node.id], bindings, depth=depth + 1)
    try:
        return ast.literal_eval(node) if node is not None else UNREADABLE
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return UNREADABLE
