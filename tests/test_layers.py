"""Imports go one way, between rooms and within them, those inside functions and for types alone included."""

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import videxp

PACKAGE = Path(videxp.__file__).parent
TIERS = [  # no room imports one above it, nor a neighbor
    {"core"},
    {"video"},
    {"transforms"},
    {"data", "models", "losses", "metrics"},
    {"config", "runs"},
    {"tasks"},
    {"training", "evaluation", "deploy"},
    {"sweeps", "comparison"},
    {"cli"},
]
TIER_OF = {name: number for number, tier in enumerate(TIERS) for name in tier}
DOORS = {  # a library that only these rooms may import
    "decord": {"video"},
    "av": {"video"},
    "torchcodec": {"video"},
    "wandb": {"training"},
    "hydra": {"config"},
    "optuna": {"sweeps"},
    "submitit": {"sweeps"},
    "ray": {"sweeps"},
    "omegaconf": {"config", "sweeps", "tasks", "training", "evaluation", "deploy", "cli"},
}

PRIVATE = {  # private names of other packages, each library's in one module
    "videxp.config.composing.sources": {"_get_header_dict", "_list_add_result", "_normalize_file_name"},  # Hydra
    "videxp.core.private_lightning": {
        *("_can_stop_early", "_data_fetcher", "_on_after_fetch", "_on_before_fetch", "_should_accumulate"),
        *("_should_check_val_fx", "_signal_connector"),
    },
    "videxp.core.private_torch": {"_index_queues", "_iterator", "_workers"},
    "videxp.sweeps.search": {"_trial_id"},  # Optuna
    # Python's own: an end without a handler, which a process group or a thread would hold up.
    "videxp.sweeps.ray_keeper": {"_exit"},
    "videxp.training.course": {"_exit", "_run_exitfuncs"},
    "videxp.training.processes.signals": {"_exit"},
    "videxp.training.processes.supervision": {"_exit"},
    "videxp.video.live.reading": {"_exit"},
}
KEY = "_target_"  # a config's


def module_of(path: Path) -> str:
    """videxp/video/probe.py -> videxp.video.probe; videxp/cli/__init__.py -> videxp.cli."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text())


@cache
def imports(tree: ast.AST) -> set[str]:
    """Dotted names that a source imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(names: set[str]) -> set[str]:
    """The modules of videxp that imported names stand in."""
    return {module for name in names if (module := longest_known(name))}


def longest_known(name: str) -> str:
    """videxp.video.probe.Probe -> videxp.video.probe; "" for what is not videxp's."""
    while name and name not in FILES:
        name = name.rpartition(".")[0]
    return name


def room(module: str) -> str:
    """videxp.video.probe -> video; videxp itself, which holds the version, is in none."""
    return module.partition(".")[2].partition(".")[0]


def upward_imports(module: str, imported: set[str]) -> list[str]:
    """Modules that `module` may not import."""
    here = room(module)
    return sorted(
        name for name in imported if room(name) and room(name) != here and TIER_OF[room(name)] >= TIER_OF[here]
    )


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; none: []."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_module_is_in_a_room():
    assert len(FILES) > 300
    assert {room(module) for module in FILES} - {""} == set(TIER_OF)


def test_a_wrong_import_would_be_noticed():
    assert upward_imports("videxp.video.probing", own(imports(ast.parse("from videxp.data import manifest")))) == [
        "videxp.data.manifest"
    ]
    inside = "def f():\n    import videxp.models.weights"
    assert upward_imports("videxp.data.module", own(imports(ast.parse(inside)))) == ["videxp.models.weights"]
    assert (
        upward_imports("videxp.tasks.base", own(imports(ast.parse("from videxp.losses import classification")))) == []
    )
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) != []


@pytest.mark.slow
def test_imports_go_one_way():
    found = {module: upward_imports(module, own(imports(tree(module)))) for module in FILES if room(module)}
    assert {module: names for module, names in found.items() if names} == {}


@pytest.mark.slow
def test_no_modules_import_each_other_in_a_circle():
    graph = {module: own(imports(tree(module))) - {module} for module in FILES}
    assert cycle(graph) == []


def test_each_library_has_one_door():
    used = {(name.split(".")[0], module) for module in FILES for name in imports(tree(module))}
    assert [
        (name, module) for name, module in sorted(used) if room(module) not in DOORS.get(name, {room(module)})
    ] == []


def private_names(tree: ast.AST) -> set[str]:
    """Names with one leading underscore that a module asks objects for, or imports from other packages."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("videxp"):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("_") and not name.startswith("__")} - {"_", KEY}


def names_given(tree: ast.AST) -> set[str]:
    """Names that a module gives to functions, classes, attributes of its own objects and fields."""
    given: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            given.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            given |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") else set()
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            given.add(node.id)
    return given


@pytest.mark.slow
def test_private_names_of_a_library_are_used_in_one_module():
    trees = {module: tree(module) for module in FILES}
    ours = {name for tree in trees.values() for name in names_given(tree)}
    found = {module: names for module, tree in trees.items() if (names := private_names(tree) - ours)}
    assert found == PRIVATE
    assert private_names(ast.parse("from torch import _C\nloader._iterator")) == {"_C", "_iterator"}


def calls_of_print(tree: ast.AST) -> list[int]:
    """Lines on which `print` is called."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


@pytest.mark.slow
def test_lines_are_printed_by_the_commands_and_by_one_module_below_them():
    printing = {module for module in FILES if calls_of_print(tree(module))}
    assert {module for module in printing if not module.startswith("videxp.cli")} == {"videxp.core.lines"}
    assert calls_of_print(ast.parse("x.print(1)\nprint(2)")) == [2]


@pytest.mark.slow
def test_no_two_public_classes_have_the_same_name():
    owners: dict[str, list[str]] = {}
    for module in FILES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in owners.items() if len(modules) > 1} == {}


@pytest.mark.slow
def test_no_docstring_is_broken_by_a_blank_line_in_mid_sentence():
    found = [
        text
        for module in FILES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.get_docstring(node))
        and re.search(r"[A-Za-z,]\n\n[(a-z](?![^\n]*:)", text)
    ]
    assert found == []
