"""Where conf/ and experiments/ lie, and what is in them, read from the files alone (no Hydra: `videxp list` is quick).

A checkout keeps both at the repository's root, an installed wheel inside the package; a researcher's own conf/ and
experiments/ in the current folder come first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from videxp.core.contract import Contract, contract_of

COLLECTIONS = ("callbacks", "logger")
"""Groups of which a recipe may choose several."""
PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Choice:
    """One YAML file: what one writes after `model=`, its first comment line, and the file."""

    name: str
    comment: str
    path: Path


def own_folder(name: str) -> Path:
    """videxp's own `conf` or `experiments`."""
    in_checkout = PACKAGE.parent / name
    in_wheel = PACKAGE / name
    return in_wheel if in_wheel.is_dir() else in_checkout


def folders(name: str) -> list[Path]:
    """All folders called `conf` or `experiments`, the current folder's first."""
    here = Path.cwd() / name
    own = own_folder(name)
    return [here, own] if here.is_dir() and here.resolve() != own.resolve() else [own]


def recipes() -> list[Choice]:
    """Every recipe, `classification/moving_digits`, sorted; the current folder's hide videxp's own of the same name."""
    return _choices(folders("experiments"))


def group_options(group: str) -> list[Choice]:
    """Every option of one group: `group_options("model")`."""
    return _choices([folder / group for folder in folders("conf")])


def task_contracts() -> dict[str, Contract]:
    """Every option of the group `task` -> the contract of its class, where that can be read."""
    found: dict[str, Contract] = {}
    for choice in group_options("task"):
        target = re.search(
            r"^_target_:\s*(\S+)", choice.path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
        if target is not None and (contract := contract_of(target[1])) is not None:
            found[choice.name] = contract
    return found


def groups() -> list[str]:
    """The names of all groups under conf/: dataset, model, ..."""
    return sorted({path.name for folder in folders("conf") for path in folder.iterdir() if path.is_dir()} - {"hydra"})


def replaced() -> list[str]:
    """Files of the current folder that take the place of videxp's own: `["conf/dataset/_base.yaml"]`."""
    here, *others = folders("conf")
    names = (path.relative_to(here) for path in sorted(here.rglob("*.yaml")))
    return [f"conf/{name.as_posix()}" for name in names if any((own / name).is_file() for own in others)]


def _choices(places: list[Path]) -> list[Choice]:
    found: dict[str, Choice] = {}
    for place in places:
        for path in sorted(place.rglob("*.yaml")):
            name = path.relative_to(place).with_suffix("").as_posix()
            if path.name.startswith("_"):
                continue  # a part of others, such as conf/dataset/_base.yaml
            found.setdefault(name, Choice(name, first_comment(path), path))
    return [found[name] for name in sorted(found)]


def first_comment(path: Path) -> str:
    """The file's first comment line that is not a Hydra directive such as `# @package _global_`."""
    for line in _leading_comments(path):
        text = line.lstrip("#").strip()
        if text and not text.startswith("@"):
            return text
    return ""


def _leading_comments(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                return
            yield line
