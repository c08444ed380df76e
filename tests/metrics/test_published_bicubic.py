"""The published row of bicubic enlargement, on two of Vid4's four sequences, if they lie beside the checkout."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.metrics import QualityProtocol, frame_scores, psnr
from videxp.video import open_video

VID4 = Path(__file__).parents[2].parent / "shared" / "data" / "vid4"
PUBLISHED = {"city": (25.16, 0.6028), "walk": (26.10, 0.7974)}  # x4, bicubic degradation (BI), Y
Y = QualityProtocol(channel="y")

pytestmark = pytest.mark.skipif(
    not VID4.is_dir(), reason="bicubic's published figures are not checked: Vid4 is not there"
)


def cubic(distance: Tensor) -> Tensor:
    """Keys 1981 with a = -0.5."""
    x = distance.abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def resizing(source: int, size: int, *, antialias: bool = True) -> Tensor:
    """MATLAB's imresize of one axis, [size,source]: the kernel widened where it reduces, edges mirrored."""
    scale = size / source
    width = min(scale, 1.0) if antialias else 1.0
    centers = (torch.arange(size, dtype=torch.float64)[:, None] + 0.5) / scale - 0.5
    positions = torch.arange(-source, 2 * source)
    weights = cubic(width * (centers - positions))
    weights = weights / weights.sum(1, keepdim=True)
    before, within, after = weights.split(source, dim=1)
    return (within + before.flip(1) + after.flip(1)).float()


def bicubic_x4(clean_TCHW: Tensor, *, antialias: bool = True) -> Tensor:
    """A quarter of the size and back, in 8 bits each time: [T,C,H,W] in [0,1] -> the same."""
    height, width = clean_TCHW.shape[-2:]
    for size in ((height // 4, width // 4), (height, width)):
        down, across = (resizing(a, b, antialias=antialias) for a, b in zip(clean_TCHW.shape[-2:], size))
        clean_TCHW = ((down @ clean_TCHW @ across.T).clamp(0, 1) * 255).round() / 255
    return clean_TCHW


def clean_frames(name: str, *, step: int = 1) -> Tensor:
    with open_video(VID4 / f"{name}.mkv") as video:
        return video.frames(range(0, video.num_frames, step)).permute(0, 3, 1, 2) / 255


@pytest.mark.slow
def test_bicubic_scores_what_was_published():
    """Of the other sequence the command line's figure is: tests/cli/test_evaluate_elsewhere.py."""
    name = "city"
    target = clean_frames(name)
    restored = bicubic_x4(target)
    values = tuple(score.mean().item() for score in frame_scores(restored[None], target[None], protocol=Y).values())
    assert (round(values[0], 2), round(values[1], 4)) == PUBLISHED[name]
    reference = json.loads((VID4 / "bicubic_x4_reference.json").read_text())[name]
    assert values == pytest.approx((reference["psnr_y_unrounded"], reference["ssim_y_unrounded"]), abs=6e-5)
    assert psnr(restored, target).mean().item() == pytest.approx(reference["psnr_rgb"], abs=6e-5)


@pytest.mark.slow
def test_another_protocol_or_another_reduction_misses_it():
    """Negative controls: RGB, a border, reduction without a wider kernel, and torch's bicubic, on some frames."""
    target = clean_frames("city", step=12)
    size = target.shape[-2:]
    small = F.interpolate(target, scale_factor=0.25, mode="bicubic", antialias=True)
    torchs = F.interpolate(small, size=size, mode="bicubic")  # a = -0.75 where it enlarges
    restored = bicubic_x4(target)
    right = psnr(restored, target, protocol=Y).mean().item()
    others = [
        psnr(restored, target).mean().item(),
        psnr(restored, target, protocol=QualityProtocol(channel="y", border=8)).mean().item(),
        psnr(bicubic_x4(target, antialias=False), target, protocol=Y).mean().item(),
        psnr(torchs, target, protocol=Y).mean().item(),
    ]
    assert right == pytest.approx(25.16, abs=0.1)
    assert min(abs(right - other) for other in others) > 0.01
