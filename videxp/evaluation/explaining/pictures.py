"""What an explanation looks like: the clip beside its map, playing, and a bar for each frame.

Shapes: T frames, C = 3 channels, H, W pixels of the clip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.evaluation.explaining.explanation import Explanation, verdict
from videxp.tasks.comparisons import to_uint8
from videxp.tasks.pictures import drawable, figure, saved
from videxp.video import write_video

GAP = 4  # pixels between the clip and its map
LEAST_SIDE = 224  # small clips are enlarged, by a whole factor
BRIGHTEST = 0.995  # share of a map's pixels that are not as bright as can be
STRIP_FRAMES = 8
BLUE, ORANGE, GRAY = "#0072b2", "#c24e00", "#8a94a0"
CYAN = (0, 229, 255)  # around the patch that was asked about


@dataclass(frozen=True)
class ShownClip:
    """A clip as it is looked at, with the map over it."""

    title: str
    clip_THWC: np.ndarray
    """uint8"""
    overlay_THWC: np.ndarray
    """uint8, gray where the map is 0"""
    facts: dict[str, Any] | None = None


def shown(explanation: Explanation, transform: Any, *, title: str) -> ShownClip:
    """transform: the one that the clip came through; its normalization is undone."""
    question = explanation.question
    clip_TCHW = denormalized(question.video[0].detach().float().cpu(), transform)
    bright = explanation.map.shown_THW
    top = bright.flatten().float().quantile(BRIGHTEST) if bright.numel() < 1 << 24 else bright.max()  # torch's limit
    heat_THW = (bright / top.clamp(min=1e-30)).clamp(0, 1)
    clip_THWC = to_uint8(clip_TCHW).permute(0, 2, 3, 1).contiguous().numpy()
    overlay_THWC = overlaid(clip_TCHW, heat_THW)
    if question.box is not None and question.frame is not None:
        for pictures in (clip_THWC, overlay_THWC):
            draw_box(pictures[question.frame], question.box)
    return ShownClip(title, clip_THWC, overlay_THWC, explanation.facts)


def draw_box(picture_HWC: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """One pixel around (top, left, bottom, right), where the picture has it; in place."""
    top, left, bottom, right = box
    height, width = picture_HWC.shape[:2]
    rows, columns = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    for row in (row for row in (top - 1, bottom) if 0 <= row < height):
        picture_HWC[row, columns] = CYAN
    for column in (column for column in (left - 1, right) if 0 <= column < width):
        picture_HWC[rows, column] = CYAN


def denormalized(video: Tensor, transform: Any) -> Tensor:
    """float [...,C,H,W] in [0,1], of a transform that subtracts a `mean` and divides by a `std`, or of none."""
    mean, std = getattr(transform, "mean", None), getattr(transform, "std", None)
    if mean is None or std is None:
        return video
    return video * torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None]


def overlaid(clip_TCHW: Tensor, heat_THW: Tensor) -> np.ndarray:
    """uint8 [T,H,W,3]: the clip in gray, and over it the map, from 0 (nothing) to 1."""
    from matplotlib import colormaps

    gray = clip_TCHW.clamp(0, 1).mean(1)[..., None].numpy()
    heat = heat_THW[..., None].numpy()
    colors = colormaps["inferno"](heat_THW.numpy())[..., :3]
    mixed = 0.55 * gray * (1 - heat) + colors * heat
    return np.rint(255 * mixed.clip(0, 1)).astype(np.uint8)


def save_overlay(one: ShownClip, path: Path, *, fps: float | Fraction) -> Path:
    """The clip and, at its right, the map over it, playing."""
    pair = np.concatenate([_enlarged(one.clip_THWC), _enlarged(one.overlay_THWC)], axis=2)
    pair = np.pad(pair, ((0, 0), (0, pair.shape[1] % 2), (0, pair.shape[2] % 2), (0, 0)))
    write_video(path, np.ascontiguousarray(pair), fps=fps)
    return path


def _padded(clip_THWC: np.ndarray, height: int, width: int) -> np.ndarray:
    room = ((0, 0), (0, height - clip_THWC.shape[1]), (0, width - clip_THWC.shape[2]), (0, 0))
    return np.pad(clip_THWC, room, constant_values=255)


def _enlarged(clip_THWC: np.ndarray) -> np.ndarray:
    factor = max(1, -(-LEAST_SIDE // max(clip_THWC.shape[1:3])))
    large = clip_THWC.repeat(factor, axis=1).repeat(factor, axis=2)
    return np.pad(large, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)


def save_time_bars(one: ShownClip, path: Path, *, frames: Sequence[int]) -> Path:
    """Some of the frames with the map, and for each frame how much of the map lies in it and what the answer loses
    without it. frames: their numbers in the video."""
    facts = one.facts or {}
    importance = facts.get("frames")
    rows = 3 if importance else 2
    picture = figure(8, 1.1 * _strip(one).shape[0] / 128 + 1.5 * (rows - 1))
    axes = picture.subplots(rows, 1, height_ratios=[_strip(one).shape[0] / 128 * 1.1, *[1.2] * (rows - 1)])
    axes[0].imshow(_strip(one))
    axes[0].set_axis_off()
    axes[0].set_title(drawable(one.title), fontsize=10, parse_math=False)
    places = range(len(frames))
    axes[1].bar(places, facts["map"]["share_of_frames"], color=BLUE)
    axes[1].set_ylabel("share of map", fontsize=8)
    if importance:
        axes[2].axhline(0, color=GRAY, linewidth=0.8)
        axes[2].plot(places, importance["held"], color=ORANGE, marker="o", markersize=3, label="frame before it held")
        axes[2].plot(places, importance["mean"], color=BLUE, marker="s", markersize=3, label="clip's mean frame")
        axes[2].set_ylabel(f"loss of {importance['effect']}\nwithout the frame", fontsize=8)
        axes[2].legend(fontsize=7, frameon=False)
    step = -(-len(frames) // 16)
    for each in axes[1:]:
        each.set_xticks(list(places)[::step], [str(number) for number in frames][::step], fontsize=7)
        each.tick_params(axis="y", labelsize=7)
        each.spines[["top", "right"]].set_visible(False)
        each.set_xlim(-0.6, len(frames) - 0.4)
    axes[-1].set_xlabel("frame of the video", fontsize=8)
    return saved(picture, path)


def _strip(one: ShownClip) -> np.ndarray:
    """Some frames, evenly spread, above the same with the map: uint8 [H',W',3]."""
    length = len(one.clip_THWC)
    times = np.linspace(0, length - 1, min(STRIP_FRAMES, length)).round().astype(int)
    return np.concatenate([_row(one.clip_THWC[times]), _row(one.overlay_THWC[times])])


def _row(frames_THWC: np.ndarray, *, side: int = 128) -> np.ndarray:
    """Frames side by side, each `side` pixels wide."""
    height, width = frames_THWC.shape[1:3]
    size = (max(1, round(side * height / width)), side)
    frames = torch.from_numpy(frames_THWC).permute(0, 3, 1, 2).float()
    large = F.interpolate(frames, size=size, mode="nearest" if width < side else "area")
    spaced = F.pad(large, (0, 2, 0, 2), value=255)
    return spaced.permute(2, 0, 3, 1).flatten(1, 2).round().to(torch.uint8).numpy()


def summary(facts: dict[str, Any]) -> list[str]:
    """An explanation in two to four lines, for a terminal and the page."""
    judged, order = facts["faithfulness"], facts.get("order")
    chance, plain = judged["random"], judged["plain_gradient"]
    lines = [
        f"{facts['map']['method']}: {verdict(facts)}",
        f"insertion {judged['insertion']:.3f}, deletion {judged['deletion']:.3f} (random "
        f"{chance['insertion']:.3f}, {chance['deletion']:.3f}; plain gradient {plain['insertion']:.3f}, "
        f"{plain['deletion']:.3f}); with re-drawn weights rank correlation "
        f"{judged['weights']['rank_correlation']:.2f}",
    ]
    if order:
        told = ", ".join(f"{order[key]:.3f} {key.replace('_', ' ')}" for key in ("in_order", "reversed", "shuffled"))
        lines.append(f"{order['measure']} by order of frames: {told}")
    if pointed := judged.get("pointing"):
        where = "on" if pointed["hit"] else "NOT on"
        lines.append(
            f"the map's maximum is {where} the object, {pointed['share_on_object']:.0%} of the map lies on it "
            f"({pointed['share_of_clip']:.0%} of the clip does)"
        )
    return lines


def is_doubtful(facts: dict[str, Any]) -> bool:
    """Whether the map is empty, no better than random ones, or does not hang on the weights."""
    judged = facts["faithfulness"]
    return facts["map"]["is_empty"] or not (judged["better_than_random"] and judged["weights"]["hangs_on_weights"])


def save_overlays(examples: Sequence[ShownClip], path: Path, *, fps: float | Fraction, columns: int = 2) -> Path:
    """Several clips with their maps, as long as the shortest, each with as much room as the largest needs."""
    frames = min(len(one.clip_THWC) for one in examples)
    pairs = [
        np.concatenate([_enlarged(one.clip_THWC[:frames]), _enlarged(one.overlay_THWC[:frames])], axis=2)
        for one in examples
    ]
    height, width = (max(pair.shape[axis] for pair in pairs) for axis in (1, 2))
    pairs = [_padded(pair, height, width) for pair in pairs]
    pairs += [np.full_like(pairs[0], 255)] * (-len(pairs) % columns)
    rows = [np.concatenate(pairs[start : start + columns], axis=2) for start in range(0, len(pairs), columns)]
    sheet = np.concatenate(rows, axis=1)
    sheet = np.pad(sheet, ((0, 0), (0, sheet.shape[1] % 2), (0, sheet.shape[2] % 2), (0, 0)))
    write_video(path, np.ascontiguousarray(sheet), fps=fps)
    return path


def save_profile(section: Mapping[str, Any], path: Path) -> Path:
    """Mean loss without each frame of a clip, and insertion less deletion of the maps beside their baselines."""
    frames, judged = section["frames"], section["faithfulness"]
    picture = figure(9, 3)
    left, right = picture.subplots(1, 2, width_ratios=[2, 1])
    places = range(len(frames["held"]))
    left.axhline(0, color=GRAY, linewidth=0.8)
    left.plot(places, frames["held"], color=ORANGE, marker="o", markersize=3, label="frame before it held")
    left.plot(places, frames["mean"], color=BLUE, marker="s", markersize=3, label="clip's mean frame")
    left.set(xlabel="frame of the clip", ylabel=f"loss of {frames['effect']} without it")
    left.legend(fontsize=8, frameon=False)
    names = {"map": section["protocol"]["method"], "plain_gradient": "plain gradient", "random": "random maps"}
    gains = [judged[name]["gain"] for name in names]
    right.barh([name.replace("_", "\n") for name in names.values()], gains, color=[BLUE, ORANGE, GRAY])
    right.axvline(0, color=GRAY, linewidth=0.8)
    right.invert_yaxis()
    right.set_xlabel("insertion - deletion")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    picture.tight_layout()
    return saved(picture, path)
