"""RandAugment on clips. Cubuk et al. 2020, "RandAugment: Practical Automated Data Augmentation with a Reduced Search
Space", with torchvision's list of operations and scale of magnitudes (0 to 30).

A clip's operations and their strengths are drawn once and are the same in all of its frames; where an operation looks
at the picture (contrast, autocontrast, equalize), it looks at each frame, as torchvision does.

Legend: T frames, H, W, C = 3 channels (RGB), values in [0, 255].
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

MAX_MAGNITUDE = 30


class Operation(NamedTuple):
    """An operation and its strength, in its own unit."""

    name: str
    strength: float


class _Kind(NamedTuple):
    strength: Callable[[int, int, int], float]
    """Of (magnitude, height, width)."""
    change: Callable[[Any, Tensor, float], Tensor]
    """(torchvision's functions, uint8 [T,C,H,W], strength) -> uint8 [T,C,H,W]."""
    signed: bool = False
    """Half of the time the strength is negative."""


def _shear(functions: Any, frames: Tensor, x: float, y: float) -> Tensor:
    """x, y: pixels per pixel, from the top left corner on."""
    shear = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return functions.affine(frames, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0, 0])


def _translate(functions: Any, frames: Tensor, x: float, y: float) -> Tensor:
    return functions.affine(frames, angle=0.0, translate=[int(x), int(y)], scale=1.0, shear=[0.0, 0.0])


_KINDS = {
    "Identity": _Kind(lambda m, h, w: 0.0, lambda f, x, s: x),
    "ShearX": _Kind(lambda m, h, w: 0.3 * m / 30, lambda f, x, s: _shear(f, x, s, 0.0), signed=True),
    "ShearY": _Kind(lambda m, h, w: 0.3 * m / 30, lambda f, x, s: _shear(f, x, 0.0, s), signed=True),
    "TranslateX": _Kind(  # pixels
        lambda m, h, w: 150 / 331 * w * m / 30, lambda f, x, s: _translate(f, x, s, 0.0), signed=True
    ),
    "TranslateY": _Kind(lambda m, h, w: 150 / 331 * h * m / 30, lambda f, x, s: _translate(f, x, 0.0, s), signed=True),
    "Rotate": _Kind(lambda m, h, w: 30 * m / 30, lambda f, x, s: f.rotate(x, s), signed=True),  # degrees
    # Of these four the factor is 1 + strength: 1 changes nothing.
    "Brightness": _Kind(lambda m, h, w: 0.9 * m / 30, lambda f, x, s: f.adjust_brightness(x, 1 + s), signed=True),
    "Color": _Kind(lambda m, h, w: 0.9 * m / 30, lambda f, x, s: f.adjust_saturation(x, 1 + s), signed=True),
    "Contrast": _Kind(lambda m, h, w: 0.9 * m / 30, lambda f, x, s: f.adjust_contrast(x, 1 + s), signed=True),
    "Sharpness": _Kind(lambda m, h, w: 0.9 * m / 30, lambda f, x, s: f.adjust_sharpness(x, 1 + s), signed=True),
    "Posterize": _Kind(lambda m, h, w: 8 - round(4 * m / 30), lambda f, x, s: f.posterize(x, int(s))),  # bits kept
    "Solarize": _Kind(lambda m, h, w: 255 - 255 * m / 30, lambda f, x, s: f.solarize(x, s)),  # inverted from there on
    "AutoContrast": _Kind(lambda m, h, w: 0.0, lambda f, x, s: f.autocontrast(x)),
    "Equalize": _Kind(lambda m, h, w: 0.0, lambda f, x, s: f.equalize(x)),
}
NAMES = tuple(_KINDS)


def operation(name: str, *, magnitude: int, negative: bool = False, height: int, width: int) -> Operation:
    """`name` at one of the magnitudes 0 to 30, for frames of that size."""
    kind = _KINDS[name]
    strength = kind.strength(magnitude, height, width)
    return Operation(name, -strength if negative and kind.signed else strength)


def draw_operations(uniform: np.ndarray, *, magnitude: int, height: int, width: int) -> list[Operation]:
    """Operations to be applied one after the other. uniform: float [num_ops, 2] in [0,1): which one, and its sign."""
    return [
        operation(NAMES[int(which * len(NAMES))], magnitude=magnitude, negative=sign < 0.5, height=height, width=width)
        for which, sign in uniform
    ]


def apply(clip: Tensor, step: Operation) -> Tensor:
    """uint8 [T,H,W,C] -> uint8 [T,H,W,C]. What comes in from outside the frame is black; nothing is interpolated."""
    from torchvision.transforms.v2 import functional  # here, because it takes a second that few runs need

    frames = _KINDS[step.name].change(functional, clip.permute(0, 3, 1, 2), step.strength)
    return frames.permute(0, 2, 3, 1)
