"""Training and evaluation of restoration: a clean clip, and what a network gets to restore it from.

Legend: B items, k clips per item, N = B*k, T frames, C = 3 channels, H, W pixels; h = H / scale, w = W / scale.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.core.randomness import Stream, generator
from videxp.transforms.corruptions.training import CorruptionOptions, training_corruptions
from videxp.transforms.train import check_clip, without
from videxp.video.placing import Move

Key = tuple[int, int]  # (epoch, index)
# Columns of a clip's uniform numbers. A new use takes the next one, so that it shifts no other.
_FLIP, _TURN, _TIME = range(3)
_DRAWS = 8


class Degraded(NamedTuple):
    """What a degradation makes of clean clips; float."""

    video: Tensor
    """[N,T,C,h,w] about [0,1]."""
    target: Tensor
    """[N,T,C,H,W] in [0,1]: the clean clips, or those of their frames that are to be restored."""
    condition: Tensor | None = None
    """[N,T,K,h,w]: what else a network may be told of each pixel, as the degradation's `tells` says."""

    def fields(self) -> dict[str, Tensor]:
        """Those that there are, by their names in a batch."""
        named = {"video": self.video, "target": self.target}
        return named if self.condition is None else {**named, "condition": self.condition}


class RestorationEval(nn.Module):
    """uint8 clips -> `video`, what the network gets, and `target`, both float in [0,1].

    degradation: a module that makes the input of the target, `forward(clip [N,T,C,H,W], rngs) -> Degraded`, where rngs
        are numpy generators, one for each clip; null where the data brings inputs. Its `str` names it in results.
    mirror: the clip followed by its reverse, 2T frames (BasicVSR on Vimeo-90K).
    seed: of the degradation.
    """

    gives_target: ClassVar[bool] = True
    distorts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, *, degradation: nn.Module | None = None, mirror: bool = False, seed: Annotated[int, Ge(0)] = 0
    ) -> None:
        super().__init__()
        self.degradation = degradation
        self.mirror = mirror
        self.seed = seed

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A new dict with `video` float [N,T,C,h,w] and `target` float [N,T,C,H,W] in [0,1], in place of `clip`
        and `degraded`, and with `condition` float [N,T,K,h,w] where the degradation gives one.

        batch: `clip` uint8 [N,T,H,W,C], `index` and `epoch` int64 [B] on the CPU; `degraded` uint8 [N,T,h,w,C] where
        the data brings it. Raises BadRequest where there is neither a degraded clip nor a degradation, or both.
        """
        keys: list[Key] = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        check_clip(batch["clip"], items=len(keys))
        if ("degraded" in batch) == (self.degradation is not None):
            raise BadRequest(
                "dataset transforms: the data brings the network's input: set degradation=null"
                if "degraded" in batch
                else "dataset transforms: no degradation, and the data brings no input: set degradation"
            )
        clips = [as_float(batch[name]) for name in ("clip", "degraded") if name in batch]
        target, *given = self.augmented(clips, self.moves(batch))
        if self.degradation is None:
            made = Degraded(given[0], target)
        else:
            made = degrade(self.degradation, target, seed=self.seed, keys=keys)
        fields = made.fields()
        if self.mirror:
            fields = {name: torch.cat([value, value.flip(1)], dim=1) for name, value in fields.items()}
        return without(batch, "clip", "degraded") | fields

    def moves(self, batch: dict[str, Any]) -> list[Move]:
        """How `forward` moves each clip of a batch, and what goes with it."""
        return [Move(mirror=self.mirror)] * len(batch["clip"])

    def augmented(self, clips: list[Tensor], moves: list[Move]) -> list[Tensor]:
        """Target and, where there is one, input: float [N,T,C,H,W]. Evaluation leaves them as they are."""
        return clips


class RestorationTrain(RestorationEval):
    """The same with augmentation, alike in clip and input; the degradation is another one in each epoch.

    flip: chance of a left-right mirror. rotate: turn by 0, 90, 180 or 270 degrees, equally likely (frames that are not
        square: 0 or 180); with flip=0.5 each of a square's eight positions is equally likely, as in the papers.
    reverse_time: chance that the clip runs backwards.
    corruptions: of the input alone, after the degradation: see `TrainTransform`. Those that move things are left out.
    """

    def __init__(
        self,
        *,
        degradation: nn.Module | None = None,
        flip: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        rotate: bool = True,
        reverse_time: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        mirror: bool = False,
        corruptions: CorruptionOptions = None,
        seed: Annotated[int, Ge(0)],
    ) -> None:
        super().__init__(degradation=degradation, mirror=mirror, seed=seed)
        self.corruptions = training_corruptions(corruptions, seed=seed, in_place=True)
        self.flip = flip
        self.rotate = rotate
        self.reverse_time = reverse_time

    def moves(self, batch: dict[str, Any]) -> list[Move]:
        keys: list[Key] = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        clips_per_item = check_clip(batch["clip"], items=len(keys))
        rngs = [generator(self.seed, stream=Stream.AUGMENT, epoch=epoch, index=index) for epoch, index in keys]
        draws = np.concatenate([rng.random((clips_per_item, _DRAWS)) for rng in rngs])
        square = batch["clip"].shape[2] == batch["clip"].shape[3]
        return [self._move(draw, square=square) for draw in draws]

    def _move(self, draw: np.ndarray, *, square: bool) -> Move:
        quarters = int(4 * draw[_TURN]) if square else 2 * int(2 * draw[_TURN])
        return Move(
            reverse_time=bool(draw[_TIME] < self.reverse_time),
            flip=bool(draw[_FLIP] < self.flip),
            quarters=quarters if self.rotate else 0,
            mirror=self.mirror,
        )

    def augmented(self, clips: list[Tensor], moves: list[Move]) -> list[Tensor]:
        return [torch.stack([move.pixels(one) for one, move in zip(clip, moves)]) for clip in clips]


def degrade(degradation: nn.Module, clip: Tensor, *, seed: int, keys: Sequence[Key]) -> Degraded:
    """The same for any batch that a clip is in: clip float [N,T,C,H,W], N = B*k, keys (epoch, index) of B samples."""
    rngs = [generator(seed, stream=Stream.DEGRADE, epoch=epoch, index=index) for epoch, index in keys]
    clips_per_item = len(clip) // len(keys)
    degraded = degradation(clip, [rng for rng in rngs for _ in range(clips_per_item)])
    if not isinstance(degraded, Degraded):
        kind, given = type(degradation).__name__, type(degraded).__name__
        raise BadRequest(f"degradation {kind}: forward gives a {given}; write Degraded(video, target) for it")
    return degraded


def as_float(clip: Tensor) -> Tensor:
    """uint8 [N,T,H,W,C] -> float [N,T,C,H,W] in [0,1], contiguous."""
    return clip.permute(0, 1, 4, 2, 3).contiguous().float().div_(255)
