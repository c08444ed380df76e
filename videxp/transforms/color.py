"""Color jitter and normalization in one multiplication.

Brightness b, contrast c and saturation s are linear in a pixel x and in its frame's mean color m (g: the weights of
grey, 1: a column of ones):
    brightness  x -> b x
    contrast    x -> c x + (1 - c) 1 g.m          (towards the frame's mean grey)
    saturation  x -> s x + (1 - s) 1 g.x          (towards the pixel's own grey)
    hue         x -> R x                          (a rotation of the I-Q plane of YIQ)
So any sequence of them is A x + B m with two 3x3 matrices, known before a pixel is read. The first three have
torchvision's meaning, except that torchvision rounds and clips after each step and we do once at the end; its hue goes
through HSV and is another function. All frames of a clip share A and B; m is each frame's own, as in torchvision.

Legend: N clips, T frames, H, W, C = 3 channels (RGB).
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

GREY = np.array([0.2989, 0.587, 0.114])  # torchvision's weights
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_STEPS = ("brightness", "contrast", "saturation", "hue")


def color_matrices(
    *, brightness: float, contrast: float, saturation: float, hue_turns: float, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A and B of `x -> A x + B m`: float64 [3,3] each.

    brightness, contrast, saturation: factors, 1 changes nothing. hue_turns: part of a full turn in [-0.5, 0.5].
    order: a permutation of 0..3 over (brightness, contrast, saturation, hue).
    """
    pixel, mean = np.eye(3), np.zeros((3, 3))
    grey = np.ones((3, 1)) * GREY  # x -> its grey in all three channels
    for step in order:
        name = _STEPS[step]
        if name == "contrast":  # the mean of A x + B m over the frame is (A + B) m
            mean = contrast * mean + (1 - contrast) * grey @ (pixel + mean)
            pixel = contrast * pixel
            continue
        if name == "brightness":
            matrix = brightness * np.eye(3)
        elif name == "saturation":
            matrix = saturation * np.eye(3) + (1 - saturation) * grey
        else:
            matrix = _hue_rotation(hue_turns)
        pixel, mean = matrix @ pixel, matrix @ mean
    return pixel, mean


def _hue_rotation(turns: float) -> np.ndarray:
    if turns == 0:
        return np.eye(3)
    angle = -2 * np.pi * turns  # minus: towards green from red, as a growing hue does in HSV
    cos, sin = np.cos(angle), np.sin(angle)
    return np.linalg.inv(_YIQ) @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ _YIQ


def normalize(clip: Tensor, *, mean: tuple[float, ...], std: tuple[float, ...], out: Tensor) -> None:
    """out = (clip / 255 - mean) / std. clip: uint8 [T,H,W,C]; out: contiguous float [T,H,W,C]."""
    weight, bias = _affine(mean, std, clip.shape[2], clip.device)
    rows = out.flatten(2)
    rows.copy_(clip.flatten(2))
    torch.addcmul(bias, rows, weight, out=rows)


def jitter_normalize(
    clip: Tensor,
    *,
    matrices: tuple[np.ndarray, np.ndarray],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    out: Tensor,
) -> None:
    """out = (clipped(A x + B m) / 255 - mean) / std. clip: uint8 [T,H,W,3]; out: contiguous float [T,H,W,3]."""
    frames, height, width, _ = clip.shape
    scale, shift = 1 / (255 * np.array(std)), -np.array(mean) / np.array(std)
    pixel, of_mean = (_tensor(scale[:, None] * matrix, clip.device) for matrix in matrices)

    values = clip.to(torch.float32, memory_format=torch.contiguous_format)
    frame_mean = values.flatten(2).sum(1).view(frames, width, 3).sum(1) / (height * width)
    bias = frame_mean @ of_mean.T + _tensor(shift, clip.device)

    # A product with a 3x3 matrix is four times slower than with a 24x24 one: 8 pixels in a row, A on the diagonal.
    group = next(k for k in (8, 4, 2, 1) if width % k == 0)
    weight = torch.block_diag(*[pixel.T] * group)
    torch.baddbmm(
        bias.repeat(1, group)[:, None],
        values.view(frames, -1, 3 * group),
        weight.expand(frames, -1, -1),
        out=out.view(frames, -1, 3 * group),
    )
    rows = out.flatten(2)
    torch.clamp(rows, *_limits(mean, std, width, clip.device), out=rows)


# One number per channel broadcast over the innermost dimension of 3 is eight times slower than over a whole row, so
# the constants are repeated W times: [W*3].
@lru_cache(maxsize=16)
def _affine(mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    weight, bias = 1 / (255 * np.array(std)), -np.array(mean) / np.array(std)
    return _tensor(np.tile(weight, width), device), _tensor(np.tile(bias, width), device)


@lru_cache(maxsize=16)
def _limits(mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Black and white after normalizing."""
    low, high = -np.array(mean) / np.array(std), (1 - np.array(mean)) / np.array(std)
    return _tensor(np.tile(low, width), device), _tensor(np.tile(high, width), device)


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array.astype(np.float32)).to(device, non_blocking=True)
