"""Mixup and cutmix over a batch, by torchvision's definitions; the partner of item i is item i - 1 (0: the last).

Each item draws for itself: its share, its box and, where both are on, which of the two. Legend: B items, k clips per
item (adjacent), T frames, H, W, C channels.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Mix:
    """How one item is mixed. own_share in [0,1]: weight of its own label. box: (top, left, height, width) that cutmix
    takes from the partner, None for mixup."""

    own_share: float
    box: tuple[int, int, int, int] | None


def draw_mix(rng: np.random.Generator, *, mixup_alpha: float, cutmix_alpha: float, height: int, width: int) -> Mix:
    """Shares are Beta(alpha, alpha); with both alphas above 0, each item takes mixup or cutmix with equal chance."""
    chance = rng.random()  # drawn always, so that switching one off leaves the other's numbers alone
    if mixup_alpha > 0 and (cutmix_alpha == 0 or chance < 0.5):
        return Mix(own_share=float(rng.beta(mixup_alpha, mixup_alpha)), box=None)
    share = float(rng.beta(cutmix_alpha, cutmix_alpha))
    box = cutmix_box(
        share, center_y=int(rng.integers(height)), center_x=int(rng.integers(width)), height=height, width=width
    )
    return Mix(own_share=1 - box[2] * box[3] / (height * width), box=box)


def cutmix_box(share: float, *, center_y: int, center_x: int, height: int, width: int) -> tuple[int, int, int, int]:
    """A box of about (1 - share) of the frame around the center, cut at the border: (top, left, height, width).

    share 0.75 at the center of 8x8 -> (2, 2, 4, 4), a quarter of the frame.
    """
    half = 0.5 * np.sqrt(1 - share)
    half_height, half_width = int(half * height), int(half * width)
    top, bottom = max(center_y - half_height, 0), min(center_y + half_height, height)
    left, right = max(center_x - half_width, 0), min(center_x + half_width, width)
    return int(top), int(left), int(bottom - top), int(right - left)


def mix_(video: Tensor, mixes: list[Mix], *, clips_per_item: int = 1) -> Tensor:
    """Mixes a float batch [B*k,T,H,W,C] in place, every clip with the same clip of the partner; returns it.

    Works from the last item to the first, so that each partner is read before it is written; only the last item's
    own clips, which the first item needs at the end, are copied.
    """
    items = video.unflatten(0, (-1, clips_per_item))
    last = items[-1].clone()
    for i in reversed(range(len(mixes))):
        own, partner, mix = items[i], items[i - 1] if i > 0 else last, mixes[i]
        if mix.box is None:
            own.lerp_(partner, 1 - mix.own_share)
        else:
            top, left, height, width = mix.box
            inside = (slice(None), slice(None), slice(top, top + height), slice(left, left + width))
            own[inside] = partner[inside]
    return video
