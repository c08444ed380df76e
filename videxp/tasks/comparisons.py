"""Input, interpolation, output and target side by side, as a picture and playing.

Shapes: T frames, C = 3 channels, H, W pixels of the target. Values float in [0,1].
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videxp.tasks.pictures import figure
from videxp.video import write_video


@dataclass(frozen=True)
class Comparison:
    """One clip in several versions of one size: name -> float [T,C,H,W], with what to say beneath each."""

    title: str
    clips: dict[str, Tensor]
    captions: dict[str, str]


def save_comparison_strips(comparisons: list[Comparison], path: Path, *, side_pixels: int = 192) -> Path:
    """A row per clip, a column per version: the middle of its middle frame, enlarged alike, no pixel smoothed away."""
    columns = list(comparisons[0].clips)
    picture = figure(2.6 * len(columns), 2.9 * len(comparisons))
    grid = picture.subplots(len(comparisons), len(columns), squeeze=False)
    for row, comparison in zip(grid, comparisons):
        for axes, (name, clip_TCHW) in zip(row, comparison.clips.items()):
            frame_CHW = middle(clip_TCHW, side_pixels=side_pixels)[len(clip_TCHW) // 2]
            axes.imshow(to_uint8(frame_CHW).permute(1, 2, 0).numpy(), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(name, fontsize=10)
            axes.set_xlabel(comparison.captions.get(name, ""), fontsize=9)
        row[0].set_ylabel(comparison.title, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path)
    return path


def save_comparison_clips(
    comparisons: list[Comparison], path: Path, *, fps: float, side_pixels: int = 192, gap_pixels: int = 4
) -> Path:
    """The same rows and columns as the strips, playing; the shortest clip sets the length."""
    frames = min(len(clip) for comparison in comparisons for clip in comparison.clips.values())
    rows = []
    for comparison in comparisons:
        tiles = [middle(clip[:frames], side_pixels=side_pixels) for clip in comparison.clips.values()]
        rows.append(torch.cat([torch.nn.functional.pad(tile, (0, gap_pixels)) for tile in tiles], dim=-1))
    width = max(row.shape[-1] for row in rows)
    padded = [torch.nn.functional.pad(row, (0, width - row.shape[-1], 0, gap_pixels)) for row in rows]
    video_THWC = to_uint8(torch.cat(padded, dim=-2)).permute(0, 2, 3, 1).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, np.ascontiguousarray(video_THWC), fps=fps)
    return path


def middle(clip_TCHW: Tensor, *, side_pixels: int) -> Tensor:
    """The central square of at most `side_pixels`, on the CPU."""
    height, width = (min(side_pixels, pixels) for pixels in clip_TCHW.shape[-2:])
    top, left = (clip_TCHW.shape[-2] - height) // 2, (clip_TCHW.shape[-1] - width) // 2
    return clip_TCHW[..., top : top + height, left : left + width].float().cpu()


def to_uint8(video: Tensor) -> Tensor:
    """[0,1] -> 0..255, rounded; what lies outside is cut off."""
    return (video.clamp(0, 1) * 255).round().to(torch.uint8)
