"""MIT-Adobe FiveK: pictures and what an expert made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from videxp.core.limits import Gt, Interval
from videxp.data.layouts.base import absent, completed_splits
from videxp.data.layouts.footage import footage, listed_clips
from videxp.data.layouts.frame_folders import ImageSequences
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes


@dataclass(kw_only=True)
class FiveK(ImageSequences):
    """FiveK as Image-Adaptive-3DLUT has it: pictures, each a clip of one frame, and the same retouched.

    root/<inputs>/a0001.jpg and root/<targets>/a0001.jpg, and lists of names without ending: train_input.txt and
    train_label.txt are both to train on (their names come from training on unpaired pictures). val: val_fraction of
    those.
    """

    inputs: str = "input/JPG/480p"
    targets: str = "expertC/JPG/480p"
    train_lists: Sequence[str] = ("train_input.txt", "train_label.txt")
    test_list: str = "test.txt"
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.02
    template: str = "*.jpg"
    fps: Annotated[float, Gt(0)] = 1.0

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, *self.list_files, self.inputs, self.targets)

    @property
    def list_files(self) -> list[str]:
        return [*self.train_lists, self.test_list]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        def of(file: str, split: Split) -> list[Row]:
            names = [name.removesuffix(".jpg") for name in listed_clips(root / file, root / self.targets)]
            return [footage(f"{name}.jpg", split, targets=self.targets, inputs=self.inputs) for name in names]

        return completed_splits(
            [*(row for file in self.train_lists for row in of(file, "train")), *of(self.test_list, "test")],
            val_fraction=self.val_fraction,
            notes=notes,
            own="lists in another layout",
        )
