"""Imports go one way: commands -> config, runs, deploy -> tasks -> data | transforms | models ... -> video."""

import ast
from pathlib import Path

import pytest

import videxp

PACKAGE = Path(videxp.__file__).parent
TIERS = [
    {
        "errors",
        "randomness",
        "lazy",
        "deferred",
        "limits",
        "ranges",
        "files",
        "outputs",
        "parent",
        "signatures",
        "own_packages",
        "printable",
        "yaml_files",
        "console",
        "secret_values",
        "tensor_files",
        "weight_files",
        "warping",
        "backbones",
    },
    {"video"},
    {"data", "transforms", "models", "losses", "metrics"},
    {"tasks"},
    {"config", "runs", "deploy"},
    {"sweeps"},
    {"inputs", "experiment", "training", "benchmark", "commands", "cli"},
]
TIER_OF = {name: number for number, tier in enumerate(TIERS) for name in tier}
DOORS = {  # a library that only one part may import
    "decord": {"video"},
    "av": {"video"},
    "torchcodec": {"video"},
    "wandb": {"runs"},
    "hydra": {"config"},
    "optuna": {"sweeps"},
    "submitit": {"sweeps"},
    "ray": {"sweeps"},
    "omegaconf": {"config", "sweeps", "inputs", "experiment", "training", "benchmark", "commands"},
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")


def part_of(path: Path) -> str:
    """videxp/video/probe.py -> video; videxp/cli.py -> cli."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str) -> set[str]:
    """Dotted names that a source text imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def upward_imports(part: str, names: set[str]) -> list[str]:
    """Imports of videxp's own parts that `part` may not have."""
    wrong = []
    for name in sorted(names):
        if name.startswith("videxp."):
            other = name.split(".")[1]
            same_tier_neighbour = TIER_OF.get(other) == TIER_OF[part] and other != part and TIER_OF[part] not in (0, 6)
            if other in TIER_OF and (TIER_OF[other] > TIER_OF[part] or same_tier_neighbour):
                wrong.append(name)
    return wrong


def test_every_part_has_a_tier():
    assert len(FILES) > 40
    assert {part_of(path) for path in FILES} <= set(TIER_OF)


def test_a_wrong_import_would_be_noticed():
    assert upward_imports("video", imports("from videxp.data import manifest")) == ["videxp.data.manifest"]
    assert upward_imports("data", imports("def f():\n    import videxp.transforms.train")) == [
        "videxp.transforms.train"
    ]
    assert upward_imports("tasks", imports("from videxp.losses import classification")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path):
    assert upward_imports(part_of(path), imports(path.read_text())) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_has_one_door(path: Path):
    used = {name.split(".")[0] for name in imports(path.read_text())}
    assert {name for name in used & set(DOORS) if part_of(path) not in DOORS[name]} == set()
