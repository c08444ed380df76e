"""MFQEv2: raw sequences and what HEVC left of them (Guan et al. 2019), in the folders of their authors.

root/train_108/raw/NAME_WxH_FRAMES.yuv and root/train_108/<compressed>/NAME_WxH_FRAMES.yuv, test_18 alike. Raw files
have no header, so they are wrapped without loss on first use, below root/lossless: about half as many bytes again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from videxp.core.limits import Interval
from videxp.core.processes import in_processes
from videxp.data.layouts.base import Layout, absent, completed_splits
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes

FOLDERS: dict[str, Split] = {"train_108": "train", "test_18": "test"}
LOSSLESS = "lossless"


@dataclass(kw_only=True)
class Mfqev2(Layout):
    """compressed: folder of the degraded counterparts, under train_108 and under test_18.

    val: val_fraction of the training sequences, by hash.
    """

    compressed: str = "HM16.5_LDP/QP37"
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.05

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        names = [f"{folder}/{kind}" for folder in FOLDERS for kind in ("raw", self.compressed)]
        if problems := absent(root, *names):
            return problems
        pairs = list(self._pairs(root))
        if lost := [given for _, given in pairs if not given.exists()]:
            return [f"{lost[0]} does not exist: the compressed counterpart of a raw sequence"]
        return [] if pairs else [f"{root / names[0]} holds no .yuv files"]

    def _pairs(self, root: Path) -> Iterator[tuple[Path, Path]]:
        for folder in FOLDERS:
            for raw in sorted((root / folder / "raw").glob("*.yuv")):
                yield raw, root / folder / self.compressed / raw.name

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        rows = [
            Row(
                path=lossless(raw, root).relative_to(root).as_posix(),
                split=FOLDERS[raw.relative_to(root).parts[0]],
                input=lossless(given, root).relative_to(root).as_posix(),
            )
            for raw, given in self._pairs(root)
        ]
        return completed_splits(
            rows, val_fraction=self.val_fraction, notes=notes, own="sequences in folders of their own"
        )

    def make(self, root: Path) -> None:
        """Files appear whole, so an interrupted run goes on where it stopped."""
        files = [file for pair in self._pairs(root) for file in pair if not lossless(file, root).exists()]
        for file in files:
            lossless(file, root).parent.mkdir(parents=True, exist_ok=True)
        if files:
            for _ in in_processes(partial(wrap, root=root), files, description="Wrapping raw sequences"):
                pass


def lossless(file: Path, root: Path) -> Path:
    """root/a/b.yuv -> root/lossless/a/b.mkv."""
    return (root / LOSSLESS / file.relative_to(root)).with_suffix(".mkv")


def wrap(file: Path, *, root: Path) -> None:
    from videxp.video.raw_yuv import wrap_yuv

    wrap_yuv(file, lossless(file, root))
