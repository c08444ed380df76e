"""Which folders are splits: by the names that people give them, or as the layout names them."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.data.layouts.walk import below, list_folder
from videxp.data.manifest import SPLITS, Split
from videxp.data.notes import UNHEARD, Notes, examples

SPELLINGS: dict[Split, frozenset[str]] = {
    "train": frozenset(["train", "training", "trn", "trainval"]),
    "val": frozenset(["val", "valid", "validation", "validate", "vali", "vld", "dev", "devel", "development", "eval"])
    | {"evaluation"},
    "test": frozenset(["test", "testing", "tst", "tests"]),
}
SHORT: dict[str, Split] = {"tr": "train", "va": "val", "te": "test"}
# train_set, TestData, val-videos, 1_train
_AROUND = re.compile(r"^\d{1,2}[-_. ]+|[-_. ]*(?:data|sets?|splits?|folder|videos?|clips|images|frames)$")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def split_called(name: str) -> Split | None:
    """`Train`, `training`, `train_set` -> "train"; None for what is no usual name of a split."""
    plain = _AROUND.sub("", name.casefold().strip())
    return next((split for split in SPLITS if plain in SPELLINGS[split]), None)


def split_folders(
    root: Path,
    top: str,
    given: Mapping[Split, str | None],
    *,
    holds: Callable[[str], bool],
    notes: Notes = UNHEARD,
) -> dict[Split, str]:
    """The folder of each split directly in root/top, by its name there; empty where there are no split folders.

    given: the names that the layout was told; None: found by their usual spellings. holds: does a folder (its path
    under root) have samples? Raises BadRequest where two folders mean one split, or where folders with samples lie
    beside those of splits and the layout was not told which these are.
    """
    told: dict[Split, str] = {split: folder for split, folder in given.items() if folder is not None}
    for key, folder in told.items():
        if not (root / top / folder).is_dir():
            raise BadRequest(f"{root / top / folder} does not exist: dataset.layout.{key}_folder={folder}")
    folders, files = list_folder(root, top)
    names = [entry.name for entry in folders]
    by_name = {name: split_called(name) for name in names if name not in told.values()}
    full = [name for name in by_name if holds(below(top, name))]
    for name, called in by_name.items():
        if name not in full and called is not None:
            notes.pass_over("split folders without samples", name)
    found = dict(told)
    for split in SPLITS:
        spelled = [name for name in full if by_name[name] == split]
        if split not in told and len(spelled) > 1:
            raise BadRequest(
                f"{root / top}: the folders {' and '.join(spelled)} both mean the {split} split: "
                f"name one, dataset.layout.{split}_folder={spelled[0]}"
                + (f"; if the other one is for testing, dataset.layout.test_folder={spelled[1]}, too"
                   if split == "val" and "test" not in by_name.values() else "")
            )  # fmt: skip
        if split not in told and spelled:
            found[split] = spelled[0]
    if not found:
        _refuse_lookalikes(root / top, full)
        return {}
    list_folder(root, top, notes)
    for entry in files:
        notes.pass_over("files beside the split folders", below(top, entry.name))
    others = [name for name in full if name not in found.values()]
    if not others:
        return found
    if not told:
        _refuse_mixture(root / top, found, others)
    for name in others:
        notes.pass_over("folders beside those that dataset.layout names", name)
    return found


def _hinted(name: str) -> Split | None:
    """`kinetics_train`, `train2017`, `TrainClipsV2`, `tr` -> "train"; None where no word, or several, say a split."""
    words = [word.casefold() for word in _WORD.findall(name)]
    splits = {split for word in words if (split := split_called(word) or SHORT.get(word))}
    return splits.pop() if len(splits) == 1 else None


def _refuse_lookalikes(top: Path, names: Sequence[str]) -> None:
    """Raises BadRequest where all folders are called in some unusual way as splits, so that they are hardly classes."""
    folder_of: dict[Split, str] = {}
    for name in names:
        if (split := _hinted(name)) is None:
            return
        folder_of.setdefault(split, name)
    if "train" in folder_of and len(folder_of) > 1:
        named = shlex.join(
            f"dataset.layout.{split}_folder={folder_of[split]}" for split in SPLITS if split in folder_of
        )
        raise BadRequest(
            f"{top}: the folders {examples(names, most=3)} look like splits, not classes: if they are, {named}; "
            "if not, dataset.layout.splits=made"
        )


def _refuse_mixture(top: Path, found: Mapping[Split, str], others: Sequence[str]) -> None:
    """Raises BadRequest."""
    named = shlex.join(f"dataset.layout.{split}_folder={name}" for split, name in found.items())
    raise BadRequest(
        f"{top}: folders called as splits ({', '.join(found.values())}) lie beside others that hold samples "
        f"({examples(others, most=3)}): for these splits alone {named}; for no splits dataset.layout.splits=made"
    )
