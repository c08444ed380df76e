"""Input, interpolation, output and target side by side, as a picture and playing.

Shapes: T frames, C = 3 channels, H, W pixels of the target. Values float in [0,1].
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.tasks.pictures import saved, sheet_figure
from videxp.video import write_video

GAP_PIXELS = 12
CAPTION_PIXELS = 48


@dataclass(frozen=True)
class Comparison:
    """One clip in several versions of one size: name -> float [T,C,H,W], with what to say beneath each."""

    title: str
    clips: dict[str, Tensor]
    captions: dict[str, str]


def save_comparison_strips(comparisons: list[Comparison], path: Path, *, side_pixels: int = 192) -> Path:
    """A row per clip, a column per version: the middle of its middle frame, enlarged alike, no pixel smoothed away."""
    columns = list(comparisons[0].clips)
    step = side_pixels + GAP_PIXELS
    height = step + CAPTION_PIXELS
    sheet = np.full((height * len(comparisons), step * len(columns), 3), 255, dtype=np.uint8)
    picture, axes = sheet_figure(sheet)
    for row, comparison in enumerate(comparisons):
        for column, (name, clip_TCHW) in enumerate(comparison.clips.items()):
            frame_CHW = middle(clip_TCHW, side_pixels=side_pixels)[len(clip_TCHW) // 2]
            enlarged = F.interpolate(frame_CHW[None], size=(side_pixels, side_pixels), mode="nearest")[0]
            top, left = row * height, column * step
            sheet[top : top + side_pixels, left : left + side_pixels] = to_uint8(enlarged).permute(1, 2, 0).numpy()
            caption = f"{name}\n{comparison.captions.get(name, '')}"
            axes.text(left + side_pixels / 2, top + side_pixels + 4, caption, ha="center", va="top", fontsize=9)
        axes.text(
            -6, row * height + side_pixels / 2, comparison.title, ha="right", va="center", rotation=90, fontsize=9
        )
    axes.imshow(sheet, interpolation="nearest")
    return saved(picture, path)


def save_comparison_clips(
    comparisons: list[Comparison], path: Path, *, fps: float, side_pixels: int = 192, gap_pixels: int = 4
) -> Path:
    """The same rows and columns as the strips, playing; the shortest clip sets the length."""
    frames = min(len(clip) for comparison in comparisons for clip in comparison.clips.values())
    rows = []
    for comparison in comparisons:
        tiles = [middle(clip[:frames], side_pixels=side_pixels) for clip in comparison.clips.values()]
        rows.append(torch.cat([F.pad(tile, (0, gap_pixels)) for tile in tiles], dim=-1))
    width = max(row.shape[-1] for row in rows)
    padded = [F.pad(row, (0, width - row.shape[-1], 0, gap_pixels)) for row in rows]
    video_THWC = to_uint8(torch.cat(padded, dim=-2)).permute(0, 2, 3, 1).numpy()
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
