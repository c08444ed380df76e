"""Clips for networks that find transitions: shots changed each in its own way, and joined.

Legend: B clips, T frames, H, W pixels, C = 3 channels (RGB).
"""

from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.limits import Ge, Interval
from videxp.core.randomness import Stream, generator
from videxp.transforms.color import color_matrices, jitter_normalize
from videxp.transforms.color_transfer import transfer_colors
from videxp.transforms.corruptions.training import CorruptionOptions, training_corruptions
from videxp.transforms.train import check_clip, without
from videxp.video.joining import NO_WIPE, WIPES

Share = Annotated[float, Interval(ge=0, le=1)]

# Columns of a shot's uniform numbers. A new use takes the next one, so that it shifts no other.
_LEFT_RIGHT, _UP_DOWN, _TRANSFER = range(3)
_FACTORS, _ORDER = slice(3, 7), slice(7, 11)
_COLOR, _COLOR_FACTOR, _EQUALIZE, _POSTERIZE, _BITS = range(11, 16)
_DRAWS = 16


class SceneEval(nn.Module):
    """uint8 clips -> `video`: films as they are, or two shots joined.

    `video`: uint8 [B,T,C,H,W] of films, which may be long; float [B,T,C,H,W] in [0,1] of joined shots, with `target`
    float [B,T,2], what `transitions.targets` tells.
    """

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A new dict, with these in place of `clip` uint8 [B,T,H,W,C] and `next_shot`."""
        check_clip(batch["clip"], items=len(batch["index"]))
        rest = without(batch, "clip", "next_shot")
        if "next_shot" not in batch:
            return rest | {"video": batch["clip"].movedim(-1, 2)}
        rows = batch["next_shot"].rows
        keys = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        joined = []
        for number, (epoch, index) in enumerate(keys):
            shots = self.changed(rows["first"][number], rows["following"][number], epoch=epoch, index=index)
            joined.append(join_shots(*shots, shares_2T=rows["shares"][number], wipe=int(rows["wipe"][number])))
        video = torch.stack(joined).movedim(-1, 2).contiguous().div_(255)
        return rest | {"video": video, "target": rows["target"]}

    def changed(self, first: Tensor, following: Tensor, *, epoch: int, index: int) -> tuple[Tensor, Tensor]:
        """Both shots uint8 [T,H,W,C] -> float [T,H,W,C] in [0,255]. Evaluation leaves them as they are."""
        return first.float(), following.float()


class SceneTrain(SceneEval):
    """The same with augmentation, another one for each shot.

    flip, flip_vertical: chances of a mirror, left-right and up-down.
    brightness, contrast, saturation, hue: strengths as in `TrainTransform`.
    color: the chance of a further change of saturation, by a factor from 0.5 to 1.2. equalize, posterize (to 4, 5 or 6
        bits): chances of torchvision's operations. color_transfer: the chance that the next shot gets the first one's
        colors, mean and deviation in CIELAB.
    corruptions: of the joined clip: see `TrainTransform`. Those that move things are left out.
    """

    def __init__(
        self,
        *,
        flip: Share = 0.5,
        flip_vertical: Share = 0.1,
        brightness: Annotated[float, Ge(0)] = 0.1,
        contrast: Annotated[float, Ge(0)] = 0.2,
        saturation: Annotated[float, Ge(0)] = 0.2,
        hue: Annotated[float, Interval(ge=0, le=0.5)] = 0.1,
        color: Share = 0.05,
        equalize: Share = 0.05,
        posterize: Share = 0.05,
        color_transfer: Share = 0.1,
        corruptions: CorruptionOptions = None,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__()
        self.flip = flip
        self.flip_vertical = flip_vertical
        self.jitter = np.array([brightness, contrast, saturation, hue])
        self.color = color
        self.equalize = equalize
        self.posterize = posterize
        self.color_transfer = color_transfer
        self.corruptions = training_corruptions(corruptions, seed=seed, in_place=True)
        self.seed = seed

    def changed(self, first: Tensor, following: Tensor, *, epoch: int, index: int) -> tuple[Tensor, Tensor]:
        rng = generator(self.seed, stream=Stream.AUGMENT, epoch=epoch, index=index)
        draws = rng.random((2, _DRAWS))
        one, other = (self._shot(clip, draw) for clip, draw in zip((first, following), draws))
        if draws[1, _TRANSFER] < self.color_transfer:
            other = transfer_colors(other / 255, like=one / 255) * 255
        return one, other

    def _shot(self, clip: Tensor, draw: np.ndarray) -> Tensor:
        """uint8 [T,H,W,C] -> float [T,H,W,C] in [0,255]."""
        chances = ((1, _UP_DOWN, self.flip_vertical), (2, _LEFT_RIGHT, self.flip))
        mirrored = [axis for axis, column, chance in chances if draw[column] < chance]
        out = torch.empty(clip.shape, device=clip.device)
        jitter_normalize(
            clip.flip(mirrored) if mirrored else clip, matrices=self._matrices(draw), mean=_BLACK, std=_ONE, out=out
        )
        return self._quantized(out, draw)

    def _matrices(self, draw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        *factors, turns = (2 * draw[_FACTORS] - 1) * self.jitter
        brightness, contrast, saturation = (max(0.0, 1 + float(factor)) for factor in factors)
        if draw[_COLOR] < self.color:
            saturation *= 0.5 + 0.7 * draw[_COLOR_FACTOR]
        return color_matrices(
            brightness=brightness,
            contrast=contrast,
            saturation=saturation,
            hue_turns=float(turns),
            order=np.argsort(draw[_ORDER]),
        )

    def _quantized(self, clip: Tensor, draw: np.ndarray) -> Tensor:
        """The operations that are defined on whole numbers."""
        from torchvision.transforms.v2 import functional

        if draw[_EQUALIZE] >= self.equalize and draw[_POSTERIZE] >= self.posterize:
            return clip
        pixels = clip.to(torch.uint8).movedim(-1, 1)
        if draw[_EQUALIZE] < self.equalize:
            pixels = functional.equalize(pixels)
        if draw[_POSTERIZE] < self.posterize:
            pixels = functional.posterize(pixels, bits=4 + int(3 * draw[_BITS]))
        return pixels.movedim(1, -1).float()


_BLACK, _ONE = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)


def join_shots(first: Tensor, following: Tensor, *, shares_2T: Tensor, wipe: int) -> Tensor:
    """Each frame the sum of both shots by their shares; of a wipe, the next shot behind an edge that moves over the
    frame. float [T,H,W,C] each."""
    if wipe == NO_WIPE:
        of_first, of_following = shares_2T[:, :, None, None, None]
        return first * of_first + following * of_following
    height, width = first.shape[1:3]
    way = WIPES[wipe]
    length = width if way in ("left", "right") else height
    place = (torch.arange(length, device=first.device) + 0.5) / length  # of a row or column, from 0 to 1
    place = 1 - place if way in ("left", "up") else place
    is_next = place < shares_2T[1][:, None]  # [T,length]
    is_next = is_next[:, None, :, None] if way in ("left", "right") else is_next[:, :, None, None]
    return torch.where(is_next, following, first)
