"""Published sets of footage without labels: REDS, Vimeo-90K, and DAVIS and YouTube-VOS as inpainting has them. Paths
are those of the official archives."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Gt, Interval
from videxp.data.layouts.base import absent, completed_splits, same_rows, source_of
from videxp.data.layouts.footage import footage, listed_clips
from videxp.data.layouts.frame_folders import ImageSequences
from videxp.data.layouts.tables import check_path, cut
from videxp.data.layouts.walk import find_image_folders
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes

_SEPTUPLET = re.compile(r"(\d+)/\d+")
REDS4 = ("000", "011", "015", "020")


@dataclass(kw_only=True)
class Reds(ImageSequences):
    """REDS: root/<train>/000 ... 239 and root/<val>/000 ... 029, 100 frames of 1280x720 each; the test's are secret.

    protocol="reds4", on which the super-resolution papers report: clips 000, 011, 015 and 020 of train are the test;
    the other 236 and the 30 of val train (Wang et al., EDVR, 2019). "official": the 240 train, the 30 of val test.
    Val is test in both: papers choose nothing on it. train_inputs, val_inputs: folders of the degraded counterparts,
    such as train/train_sharp_bicubic/X4; null: they are made while training.
    """

    protocol: Literal["reds4", "official"] = "reds4"
    train: str = "train/train_sharp"
    val: str = "val/val_sharp"
    train_inputs: str | None = None
    val_inputs: str | None = None
    template: str = "{:08d}.png"
    fps: Annotated[float, Gt(0)] = 24.0

    def __post_init__(self) -> None:
        if (self.train_inputs is None) != (self.val_inputs is None):
            raise BadRequest("dataset.layout: train_inputs and val_inputs go together: give both or none")

    def missing(self, root: Path) -> list[str]:
        names = (self.train, self.val, self.train_inputs, self.val_inputs)
        return super().missing(root) or absent(root, *(name for name in names if name is not None))

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        def of(folder: str, inputs: str | None, split: Callable[[str], Split]) -> list[Row]:
            clips = [Path(path).relative_to(folder).as_posix() for path in find_image_folders(root, folder, notes)]
            return [footage(clip, split(clip), targets=folder, inputs=inputs) for clip in clips]

        if self.protocol == "official":
            train = of(self.train, self.train_inputs, lambda clip: "train")
            val = of(self.val, self.val_inputs, lambda clip: "val")
            notes.tell("splits", f"test is val, {len(val):,} samples: the official test is secret")
            return [*train, *val, *same_rows(val, split="test")]
        rows = of(self.train, self.train_inputs, lambda clip: "test" if clip in REDS4 else "train")
        rows += of(self.val, self.val_inputs, lambda clip: "train")
        return [*rows, *same_rows((row for row in rows if row.split == "test"), split="val")]


@dataclass(kw_only=True)
class Vimeo90k(ImageSequences):
    """Vimeo-90K septuplets: root/<targets>/00001/0001/im1.png ... im7.png of 448x256, and the official lists.

    64,612 clips train, 7,824 test. val: val_fraction of the training videos (the first number), held out whole.
    inputs: folder of the degraded counterparts, such as BIx4 or BDx4; null: they are made while training.
    """

    targets: str = "sequences"
    inputs: str | None = None
    train_list: str = "sep_trainlist.txt"
    test_list: str = "sep_testlist.txt"
    template: str = "im{}.png"
    fps: Annotated[float, Gt(0)] = 25.0
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.005

    def missing(self, root: Path) -> list[str]:
        inputs = [] if self.inputs is None else [self.inputs]
        return super().missing(root) or absent(root, *self.list_files, self.targets, *inputs)

    @property
    def list_files(self) -> list[str]:
        return [self.train_list, self.test_list]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        def of(file: str, split: Split) -> list[Row]:
            lines = listed_clips(root / file, root / self.targets)
            if other := next((line for line in lines if not _SEPTUPLET.fullmatch(line)), None):
                raise BadRequest(f"{root / file}: {cut(other)} is not like '00001/0266'")
            return [footage(line, split, targets=self.targets, inputs=self.inputs) for line in lines]

        return completed_splits(
            [*of(self.train_list, "train"), *of(self.test_list, "test")],
            val_fraction=self.val_fraction,
            group=source_of(_SEPTUPLET.pattern + "$"),
            notes=notes,
            own="lists in another layout",
        )


@dataclass(kw_only=True)
class InpaintingSet(ImageSequences):
    """DAVIS or YouTube-VOS as inpainting papers have them: root/<targets>/<video>/00000.jpg ... of 432x240.

    train_list, test_list: JSON objects, name of a video -> number of its frames (STTN's and ProPainter's files); null:
    none. masks: folder of what is hidden in tests, root/<masks>/<video>/00000.png; null: drawn as in training.
    val: val_fraction of the training videos; without any it is the test. Without test_list so many are the test, too.
    """

    targets: str = "JPEGImages_432_240"
    masks: str | None = "test_masks"
    train_list: str | None = "train.json"
    test_list: str | None = "test.json"
    template: str = "*"
    fps: Annotated[float, Gt(0)] = 24.0
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.01

    def __post_init__(self) -> None:
        if not self.list_files:
            raise BadRequest("dataset.layout: neither train_list nor test_list: give one, such as test_list=test.json")

    def missing(self, root: Path) -> list[str]:
        masks = [] if self.masks is None or self.test_list is None else [self.masks]
        return super().missing(root) or absent(root, *self.list_files, self.targets, *masks)

    @property
    def list_files(self) -> list[str]:
        return [file for file in (self.train_list, self.test_list) if file is not None]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        def of(file: str | None, split: Split, inputs: str | None) -> list[Row]:
            names = [] if file is None else _named_videos(root / file, root / self.targets)
            return [footage(name, split, targets=self.targets, inputs=inputs) for name in names]

        train, test = of(self.train_list, "train", None), of(self.test_list, "test", self.masks)
        if not train:
            return [*test, *same_rows(test, split="val")]
        return completed_splits(
            [*train, *test],
            val_fraction=self.val_fraction,
            notes=notes,
            own="lists in another layout",
        )


def _named_videos(file: Path, folder: Path) -> list[str]:
    """The names in a list of STTN's or ProPainter's. Raises `BadRequest`."""
    try:
        listed = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BadRequest(f"{file}: no JSON: {error}") from None
    if not isinstance(listed, dict) or not listed:
        raise BadRequest(f"{file}: not like {{'bear': 82}}, the name of a video and the number of its frames")
    return [check_path(name, folder=folder, place=str(file)) for name in listed]
