"""Lists of videos with numbers as labels, as other projects' users have them."""

import re
from pathlib import Path
from typing import Annotated, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Interval
from videxp.data.layouts.base import absent
from videxp.data.layouts.class_numbers import Listed
from videxp.data.layouts.labelled_lists import LabelledLists
from videxp.data.layouts.tables import check_path, cut, read_each
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes
from videxp.video.file_kinds import VIDEO_ENDINGS

_LINE = re.compile(r"(.*\S)\s*[\s,]\s*(\S+)")  # the last space or comma parts them: paths may have some, too
_VIDEO = re.compile(rf"(.*(?:{'|'.join(map(re.escape, sorted(VIDEO_ENDINGS)))}))[\s,]+(.+)", re.IGNORECASE)


class VideoLists(LabelledLists):
    """Text files with a line "path label" for each video.

    mmaction2 writes them (`kinetics400_train_list_videos.txt`, paths relative to videos_train/: set train_videos),
    PySlowFast's are called train.csv, val.csv and test.csv, with paths of any kind: relative ones are beneath root, or
    beneath train_videos and so on. A comma between path and label is as good as a space. No line names columns.
    Labels are all numbers or, without a blank in them, all names.
    class_file: names of the classes, one a line; without it classes are called by their numbers, and there are as many
        as the greatest label says, so that a class of which a list has no video still has its output.
    first_label: 1 where labels count from 1. None: from 0, and some label is 0.
    No test list: val is test, as all report on Kinetics and Something-Something. No val list: val_fraction of train;
    neither: as much again is test. group_pattern: see FolderPerClass.
    """

    def __init__(
        self,
        *,
        train_list: str | None = "train.csv",
        val_list: str | None = "val.csv",
        test_list: str | None = None,
        train_videos: str = ".",
        val_videos: str = ".",
        test_videos: str = ".",
        class_file: str | None = None,
        first_label: Literal[0, 1] | None = None,
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        group_pattern: str | None = None,
    ) -> None:
        self.lists: dict[Split, str | None] = {"train": train_list, "val": val_list, "test": test_list}
        self.videos = {"train": train_videos, "val": val_videos, "test": test_videos}
        self.class_file = class_file
        self.first_label = first_label
        self.val_fraction = val_fraction
        self.group_pattern = group_pattern

    def missing(self, root: Path) -> list[str]:
        needed = [*self.list_files, *(self.videos[split] for split, file in self.lists.items() if file is not None)]
        return super().missing(root) or absent(root, *needed, *([self.class_file] if self.class_file else []))

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        listed = read_each(self._lines(root), lambda given: self._listed(root, *given))
        return self._with_all_splits(self._labelled_rows(root, listed), own="a list for each", notes=notes)

    def _listed(self, root: Path, split: Split, line: str, place: str) -> Listed:
        path, label = _path_and_label(line, place)
        check_path(path, folder=root / self.videos[split], place=place)
        return Listed(split, (Path(self.videos[split]) / path).as_posix(), label, place)


def _path_and_label(line: str, place: str) -> tuple[str, str]:
    """`a b.mp4 1` -> ("a b.mp4", "1")."""
    match = _VIDEO.fullmatch(line)
    if match and _LINE.fullmatch(match[2]):
        raise BadRequest(
            f"{place}: {cut(match[2])} follows the path, not one label without a blank: for names of several words, "
            "or several labels, use a table with columns, dataset=manifest"
        )
    match = match or _LINE.fullmatch(line)
    if match is None:
        raise BadRequest(f"{place}: {cut(line)} is not a path and a label")
    if match[1].startswith('"'):
        raise BadRequest(f"{place}: {cut(match[1])}: such lists have no quotation marks: remove them")
    return match[1], match[2]
