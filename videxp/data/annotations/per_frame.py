"""A number for each frame, stated for intervals of frames: who speaks, how fast, is this a cut.

Legend: K clips of a sample, V views of a clip, N clips of a batch, T frames.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from videxp.data.annotations.annotation import Annotation, Shown, Stack
from videxp.data.manifest import FIELD, Facts, Row

if TYPE_CHECKING:
    from torch import Tensor

    from videxp.video.placing import Move

Interval = tuple[int, int, float]  # (first frame, last frame, value)


class PerFrame(Annotation):
    """float32 [N,T]: the value of each frame that a clip shows.

    missing: the value of frames of which nothing is stated. Of intervals that overlap, the later one stands.
    """

    moves = True

    def __init__(self, name: str, *, missing: float = nan) -> None:
        super().__init__(name, columns=(FIELD + name,))
        self.missing = missing

    @staticmethod
    def pack(intervals: Iterable[Interval]) -> str:
        """What a layout states in a row's `fields`: `0 24 1.0;25 30 0.0`."""
        return ";".join(f"{first} {last} {value!r}" for first, last, value in intervals)

    def prepare(self, row: Row, own: Facts, facts: Mapping[str, Facts]) -> tuple[Row, Facts]:
        if own.error:
            return row, own
        for first, last, _ in unpack(row.field(self.name)):
            if not 0 <= first <= last < own.num_frames:
                cause = f"its {self.name} is stated for frames {first} to {last}, it has {own.num_frames}"
                return row, replace(own, error=cause)
        return row, own

    def read(self, shown: Shown) -> "Tensor":
        """float32 [K*V,T]"""
        import torch

        intervals = unpack(self.values[FIELD + self.name][shown.row])
        values_KT = np.full(shown.frames_KT.shape, self.missing, dtype=np.float32)
        for first, last, value in intervals:
            values_KT[(shown.frames_KT >= first) & (shown.frames_KT <= last)] = value
        return torch.from_numpy(values_KT).repeat_interleave(len(shown.clip) // len(values_KT), dim=0)

    def collate(self, values: list["Tensor"], stack: Stack) -> "Tensor":
        return super().collate(values, stack).flatten(0, 1)

    def move(self, value: "Tensor", moves: Sequence["Move"], *, clip_THW: tuple[int, int, int]) -> "Tensor":
        import torch

        return torch.stack([of_clip[move.order(len(of_clip))] for of_clip, move in zip(value, moves, strict=True)])


def unpack(text: str) -> list[Interval]:
    """`PerFrame.pack` undone."""
    parts = [part.split() for part in text.split(";")] if text else []
    return [(int(first), int(last), float(value)) for first, last, value in parts]
