"""Training and evaluation of restoration: a clean clip, and what a network gets to restore it from.

Legend: B items, k clips per item, N = B*k, T frames, C = 3 channels, H, W pixels; h = H / scale, w = W / scale.
"""

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.core.randomness import Stream, generator
from videxp.transforms.train import check_clip, without
from videxp.video.placing import Move

Key = tuple[int, int]  # (epoch, index)
# Columns of a clip's uniform numbers. A new use takes the next one, so that it shifts no other.
_FLIP, _TURN, _TIME = range(3)
_DRAWS = 8


class RestorationEval(nn.Module):
    """uint8 clips -> `video`, what the network gets, and `target`, both float in [0,1].

    degradation: a module that makes the input of the target, `forward(clip [N,T,C,H,W], rngs) -> [N,T,C,h,w]`, where
        rngs are numpy generators, one for each clip; null where the data brings inputs.
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
        and `degraded`.

        batch: `clip` uint8 [N,T,H,W,C], `index` and `epoch` int64 [B] on the CPU; `degraded` uint8 [N,T,h,w,C] where
        the data brings it. Raises BadRequest where there is neither a degraded clip nor a degradation, or both.
        """
        keys: list[Key] = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        clips_per_item = check_clip(batch["clip"], items=len(keys))
        if ("degraded" in batch) == (self.degradation is not None):
            raise BadRequest(
                "dataset transforms: the data brings the network's input: set degradation=null"
                if "degraded" in batch
                else "dataset transforms: no degradation, and the data brings no input: set degradation"
            )
        clips = [as_float(batch[name]) for name in ("clip", "degraded") if name in batch]
        target, *given = self.augmented(clips, self.moves(batch))
        if self.degradation is not None:
            rngs = [generator(self.seed, stream=Stream.DEGRADE, epoch=epoch, index=index) for epoch, index in keys]
            given = [self.degradation(target, [rng for rng in rngs for _ in range(clips_per_item)])]
        if self.mirror:
            target, *given = (torch.cat([clip, clip.flip(1)], dim=1) for clip in (target, *given))
        return without(batch, "clip", "degraded") | {"video": given[0], "target": target}

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
    """

    def __init__(
        self,
        *,
        degradation: nn.Module | None = None,
        flip: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        rotate: bool = True,
        reverse_time: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        mirror: bool = False,
        seed: Annotated[int, Ge(0)],
    ) -> None:
        super().__init__(degradation=degradation, mirror=mirror, seed=seed)
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


def as_float(clip: Tensor) -> Tensor:
    """uint8 [N,T,H,W,C] -> float [N,T,C,H,W] in [0,1], contiguous."""
    return clip.permute(0, 1, 4, 2, 3).contiguous().float().div_(255)
