"""A video's contact sheet as a picture: tracks on a time line, and frames with the boxes that were hit, missed and
falsely found.

Shapes: M boxes; H, W = height and width of a frame in pixels, C = 3 (red, green, blue).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videxp.metrics.detected_videos import VideoBoxes
from videxp.tasks.box_marks import BoxMarks
from videxp.tasks.drawn_boxes import Color, DrawnBox, draw_boxes
from videxp.tasks.pictures import drawable, saved, sheet_figure

# Told apart also by their lines, and by colors that stay apart for the color-blind (Okabe and Ito, 2008).
HIT: Color = (86, 180, 233)
MISSED: Color = (230, 159, 0)
FALSE_ALARM: Color = (204, 80, 150)
KINDS = {"hit": HIT, "missed (dashed)": MISSED, "false alarm": FALSE_ALARM}
TEXT, MUTED, LINE = "#1c2128", "#5b6673", "#dfe3e8"
WIDTH, MARGIN, GAP = 1400, 20, 8  # pixels
HEAD, LANE, BAR, TIMES = 66, 22, 14, 34
NAMES = 170  # pixels, left of the time line
MOST_LANES = 16
COLUMNS, MOST_PICTURES = 4, 12
CAPTION = 24


@dataclass(frozen=True)
class MarkedVideo:
    """A video, and what was found in it."""

    name: str
    num_frames: int
    fps: float
    true: VideoBoxes
    found: VideoBoxes
    """The boxes that are sure enough to be told."""
    marks: BoxMarks

    def drawn(self, frame: int, classes: Sequence[str]) -> list[DrawnBox]:
        """The boxes of a frame: what is missed on top, then false alarms."""
        hit_by = {j for _, j in self.marks.hits}
        false: list[DrawnBox] = []
        hits: list[DrawnBox] = []
        for j in np.flatnonzero(self.found.frame_M == frame).tolist():
            color = HIT if j in hit_by else FALSE_ALARM
            text = f"{drawable(classes[self.found.label_M[j]])} {self.found.score_M[j]:.2f}"
            (hits if j in hit_by else false).append(DrawnBox(tuple(self.found.xyxy_M4[j].tolist()), text, color))
        missed = [
            DrawnBox(tuple(self.true.xyxy_M4[i].tolist()), drawable(classes[self.true.label_M[i]]), MISSED, dashed=True)
            for i in self.marks.missed
            if self.true.frame_M[i] == frame
        ]
        return [*missed, *false, *hits]

    def picture(self, frame: int, picture_HWC: np.ndarray, size: tuple[int, int], classes: Sequence[str]) -> np.ndarray:
        """A frame at (width, height) with its boxes, drawn at that size, so that names can be read."""
        scale = size[0] / picture_HWC.shape[1], size[1] / picture_HWC.shape[0]
        method = Image.Resampling.BILINEAR if scale[0] > 1 else Image.Resampling.BOX
        resized = np.asarray(Image.fromarray(picture_HWC).resize(size, method))
        return draw_boxes(resized, [box.scaled(*scale) for box in self.drawn(frame, classes)])


def sheet_frames(video: MarkedVideo) -> list[int]:
    """Frames of which a sheet has pictures: evenly chosen, and of neighbors the one with the most mistakes."""
    count = min(MOST_PICTURES, video.num_frames)
    mistakes = np.zeros(video.num_frames, np.int64)
    np.add.at(mistakes, video.true.frame_M[[*video.marks.missed]], 1)
    np.add.at(mistakes, video.found.frame_M[[*video.marks.false_alarms]], 1)
    bounds = np.linspace(0, video.num_frames, count + 1).round().astype(int).tolist()
    frames = []
    for first, end in pairwise(bounds):
        middle = (first + end - 1) // 2
        worst = first + int(mistakes[first:end].argmax())
        frames.append(worst if mistakes[worst] else middle)
    return frames


def save_box_sheet(
    path: Path, video: MarkedVideo, pictures: Mapping[int, np.ndarray], *, classes: Sequence[str]
) -> Path:
    """pictures: uint8 [H,W,C] by frame, of `sheet_frames`; boxes are in their pixels."""
    lanes = list(_lanes(video, classes))
    shown = lanes[:MOST_LANES]
    tile = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) // COLUMNS
    height, width = next(iter(pictures.values())).shape[:2]
    tile_height = round(tile * height / width)
    top = HEAD + len(shown) * LANE + TIMES + GAP
    rows = -(-len(pictures) // COLUMNS)
    sheet = np.full((top + rows * (tile_height + CAPTION) + MARGIN, WIDTH, 3), 255, np.uint8)
    places = {}
    for number, (frame, picture_HWC) in enumerate(sorted(pictures.items())):
        row, column = divmod(number, COLUMNS)
        y, x = top + row * (tile_height + CAPTION), MARGIN + column * (tile + GAP)
        sheet[y : y + tile_height, x : x + tile] = video.picture(frame, picture_HWC, (tile, tile_height), classes)
        places[frame] = x, y + tile_height
    figure, axes = sheet_figure(sheet)
    axes.imshow(sheet, interpolation="nearest")
    _draw_head(axes, video, left_out=len(lanes) - len(shown))
    for number, lane in enumerate(shown):
        lane.draw(axes, HEAD + number * LANE, video.num_frames)
    _draw_times(axes, video, HEAD + len(shown) * LANE, [*places])
    for frame, (x, y) in places.items():
        axes.text(x, y + 15, f"frame {frame}", fontsize=6.5, color=TEXT)
        axes.text(x + tile, y + 15, f"{frame / video.fps:.2f} s", fontsize=6.5, color=MUTED, ha="right")
    return saved(figure, path)


# ---- the time line ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lane:
    """A track on the time line: the frames on which it is right, and the others."""

    name: str
    right: np.ndarray
    wrong: np.ndarray
    is_true: bool

    def draw(self, axes: Any, top: int, num_frames: int) -> None:
        y = top + (LANE - BAR) / 2
        axes.text(MARGIN + NAMES - 8, top + LANE / 2, self.name, fontsize=6.5, color=TEXT, ha="right", va="center")
        axes.hlines(top + LANE / 2, MARGIN + NAMES, WIDTH - MARGIN, color=LINE, linewidth=0.6, zorder=0)
        for frames, color, solid in (
            (self.right, HIT, True),
            (self.wrong, MISSED if self.is_true else FALSE_ALARM, not self.is_true),
        ):
            bars = [
                (_x(first, num_frames), _x(end, num_frames) - _x(first, num_frames)) for first, end in _runs(frames)
            ]
            face = _hex(color) if solid else "white"
            axes.broken_barh(bars, (y, BAR), facecolor=face, edgecolor=_hex(color), linewidth=1)


def _lanes(video: MarkedVideo, classes: Sequence[str]) -> Iterator[Lane]:
    """True tracks, then those that were found, each in order of their numbers; last, boxes without one, a lane for each
    class."""
    hit, right = {i for i, _ in video.marks.hits}, {j for _, j in video.marks.hits}
    for boxes, among, is_true in ((video.true, hit, True), (video.found, right, False)):
        is_right = np.array([number in among for number in range(len(boxes.frame_M))], bool)
        keys = list(zip(boxes.track_M.clip(min=-1).tolist(), boxes.label_M.tolist()))
        for track, label in sorted({*keys}, key=lambda key: (key[0] < 0, key)):
            mine = np.array([key == (track, label) for key in keys], bool)
            named = f"{drawable(classes[label])}{f' #{track}' if track >= 0 else ''}"
            frames = np.unique(boxes.frame_M[mine & is_right]), np.unique(boxes.frame_M[mine & ~is_right])
            yield Lane(f"{'true' if is_true else 'found'}: {named}", *frames, is_true=is_true)


def _runs(frames: np.ndarray) -> list[tuple[int, int]]:
    """[3, 4, 5, 9] -> (3, 6), (9, 10)"""
    if not len(frames):
        return []
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]


def _x(frame: float, num_frames: int) -> float:
    return MARGIN + NAMES + frame / num_frames * (WIDTH - 2 * MARGIN - NAMES)


def _draw_times(axes: Any, video: MarkedVideo, top: int, frames: Sequence[int]) -> None:
    for frame in np.linspace(0, video.num_frames, 9)[:-1].round().astype(int).tolist():
        x = _x(frame, video.num_frames)
        axes.vlines(x, HEAD, top + 10, color=LINE, linewidth=0.6, zorder=0)
        axes.text(x + 4, top + 12, f"{frame / video.fps:.2f} s", fontsize=6, color=MUTED)
    middles = np.array([_x(frame + 0.5, video.num_frames) for frame in frames])
    axes.scatter(middles, np.full(len(middles), top + 20), marker="^", s=14, color=MUTED)  # of these there are pictures


def _draw_head(axes: Any, video: MarkedVideo, *, left_out: int) -> None:
    more = f" · {left_out} more tracks" if left_out else ""
    axes.text(MARGIN, 24, drawable(video.name), fontsize=10, color=TEXT, weight="bold", parse_math=False)
    axes.text(WIDTH - MARGIN, 24, f"{video.marks}{more}", fontsize=8, color=TEXT, ha="right")
    for number, (kind, color) in enumerate(KINDS.items()):
        x = MARGIN + 160 * number
        face = "white" if "dashed" in kind else _hex(color)
        axes.broken_barh([(x, 18)], (39, 12), facecolor=face, edgecolor=_hex(color), linewidth=1)
        axes.text(x + 24, 50, kind, fontsize=7.5, color=MUTED)
    axes.text(MARGIN + 500, 50, "triangles: the frames shown below", fontsize=7.5, color=MUTED)


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
