"""The shot that a training clip goes over into, and how: transitions are made of a data set's own shots.

Soucek and Lokoc 2020 (TransNet V2), section 3.2: two shots, a boundary anywhere in the clip, half of the time a cut,
else a dissolve of 2, 4, ... 30 frames. Which shots, where and how is drawn from (seed, epoch, index). The worker reads
the second shot; the two are changed and mixed on the device (`videxp.transforms.SceneTrain`).

Legend: T frames, h, w pixels, C = 3 channels; M of a batch's N clips go over into another shot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.annotation import Annotation, Shown, Stack
from videxp.data.annotations.transitions import places_of, targets, unpack
from videxp.data.manifest import FIELD, Manifest
from videxp.video.joining import NO_WIPE, WIPES, Joint, cut_shares, linear_progress
from videxp.video.shots import Transition, middle_frame

if TYPE_CHECKING:
    from torch import Tensor

    from videxp.data.annotations.ragged import Ragged

STATED = FIELD + "transitions"
Shot = tuple[int, int]  # [start, end) in frames of its film


@dataclass(frozen=True)
class Joined:
    """What is made of a sample."""

    first: "Tensor"
    following: "Tensor"
    """uint8 [1,T,h,w,C] each"""
    row: int
    """The split's sample that the second one is of."""
    joint: Joint
    transitions: Sequence[Transition]


class NextShot(Annotation):
    """A `Ragged` of N clips with rows `first` and `following`, uint8 [M,T,h,w,C], two shots; `shares` float32 [M,2,T],
    how much a frame has of each; `wipe` int64 [M]; `row` int64 [M], the split's sample whose shot follows; `target`
    float32 [M,T,2], what `transitions.targets` tells. Films that are evaluated, if their transitions are stated, have
    none.

    A film of which no transitions are stated is one shot. A shot of less than `min_frames` frames is not taken where
    there are others. The boundary is anywhere within the first shot; the next one, where possible, is long enough for
    the rest of the clip, else it holds its last frame.

    hard_cuts: the chance of a cut. fades, wipes: of the other transitions so many are fades through black, and wipes;
        the rest are dissolves. mixed_frames: [least, most] frames of those, even.
    real: the chance that a clip shows, instead of two shots, a transition of its film, where such are stated.
    """

    def __init__(
        self,
        name: str = "next_shot",
        *,
        hard_cuts: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        fades: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        wipes: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        mixed_frames: Sequence[int] = (2, 30),
        real: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        min_frames: Annotated[int, Ge(1)] = 25,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(name, columns=("split", "num_frames", "start_seconds", "end_seconds", "fps"))
        where = f"dataset.annotations.{name}"
        least, most = mixed_frames
        if least < 2 or least > most or least % 2 or most % 2:
            raise BadRequest(f"{where}.mixed_frames={list(mixed_frames)} must be two even numbers, from 2: [2, 30]")
        if fades + wipes > 1:
            raise BadRequest(f"{where}: fades={fades:g} and wipes={wipes:g} are more than all gradual transitions")
        self.hard_cuts = hard_cuts
        self.fades = fades
        self.wipes = wipes
        self.half_lengths = least // 2, most // 2
        self.real = real
        self.min_frames = min_frames
        self.seed = seed
        self.is_train = False

    def for_samples(self, manifest: Manifest, samples: np.ndarray) -> Self:
        bound = super().for_samples(manifest, samples)
        start, end, fps = (bound.values.pop(name) for name in ("start_seconds", "end_seconds", "fps"))
        count = bound.values.pop("num_frames")
        bound.is_train = "train" in bound.values.pop("split")
        bound.values["stated"] = manifest[STATED][samples] if STATED in manifest.columns else None
        bound.values["start"] = np.ceil(np.nan_to_num(start) * fps).astype(np.int64)
        bound.values["end"] = np.where(np.isnan(end), count, np.minimum(count, np.floor(end * fps))).astype(np.int64)
        bound.values["longest"] = np.maximum(bound.values["end"] - bound.values["start"], 1)
        if bound.values["stated"] is not None:
            longest = [max(map(_length, bound.shots(row))) for row in range(len(samples))]
            bound.values["longest"] = np.array(longest, dtype=np.int64)
        return bound

    def read(self, shown: Shown) -> "Ragged | None":
        """Raises as reading the sample does, and BadRequest for several clips of a sample, and for a single shot."""
        import torch

        from videxp.data.annotations.ragged import Ragged

        if self._stated(shown.row) and not self.is_train:
            return None
        if len(shown.clip) > 1:
            key = "dataset.clips.clips_per_video"
            raise BadRequest(f"dataset.annotations.{self.name} takes one clip of a sample: set {key}=1")
        epoch, index = shown.key
        rng = generator(self.seed, stream=Stream.JOIN, epoch=epoch, index=index)
        is_real = rng.random() < self.real
        own = unpack(self._stated(shown.row))
        made = self._real(shown, own, rng) if is_real and own else self._joined(shown, own, rng)
        rows = {
            "first": made.first,
            "following": made.following,
            "shares": torch.from_numpy(made.joint.shares_2T)[None],
            "wipe": torch.tensor([made.joint.wipe]),
            "row": torch.tensor([made.row]),
            "target": torch.from_numpy(targets(made.transitions, num_frames=shown.clip.shape[1]))[None],
        }
        return Ragged.of_one(rows)

    def collate(self, values: list["Ragged"], stack: Stack) -> "Ragged":
        from videxp.data.annotations.ragged import Ragged

        return Ragged.join(values)

    def joined_rows(self, value: "Ragged") -> list[int]:
        return value.rows["row"].tolist()

    def shots(self, row: int) -> list[Shot]:
        """Those of a sample that are long enough; the longest where none is."""
        start, end = int(self.values["start"][row]), int(self.values["end"][row])
        stated = unpack(self._stated(row))
        starts = [start, *(max(start, after) for _, after in stated)]
        ends = [*(min(end, before + 1) for before, _ in stated), end]
        found = [(a, b) for a, b in zip(starts, ends) if b > a] or [(start, max(end, start + 1))]
        return [shot for shot in found if shot[1] - shot[0] >= self.min_frames] or [max(found, key=_length)]

    def _stated(self, row: int) -> str:
        stated = self.values["stated"]
        return "" if stated is None else stated[row]

    # ---- a transition of the film's own ---------------------------------------------------------------------------

    def _real(self, shown: Shown, own: Sequence[Transition], rng: np.random.Generator) -> Joined:
        """The clip, if it shows one; else another of its film that does."""
        frames_T, clip = shown.frames_KT[0], shown.clip
        if not len(places_of(own, frames_T)):
            step, length = _step(frames_T), len(frames_T)
            start, end = int(self.values["start"][shown.row]), int(self.values["end"][shown.row])
            middle = middle_frame(*own[int(rng.integers(len(own)))]) - step * int(rng.integers(length))
            first = min(max(middle, start), max(end - step * length, start))
            frames_T = np.minimum(first + step * np.arange(length), end - 1)
            clip = shown.read_frames(shown.row, frames_T[None])
        transitions = [(int(before), int(after)) for before, after in places_of(own, frames_T)]
        return Joined(clip, clip, shown.row, Joint(cut_shares(len(frames_T), num_frames=len(frames_T))), transitions)

    # ---- a transition that is made --------------------------------------------------------------------------------

    def _joined(self, shown: Shown, own: Sequence[Transition], rng: np.random.Generator) -> Joined:
        frames_T, first = shown.frames_KT[0], shown.clip
        length, step = len(frames_T), _step(frames_T)
        if len(places_of(own, frames_T)):
            frames_T = _within(self._shot(shown.row, 1, rng), num_frames=length, step=step, rng=rng)
            first = shown.read_frames(shown.row, frames_T[None])
        joint, transition = self._draw(length, usable=len(np.unique(frames_T)), rng=rng)
        row, following = self._following(shown, joint, step, rng)
        return Joined(first, following, row, joint, [transition])

    def _draw(self, num_frames: int, *, usable: int, rng: np.random.Generator) -> tuple[Joint, Transition]:
        """usable: frames of the clip in which the first shot moves; behind them it holds its last one."""
        is_cut, kind, half, place, wipe = rng.random(5)
        least, most = self.half_lengths
        half_length = 0 if is_cut < self.hard_cuts else least + int(half * (most - least + 1))
        last = num_frames if usable >= num_frames else usable - half_length
        if last < 1:  # too short a shot for so long a transition
            half_length, last = 0, usable
        boundary = int(place * last)
        if not half_length:
            return Joint(cut_shares(boundary, num_frames=num_frames)), (boundary, boundary + 1)
        transition = boundary - half_length, boundary + half_length + 1
        progress_T = linear_progress(transition, num_frames=num_frames)
        if kind < self.fades:
            return Joint(np.stack([np.clip(1 - 2 * progress_T, 0, 1), np.clip(2 * progress_T - 1, 0, 1)])), transition
        way = int(wipe * len(WIPES)) if kind < self.fades + self.wipes else NO_WIPE
        return Joint(np.stack([1 - progress_T, progress_T]), way), transition

    def _following(self, shown: Shown, joint: Joint, step: int, rng: np.random.Generator) -> tuple[int, "Tensor"]:
        """(another sample, uint8 [1,T,h,w,C] of it): the next shot, from the first frame that has some of it; before,
        its first one stands."""
        import torch

        needed = max(1, int((joint.shares_2T[1] > 0).sum()))
        span = step * (needed - 1) + 1
        others = np.flatnonzero(self.values["longest"] >= span)
        others = others[others != shown.row]
        if not len(others):
            others = np.delete(np.arange(len(self.values["longest"])), shown.row)
        if not len(others):
            raise BadRequest(f"dataset.annotations.{self.name}: there is one video, and none that could follow it")
        other = int(others[rng.integers(len(others))])
        frames = _within(self._shot(other, span, rng), num_frames=needed, step=step, rng=rng)
        clip = shown.read_frames(other, frames[None])
        held = clip[:, :1].expand(-1, shown.clip.shape[1] - needed, -1, -1, -1)
        return other, torch.cat([held, clip], dim=1)

    def _shot(self, row: int, span: int, rng: np.random.Generator) -> Shot:
        """One of a film's shots of at least so many frames, if there is one."""
        shots = self.shots(row)
        fitting = [shot for shot in shots if _length(shot) >= span] or [max(shots, key=_length)]
        return fitting[int(rng.integers(len(fitting)))]


def _length(shot: Shot) -> int:
    return shot[1] - shot[0]


def _step(frames_T: np.ndarray) -> int:
    return max(1, int(frames_T[1] - frames_T[0])) if len(frames_T) > 1 else 1


def _within(shot: Shot, *, num_frames: int, step: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [num_frames]: frames in a row at a random place of a shot, whose last frame is held where it is shorter."""
    room = _length(shot) - (step * (num_frames - 1) + 1)
    start = shot[0] + int(rng.integers(max(room, 0) + 1))
    return np.minimum(start + step * np.arange(num_frames), shot[1] - 1)
