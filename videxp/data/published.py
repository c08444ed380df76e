"""Published data sets in the layout in which they are handed out, with their official splits.

UCF101 and HMDB51 have no official val split, and the classes of Kinetics' and Something-Something's test splits were
withheld for long, so each class says what val and test are. `validation` is "from_train": samples of train that no
other split has, by source; or "test": val is the test split, as most published figures were chosen.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from videxp.data.layouts import (
    VIDEO_EXTENSIONS,
    Layout,
    absent,
    content_lines,
    files_under,
    hold_out,
    same_rows,
    source_of,
)
from videxp.data.manifest import Row, Split
from videxp.errors import BadRequest
from videxp.limits import Interval

Validation = Literal["from_train", "test"]


class UCF101(Layout):
    """root/<videos>/<Class>/v_<Class>_g01_c01.avi and root/<splits>/{classInd,trainlist01,testlist01}.txt, folds 1-3.

    Test is the official test list. Clips of one group (g01 to g25 of a class: one film) are near copies, so
    validation="from_train" holds whole groups out of the train list, val_fraction of those of each class.
    """

    def __init__(
        self,
        *,
        fold: Literal[1, 2, 3] = 1,
        videos: str = "UCF-101",
        splits: str = "ucfTrainTestlist",
        validation: Validation = "from_train",
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
    ) -> None:
        self.fold = fold
        self.videos = videos
        self.splits = splits
        self.validation = validation
        self.val_fraction = val_fraction

    def missing(self, root: Path) -> list[str]:
        lists = [f"{self.splits}/{name}{self.fold:02d}.txt" for name in ("trainlist", "testlist")]
        return super().missing(root) or absent(root, f"{self.splits}/classInd.txt", *lists, self.videos)

    def rows(self, root: Path) -> list[Row]:
        known = set(self.classes(root, ()))
        rows: list[Row] = []
        lists: list[tuple[str, Split]] = [("trainlist", "train"), ("testlist", "test")]
        for name, split in lists:
            file = root / self.splits / f"{name}{self.fold:02d}.txt"
            for number, line in content_lines(file):
                path = line.split()[0]  # trainlist: "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
                label = checked_label(path.split("/")[0], known, f"{file}, line {number}")
                rows.append(Row(path=f"{self.videos}/{path}", label=label, split=split))
        source = source_of(r"v_(\w+_g\d+)_c\d+")
        return with_validation(rows, validation=self.validation, fraction=self.val_fraction, source=source)

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        """In the official order, which the number in the train list counts by."""
        lines = content_lines(root / self.splits / "classInd.txt")
        return [line.split()[1] for _, line in sorted(lines, key=lambda item: int(item[1].split()[0]))]


class HMDB51(Layout):
    """root/<videos>/<class>/*.avi and root/<splits>/<class>_test_split1.txt: 1 = train, 2 = test, 0 = unused.

    Test is the official one. validation="from_train" holds out whole films (the part of a file's name before its
    class), val_fraction of those of each class.
    """

    def __init__(
        self,
        *,
        fold: Literal[1, 2, 3] = 1,
        videos: str = "videos",
        splits: str = "testTrainMulti_7030_splits",
        validation: Validation = "from_train",
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
    ) -> None:
        self.fold = fold
        self.videos = videos
        self.splits = splits
        self.validation = validation
        self.val_fraction = val_fraction

    def missing(self, root: Path) -> list[str]:
        problems = super().missing(root) or absent(root, self.splits, self.videos)
        if not problems and not any((root / self.splits).glob(f"*_test_split{self.fold}.txt")):
            problems = [f"{root / self.splits} holds no *_test_split{self.fold}.txt: unpack the official splits there"]
        return problems

    def rows(self, root: Path) -> list[Row]:
        rows: list[Row] = []
        use: dict[str, Split | None] = {"0": None, "1": "train", "2": "test"}
        for file in sorted((root / self.splits).glob(f"*_test_split{self.fold}.txt")):
            label = file.name.removesuffix(f"_test_split{self.fold}.txt")
            for number, line in content_lines(file):
                name, _, kind = line.strip().rpartition(" ")
                if kind not in use:
                    raise BadRequest(f"{file}, line {number}: {line.strip()!r} is not a file name with 0, 1 or 2")
                if (split := use[kind]) is not None:
                    rows.append(Row(path=f"{self.videos}/{label}/{name.strip()}", label=label, split=split))

        def film(row: Row) -> str:
            return Path(row.path).name.split(f"_{row.label}_")[0] + "/" + row.label

        return with_validation(rows, validation=self.validation, fraction=self.val_fraction, source=film)


class Kinetics(Layout):
    """CSV files with the columns label, youtube_id, time_start, time_end, split, and files <id>_000010_000020.mp4.

    Works for Kinetics-400, -600 and -700. Files may lie in train/ and val/ themselves or in a folder per class there.
    Test is the official val split, on which all papers report. validation="test" (usual) uses it for val, too;
    "from_train" holds videos out of train. Files that are gone count as unreadable: set dataset.max_unreadable.
    """

    def __init__(
        self,
        *,
        train_csv: str = "annotations/train.csv",
        val_csv: str = "annotations/val.csv",
        train_videos: str = "train",
        val_videos: str = "val",
        extensions: Sequence[str] = VIDEO_EXTENSIONS,
        validation: Validation = "test",
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.05,
    ) -> None:
        self.train_csv = train_csv
        self.val_csv = val_csv
        self.train_videos = train_videos
        self.val_videos = val_videos
        self.extensions = list(extensions)
        self.validation = validation
        self.val_fraction = val_fraction

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, self.train_csv, self.val_csv, self.train_videos, self.val_videos)

    def rows(self, root: Path) -> list[Row]:
        rows = self._list(root, self.train_csv, self.train_videos, "train")
        rows += self._list(root, self.val_csv, self.val_videos, "test")
        source = source_of(r"([^/]{11})_\d{6}_\d{6}\.\w+$")
        return with_validation(rows, validation=self.validation, fraction=self.val_fraction, source=source)

    def _list(self, root: Path, file: str, folder: str, split: Split) -> list[Row]:
        there = {Path(path).stem: path for path in files_under(root / folder, self.extensions)}
        rows = []
        with (root / file).open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            needed = {"label", "youtube_id", "time_start", "time_end"}
            if lacking := needed - set(reader.fieldnames or ()):
                raise BadRequest(f"{root / file}: no column {', '.join(sorted(lacking))} among {reader.fieldnames}")
            for line in reader:
                start, end = int(float(line["time_start"])), int(float(line["time_end"]))
                stem = f"{line['youtube_id']}_{start:06d}_{end:06d}"
                path = f"{folder}/{there.get(stem, f'{stem}.mp4')}"
                rows.append(Row(path=path, label=line["label"].strip('" '), split=split))
        return rows


class SomethingSomethingV2(Layout):
    """root/<videos>/<id>.webm and the official JSON files of train and validation, the labels, and the test's answers.

    Test is the official validation split, on which all papers report, unless test="test": then the test split with
    test-answers.csv. val is the official validation split either way. Labels are templates without brackets, numbered
    as labels.json does.
    """

    def __init__(
        self,
        *,
        videos: str = "20bn-something-something-v2",
        train_json: str = "labels/train.json",
        validation_json: str = "labels/validation.json",
        labels_json: str = "labels/labels.json",
        test_answers: str = "labels/test-answers.csv",
        test: Literal["validation", "test"] = "validation",
    ) -> None:
        self.videos = videos
        self.train_json = train_json
        self.validation_json = validation_json
        self.labels_json = labels_json
        self.test_answers = test_answers
        self.test = test

    def missing(self, root: Path) -> list[str]:
        answers = [self.test_answers] if self.test == "test" else []
        needed = (self.train_json, self.validation_json, self.labels_json, *answers, self.videos)
        return super().missing(root) or absent(root, *needed)

    def rows(self, root: Path) -> list[Row]:
        known = set(self.classes(root, ()))
        val = self._list(root, self.validation_json, "val", known)
        test = same_rows(val, split="test") if self.test == "validation" else self._answers(root, known)
        return [*self._list(root, self.train_json, "train", known), *val, *test]

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        numbers = json.loads((root / self.labels_json).read_text(encoding="utf-8"))
        return [without_brackets(name) for name in sorted(numbers, key=lambda name: int(numbers[name]))]

    def _list(self, root: Path, file: str, split: Split, known: set[str]) -> list[Row]:
        entries = json.loads((root / file).read_text(encoding="utf-8"))
        return [self._row(entry["id"], entry["template"], split, known, root / file) for entry in entries]

    def _answers(self, root: Path, known: set[str]) -> list[Row]:
        file = root / self.test_answers
        pairs = (line.strip().split(";", 1) for _, line in content_lines(file))
        return [self._row(number, template, "test", known, file) for number, template in pairs]

    def _row(self, number: str, template: str, split: Split, known: set[str], file: Path) -> Row:
        label = checked_label(without_brackets(template), known, f"{file}, id {number}")
        return Row(path=f"{self.videos}/{number}.webm", label=label, split=split)


# ---- shared -----------------------------------------------------------------------------------------------------


def with_validation(
    rows: list[Row], *, validation: Validation, fraction: float, source: Callable[[Row], str]
) -> list[Row]:
    """Rows of train and test with a val split added."""
    if validation == "test":
        return [*rows, *same_rows((row for row in rows if row.split == "test"), split="val")]
    return hold_out(rows, into="val", fraction=fraction, group=source)


def without_brackets(template: str) -> str:
    """Something-Something's templates mark objects: "Holding [something]" -> "Holding something"."""
    return re.sub(r"[\[\]]", "", template)


def checked_label(label: str, known: set[str], place: str) -> str:
    if label in known:
        return label
    near = get_close_matches(label, known, n=1)
    raise BadRequest(f"{place}: unknown label {label!r}" + (f": did you mean {near[0]!r}?" if near else ""))
