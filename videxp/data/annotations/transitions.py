"""Where films go over from one shot into the next: cuts, dissolves, fades, wipes.

A transition is the pair (before, after): the last frame that the shot before it has to itself, and the first that the
shot after it has. A cut is (29, 30); a dissolve with four mixed frames is (29, 34). So ClipShots states them, and so
they follow from a list of scenes.

Legend: K clips of a sample, V views of a clip, N clips of a batch, T frames, M transitions of all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from videxp.data.annotations.annotation import Annotation, Shown, Stack
from videxp.data.manifest import FIELD, Facts, Row
from videxp.video.shots import Transition, marked_frames, middle_frame

if TYPE_CHECKING:
    from videxp.data.annotations.ragged import Ragged


class Transitions(Annotation):
    """A `Ragged` of N clips with rows `between` int64 [M,2]: before and after, as places in the clip.

    A clip has the transitions of which it shows a frame that `targets` marks. What a clip does not show of one lies at
    -1 or earlier, and at T or later.
    """

    def __init__(self, name: str = "transitions") -> None:
        super().__init__(name, columns=(FIELD + name,))

    @staticmethod
    def pack(transitions: Iterable[Transition], *, num_frames: int | None = None) -> str:
        """What a layout states in a row's `fields`: `29 30;75 80`; `none` for a film that is one shot.

        num_frames: of the film, where the list tells: `300:29 30;75 80`.
        """
        count = "" if num_frames is None else f"{num_frames}:"
        return count + (";".join(f"{before} {after}" for before, after in transitions) or NONE)

    def prepare(self, row: Row, own: Facts, facts: Mapping[str, Facts]) -> tuple[Row, Facts]:
        """With the film's own count of frames. Where it has one more than is stated, decoders of that time left out the
        first, and all transitions are one frame later (Soucek and Lokoc 2020)."""
        if own.error or not row.field(self.name):
            return row, own
        count, _, text = row.field(self.name).rpartition(":")
        late = own.num_frames - int(count or own.num_frames)
        if late not in (0, 1):
            return row, replace(own, error=f"its transitions are of {count} frames, it has {own.num_frames}")
        transitions = [(before + late, after + late) for before, after in unpack(text)]
        for before, after in transitions:
            if not 0 <= before < after < own.num_frames:
                cause = f"its transition {before} to {after} is none within its {own.num_frames} frames"
                return row, replace(own, error=cause)
        for (before, after), (then, _) in pairwise(transitions):
            if then < after:
                cause = f"its transition {before} to {after} has not ended where the next one begins, at {then}"
                return row, replace(own, error=cause)
        return row.with_field(self.name, self.pack(transitions)), own

    def stated(self, row: int) -> list[Transition] | None:
        """Those of a sample's film; None where nothing is stated."""
        text = self.values[FIELD + self.name][row]
        return unpack(text) if text else None

    def read(self, shown: Shown) -> "Ragged | None":
        """Of the sample's own K*V clips."""
        import torch

        from videxp.data.annotations.ragged import Ragged

        if (stated := self.stated(shown.row)) is None:
            return None
        views = len(shown.clip) // len(shown.frames_KT)
        parts = []
        for frames_T in shown.frames_KT:
            between = torch.from_numpy(places_of(stated, frames_T))
            parts += [Ragged.of_one({"between": between})] * views
        return Ragged.join(parts)

    def collate(self, values: list["Ragged"], stack: Stack) -> "Ragged":
        from videxp.data.annotations.ragged import Ragged

        return Ragged.join(values)


NONE = "none"


def unpack(text: str) -> list[Transition]:
    """`Transitions.pack` undone."""
    parts = [part.split() for part in text.split(";")] if text and text != NONE else []
    return [(int(before), int(after)) for before, after in parts]


def places_of(transitions: Iterable[Transition], frames_T: np.ndarray) -> np.ndarray:
    """int64 [M,2]: of the transitions that a clip of these frames shows, the last place that shows a frame up to
    `before` and the first that shows one from `after` on; before and behind the clip they go on as it does."""
    first, last = int(frames_T[0]), int(frames_T[-1])
    step = max(1, int(frames_T[1]) - first) if len(frames_T) > 1 else 1
    places = []
    for before, after in transitions:
        found = (
            int(np.searchsorted(frames_T, before, "right")) - 1 if before >= first else (before - first) // step,
            int(np.searchsorted(frames_T, after, "left"))
            if after <= last
            else len(frames_T) + (after - last - 1) // step,
        )
        marked = marked_frames(*found)
        if before <= last and marked.start < len(frames_T) and marked.stop > 0:
            places.append(found)
    return np.array(places, dtype=np.int64).reshape(-1, 2)


# ---- what a network is to say -----------------------------------------------------------------------------------


def targets(transitions: Iterable[Transition], *, num_frames: int) -> np.ndarray:
    """float32 [T,2], 1 or 0: is it the middle of a transition (one-hot), does it belong to one (many-hot)?

    As TransNetV2 is trained (Soucek and Lokoc 2020, section 3.2): the frame before a cut, of a longer transition
    before + (after - before) // 2; and all frames in between.
    """
    target_T2 = np.zeros((num_frames, 2), dtype=np.float32)
    for before, after in transitions:
        middle = middle_frame(before, after)
        if 0 <= middle < num_frames:
            target_T2[middle, 0] = 1
        marked = marked_frames(before, after)
        target_T2[max(marked.start, 0) : max(marked.stop, 0), 1] = 1
    return target_T2
