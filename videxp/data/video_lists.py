"""Lists of videos with numbers as labels, as other projects' users have them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from videxp.data.layouts import Layout, absent, class_names, completed_splits, content_lines, named, source_of
from videxp.data.manifest import Row, Split, sorted_classes
from videxp.errors import BadRequest
from videxp.limits import Interval

_LINE = re.compile(r"(.*\S)\s*[\s,]\s*(\S+)")  # the last space or comma parts them: paths may have some, too


class VideoLists(Layout):
    """Text files with a line "path label" for each video.

    mmaction2 writes them (`kinetics400_train_list_videos.txt`, paths relative to videos_train/: set train_videos),
    PySlowFast's are called train.csv, val.csv and test.csv, with paths of any kind: relative ones are beneath root, or
    beneath train_videos and so on. A comma between path and label is as good as a space.
    class_file: names of the classes, one a line; without it classes are called by their numbers, and there are as many
        as the greatest label says, so that a class of which a list has no video still has its output.
    No test list: val is test, as all report on Kinetics and Something-Something. No val list: val_fraction of train;
    neither: as much again is test.
    """

    def __init__(
        self,
        *,
        train_list: str = "train.csv",
        val_list: str | None = "val.csv",
        test_list: str | None = None,
        train_videos: str = ".",
        val_videos: str = ".",
        test_videos: str = ".",
        class_file: str | None = None,
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
    ) -> None:
        self.lists = {"train": train_list, "val": val_list, "test": test_list}
        self.videos = {"train": train_videos, "val": val_videos, "test": test_videos}
        self.class_file = class_file
        self.val_fraction = val_fraction

    def missing(self, root: Path) -> list[str]:
        needed = [*self.lists.values(), self.class_file, *(self.videos[split] for split in self._splits())]
        return super().missing(root) or absent(root, *(name for name in needed if name is not None))

    def _splits(self) -> list[str]:
        return [split for split, file in self.lists.items() if file is not None]

    def rows(self, root: Path) -> list[Row]:
        return completed_splits(
            self._split(root, "train"),
            self._split(root, "val"),
            self._split(root, "test"),
            val_fraction=self.val_fraction,
            test_fraction=self.val_fraction,
            group=source_of(None),
            seed=0,
        )

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        if names := class_names(root, self.class_file):
            return names
        found = set(labels)
        is_numbered = all(label.isdecimal() for label in found)
        return [str(number) for number in range(max(map(int, found)) + 1)] if is_numbered else sorted_classes(found)

    def _split(self, root: Path, split: Split) -> list[Row]:
        if (file := self.lists[split]) is None:
            return []
        names = class_names(root, self.class_file)
        rows = []
        for number, line in content_lines(root / file):
            place = f"{root / file}, line {number}"
            if (parts := _LINE.fullmatch(line)) is None:
                raise BadRequest(f"{place}: {line!r} is not a path and a label")
            path = (Path(self.videos[split]) / parts[1]).as_posix()
            rows.append(Row(path=path, label=named(parts[2], names, place=place), split=split))
        return rows
