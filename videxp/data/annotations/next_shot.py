"""The shot that a training clip goes over into, and how: transitions are made of a data set's own shots.

Soucek and Lokoc 2020 (TransNet V2), section 3.2: two shots, a boundary anywhere in the clip, half of the time a cut,
else a dissolve of 2, 4, ... 30 frames. Which shots, where and how is drawn from (seed, epoch, index). The worker reads
the second shot; the two are changed and mixed on the device (`videxp.transforms.SceneTrain`).

Legend: T frames, h, w pixels, C = 3 channels; M of a batch's N clips go over into another shot.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.annotation import Annotation, Shown, Stack
from videxp.data.annotations.transitions import Transition, middle_frame, places_of, targets, unpack
from videxp.data.manifest import FIELD, Manifest
from videxp.video.joining import NO_WIPE, WIPES, Joint, cut_shares, linear_progress

if TYPE_CHECKING:
    from torch import Tensor

    from videxp.data.annotations.ragged import Ragged

STATED = FIELD + "transitions"


class NextShot(Annotation):
    """A `Ragged` of N clips with rows `clip` uint8 [M,T,h,w,C], of another of the split's samples; `shares` float32
    [M,2,T], how much frames have of the two; `wipe` int64 [M]; `target` float32 [M,T,2], what `transitions.targets`
    tells. Films that are evaluated, whose transitions are stated, have no next shot.

    hard_cuts: the chance of a cut. fades, wipes: of the other transitions so many are fades through black, and wipes;
        the rest are dissolves. num_frames: [least, most] frames of those, even.
    real: the chance that the clip shows, instead of two shots, the transition in which its own shot ends; of parts of
        films whose transitions are stated.

    A clip's boundary is anywhere within the first shot, and the next shot, where possible, is long enough for the rest
    of the clip; where there is none, it holds its last frame.
    """

    def __init__(
        self,
        name: str = "next_shot",
        *,
        hard_cuts: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        fades: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        wipes: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        num_frames: Sequence[int] = (2, 30),
        real: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(name, columns=("split", "num_frames", "start_seconds", "end_seconds", "fps"))
        where = f"dataset.annotations.{name}"
        least, most = num_frames
        if least < 2 or least > most or least % 2 or most % 2:
            raise BadRequest(f"{where}.num_frames={list(num_frames)} must be two even numbers, from 2: [2, 30]")
        if fades + wipes > 1:
            raise BadRequest(f"{where}: fades={fades:g} and wipes={wipes:g} are more than all gradual transitions")
        self.hard_cuts = hard_cuts
        self.fades = fades
        self.wipes = wipes
        self.half_lengths = least // 2, most // 2
        self.real = real
        self.seed = seed
        self.is_train = False
        self.lengths = np.empty(0)

    def for_samples(self, manifest: Manifest, samples: np.ndarray) -> Self:
        bound = super().for_samples(manifest, samples)
        bound.is_train = "train" in bound.values.pop("split")
        if STATED in manifest.columns:
            bound.values[STATED] = manifest[STATED][samples]
        start, end, fps, count = (
            bound.values.pop(name) for name in ("start_seconds", "end_seconds", "fps", "num_frames")
        )
        bound.values["num_frames"] = count
        bound.lengths = ((np.fmin(end, count / fps) - np.fmax(start, 0)) * fps).round()
        return bound

    def read(self, shown: Shown) -> "Ragged | None":
        """Raises as reading the sample does, and BadRequest for several clips of a sample."""
        import torch

        from videxp.data.annotations.ragged import Ragged

        stated = self.values[STATED][shown.row] if STATED in self.values else ""
        if stated and not self.is_train:
            return None
        if len(shown.clip) > 1:
            raise BadRequest(f"dataset.annotations.{self.name} takes one clip of a sample: set clips_per_video=null")
        epoch, index = shown.key
        rng = generator(self.seed, stream=Stream.JOIN, epoch=epoch, index=index)
        own = unpack(stated)
        if real := self._real_clip(shown, own, rng):
            clip, frames_T = real
            num_frames = len(frames_T)
            transitions = [(int(before), int(after)) for before, after in places_of(own, frames_T)]
            joint = Joint(np.repeat([[0.0], [1.0]], num_frames, axis=1).astype(np.float32))
        else:
            num_frames = shown.clip.shape[1]
            joint, transition = self._draw(num_frames, usable=len(np.unique(shown.frames_KT[0])), rng=rng)
            transitions = [transition]
            clip = self._next_clip(shown, joint, rng)
        rows = {
            "clip": clip,
            "shares": torch.from_numpy(joint.shares_2T)[None],
            "wipe": torch.tensor([joint.wipe]),
            "target": torch.from_numpy(targets(transitions, num_frames=num_frames))[None],
        }
        return Ragged.of_one(rows)

    def collate(self, values: list["Ragged"], stack: Stack) -> "Ragged":
        from videxp.data.annotations.ragged import Ragged

        return Ragged.join(values)

    # ---- a transition of the film's own ---------------------------------------------------------------------------

    def _real_clip(
        self, shown: Shown, own: Sequence[Transition], rng: np.random.Generator
    ) -> "tuple[Tensor, np.ndarray] | None":
        """(uint8 [1,T,h,w,C], its frames [T]); None: two shots are to be joined."""
        frames_T = shown.frames_KT[0]
        if len(places_of(own, frames_T)):  # its clip has some already
            return shown.clip, frames_T
        ends = next((transition for transition in own if transition[0] >= frames_T[-1]), None)
        if rng.random() >= self.real or ends is None:
            return None
        last = int(self.values["num_frames"][shown.row]) - 1
        start = middle_frame(*ends) - int(rng.integers(len(frames_T)))
        start = min(max(start, 0), max(last + 1 - len(frames_T), 0))
        frames_T = np.minimum(start + np.arange(len(frames_T)), last)
        return shown.read_frames(shown.row, frames_T[None]), frames_T

    # ---- a transition that is made --------------------------------------------------------------------------------

    def _draw(self, num_frames: int, *, usable: int, rng: np.random.Generator) -> tuple["Joint", Transition]:
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

    def _next_clip(self, shown: Shown, joint: "Joint", rng: np.random.Generator) -> "Tensor":
        """uint8 [1,T,h,w,C]: the next shot, from the first frame that has some of it; before, its first one stands."""
        import torch

        needed = max(1, int((joint.shares_2T[1] > 0).sum()))
        others = np.flatnonzero(self.lengths >= needed)
        others = others[others != shown.row]
        if not len(others):
            others = np.delete(np.arange(len(self.lengths)), shown.row)
        if not len(others):
            raise BadRequest(f"dataset.annotations.{self.name}: there is one shot, and none that could follow it")
        other = int(others[rng.integers(len(others))])
        clip = shown.read_frames(other, shown.frames_of(other, rng)[:, :needed])
        held = clip[:, :1].expand(-1, shown.clip.shape[1] - needed, -1, -1, -1)
        return torch.cat([held, clip], dim=1)
