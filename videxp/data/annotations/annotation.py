"""A kind of field that samples have beside their clip: all that is known of it stands in one class in one file.

Legend: n samples of a split, B samples of a batch, K clips of a sample, N clips of a batch, T frames.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from videxp.core.errors import BadRequest
from videxp.data.manifest import Facts, Manifest, Row
from videxp.data.notes import Notes

if TYPE_CHECKING:  # torch, which preparing does without
    from torch import Tensor

    from videxp.data.loading.cropping import Box
    from videxp.video.placing import Move, Placement, Tile

KEYS = ("clip", "video", "target", "condition", "index", "epoch", "total", "failures", "mix_label", "mix_weight")
"""Of batches beside annotations."""

Stack = Callable[[list["Tensor"]], "Tensor"]


@dataclass(frozen=True)
class Shown:
    """What the clips of a sample show, by which the values of its other fields are read."""

    row: int
    """Of the split's samples."""
    key: tuple[int, int]
    """(epoch, index), from which all randomness is drawn."""
    frames_KT: np.ndarray
    box: "Box"
    """What is cut out of each picture."""
    clip: "Tensor"
    """uint8 [N,T,H,W,C], N of this sample alone."""
    picture_size: tuple[int, int]
    """(height, width) of the pictures before they were cut."""
    placements: Callable[[], list["Placement"]]
    """Where the pictures came to lie in each of the N clips."""
    read_frames: Callable[[int, np.ndarray], "Tensor"]
    """(row, frames [K,T]) -> uint8 [N,T,H,W,C]: frames of another of the split's samples, cut as this one's."""


class Annotation:
    """A field of batches, called `name`. `for_samples` gives the one that reads it."""

    on_device: ClassVar[bool] = True
    """Whether it goes to the device with the clips."""
    class_of: np.ndarray | None = None
    """int64 [n], the class of each sample, by which they are balanced and spread; None: they have not one each."""

    moves: ClassVar[bool] = False
    """Whether a clip's change of position, in space or time, is one of the value: `move`."""
    joins: ClassVar[bool] = False
    """Whether one clip that is made of parts of several has a value of theirs: `join`."""
    follows_cuts: ClassVar[bool] = False
    """Whether it depends on what is cut out of pictures, as workers alone know."""

    def __init__(self, name: str, *, columns: tuple[str, ...] = ()) -> None:
        """columns: of the manifest, that workers need."""
        self.name = name
        self.columns = columns
        self.values: dict[str, Any] = {}

    def prepare(self, row: Row, own: Facts, facts: Mapping[str, Facts]) -> tuple[Row, Facts]:
        """A sample as the manifest keeps it; its facts have an error where its annotation does not fit its video.

        own: what is known of the sample's file. facts: of each file that rows name.
        """
        return row, own

    def tell(self, rows: Sequence[Row], facts: Mapping[str, Facts], notes: Notes) -> None:
        """Note what is remarkable about what all samples state together."""

    def for_samples(self, manifest: Manifest, samples: np.ndarray) -> Self:
        """The same with the values of these samples, int64 [n]; what workers are forked with, so keep it compact."""
        bound = copy.copy(self)
        bound.values = {name: manifest[name][samples] for name in self.columns}
        return bound

    def read(self, shown: Shown) -> Any:
        """The value for the frames that were chosen and the cut that was made; None: the sample has no such field.

        Raises as reading the sample's own file does.
        """
        raise NotImplementedError

    def collate(self, values: list[Any], stack: Stack) -> Any:
        """Those of B samples as a batch has them. stack: makes one of several uint8 tensors, in shared memory."""
        from torch.utils.data import default_collate

        return default_collate(values)

    def move(self, value: Any, moves: Sequence["Move"], *, clip_THW: tuple[int, int, int]) -> Any:
        """A batch's value after the clips have been moved; of annotations that `moves`.

        moves: of each of N clips. clip_THW: frames, height and width of them before.
        """
        raise NotImplementedError

    def join(self, value: Any, mosaics: Sequence[Sequence["Tile"]], *, clip_HW: tuple[int, int]) -> Any:
        """A batch's value after clips have been made of parts of its clips; of annotations that `joins`.

        mosaics: of each of N clips. clip_HW: height and width of all.
        """
        raise NotImplementedError

    def leave_hidden(self, value: Any, *, min_visible: float) -> Any:
        """A batch's value without what clips show less of than this share of its area."""
        return value

    def joined_rows(self, value: Any) -> list[int]:
        """Of a batch's value: the split's sample that each of its B samples was joined to; none where they are not."""
        return []

    def largest_bytes(self, clip_bytes: int) -> int:
        """Pixels that `collate` stacks for a sample, at most, where those of its clips take `clip_bytes`."""
        return 0


def check_names(annotations: Sequence[Annotation]) -> None:
    """Raises BadRequest for two of one name, and for one that batches have already."""
    names = [*KEYS, *(annotation.name for annotation in annotations)]
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise BadRequest(f"dataset.layout: annotations called {', '.join(again)}: batches have this key: rename it")


def fields_on_device(annotations: Sequence[Annotation]) -> tuple[str, ...]:
    """Names of what a batch takes to the device."""
    return ("clip", *(annotation.name for annotation in annotations if annotation.on_device))
