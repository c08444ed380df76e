"""A film's contact sheet as a picture: a time line with the probability of each frame and the transitions that were
found or missed, and a frame of each shot.

Shapes: N frames; H, W = height and width of a frame in pixels, C = 3 (red, green, blue).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videxp.tasks.pictures import drawable, saved, sheet_figure
from videxp.tasks.shot_marks import ShotMarks
from videxp.video.clock import FrameClock
from videxp.video.shots import FilmShot, FilmTransition, evenly_chosen

# Told apart by shape, and by colors that stay apart for the color-blind (Okabe and Ito, 2008).
STYLES: dict[str, dict[str, Any]] = {
    "hit": {"marker": "o", "s": 30, "color": "#0072b2"},
    "missed": {"marker": "v", "s": 40, "facecolor": "white", "edgecolor": "#c24e00", "linewidths": 1.5},
    "false alarm": {"marker": "x", "s": 32, "color": "#9b2f7f", "linewidths": 2},
    "found": {"marker": "D", "s": 22, "color": "#1c2128"},
}
TEXT, MUTED, CURVE = "#1c2128", "#5b6673", "#8a94a0"
WIDTH, MARGIN, GAP = 1400, 20, 8  # pixels
HEAD, ROW, CAPTION = 66, 104, 38
MOST_ROWS, FRAMES_PER_ROW = 6, 250
COLUMNS, MOST_PICTURES = 8, 64
TIMES = 8  # written below a strip

Placed = tuple[str, FilmTransition, bool]
"""Kind, transition, whether it stands above the curve."""


def sheet_shots(shots: Sequence[FilmShot]) -> Sequence[FilmShot]:
    """Those of which a sheet has pictures: all, or as many as it has room for, from the first to the last."""
    return evenly_chosen(shots, most=MOST_PICTURES)


def save_shot_sheet(
    path: Path,
    *,
    title: str,
    shots: Sequence[FilmShot],
    pictures: Mapping[int, np.ndarray],
    transitions: Sequence[FilmTransition],
    clock: FrameClock,
    threshold: float,
    probabilities: np.ndarray | None = None,
    marks: ShotMarks | None = None,
) -> Path:
    """pictures: uint8 [H,W,C] by shot number, of `sheet_shots`. transitions: that were found. probabilities: float
    [N]. marks: how the transitions compare with the true ones, where these are known."""
    rows = min(MOST_ROWS, -(-clock.num_frames // FRAMES_PER_ROW))
    shown = [shot for shot in sheet_shots(shots) if shot.number in pictures]
    tile = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) // COLUMNS
    tile_height = _tile_height(pictures, tile)
    top = HEAD + rows * ROW + 2 * GAP
    sheet = np.full((top + -(-len(shown) // COLUMNS) * (tile_height + CAPTION) + MARGIN, WIDTH, 3), 255, np.uint8)
    places = [
        (top + row * (tile_height + CAPTION), MARGIN + column * (tile + GAP)) for row, column in _cells(len(shown))
    ]
    for shot, (y, x) in zip(shown, places):
        picture = Image.fromarray(pictures[shot.number]).resize((tile, tile_height), Image.Resampling.BOX)
        sheet[y : y + tile_height, x : x + tile] = np.asarray(picture)
    figure, axes = sheet_figure(sheet)
    axes.imshow(sheet, interpolation="nearest")
    _draw_head(axes, title, marks, left_out=len(shots) - len(shown), of=len(shots))
    bounds = np.linspace(0, clock.num_frames, rows + 1).round().astype(int)
    placed = _placed(transitions, marks)
    for row, (first, end) in enumerate(pairwise(bounds.tolist())):
        strip = Strip(axes, HEAD + row * ROW, first, end)
        strip.draw_curve(probabilities, threshold)
        strip.draw_times(clock)
        for kind in STYLES:
            strip.draw_marks(kind, [one for one in placed if one[0] == kind])
    for shot, (y, x) in zip(shown, places):
        times = f"{_time(shot.start_seconds)} to {_time(shot.end_seconds)}"
        axes.text(x, y + tile_height + 14, f"{shot.number}  {times}", fontsize=6.5, color=TEXT)
        axes.text(x, y + tile_height + 28, f"frames {shot.first} to {shot.last}", fontsize=6, color=MUTED)
    return saved(figure, path)


def _cells(count: int) -> list[tuple[int, int]]:
    return [divmod(number, COLUMNS) for number in range(count)]


def _tile_height(pictures: Mapping[int, np.ndarray], width: int) -> int:
    height, of = next(iter(pictures.values())).shape[:2] if pictures else (9, 16)
    return max(1, round(width * height / of))


def _placed(transitions: Sequence[FilmTransition], marks: ShotMarks | None) -> list[Placed]:
    if marks is None:
        return [("found", one, False) for one in transitions]
    true = [("hit", one, True) for one, _ in marks.hits] + [("missed", one, True) for one in marks.missed]
    found = [("hit", one, False) for _, one in marks.hits] + [("false alarm", one, False) for one in marks.false_alarms]
    return [*true, *found]


def _draw_head(axes: Any, title: str, marks: ShotMarks | None, *, left_out: int, of: int) -> None:
    axes.text(MARGIN, 24, drawable(title), fontsize=10, color=TEXT, weight="bold", parse_math=False)
    pictured = f" · pictures of {of - left_out:,} of the {of:,} shots" if left_out else ""
    axes.text(WIDTH - MARGIN, 24, f"{marks or ''}{pictured}", fontsize=8, color=TEXT, ha="right")
    kinds = ["found"] if marks is None else ["hit", "missed", "false alarm"]
    for number, kind in enumerate(kinds):
        axes.scatter([MARGIN + 6 + 110 * number], [46], **STYLES[kind])
        axes.text(MARGIN + 18 + 110 * number, 50, kind, fontsize=7.5, color=MUTED)
    if marks is not None:
        axes.text(MARGIN + 350, 50, "above the curve: true; below it: found", fontsize=7.5, color=MUTED)


@dataclass(frozen=True)
class Strip:
    """Frames [first, end) across the sheet, `ROW` pixels from `top` on: true marks, the curve, found ones, times."""

    axes: Any
    top: int
    first: int
    end: int

    @property
    def curve(self) -> tuple[int, int]:
        """Pixels from the top of the sheet: probability 1, probability 0."""
        return self.top + 20, self.top + 66

    def x(self, frame: Any) -> Any:
        return MARGIN + (frame - self.first) / (self.end - self.first) * (WIDTH - 2 * MARGIN)

    def draw_curve(self, probabilities: np.ndarray | None, threshold: float) -> None:
        """The greatest probability under each pixel."""
        (high, low), ends = self.curve, [MARGIN, WIDTH - MARGIN]
        self.axes.plot(ends, [low, low], color=CURVE, linewidth=0.8)
        if probabilities is None:
            return
        edges = np.linspace(self.first, self.end, min(WIDTH, self.end - self.first) + 1).round().astype(int)
        peaks = np.maximum.reduceat(probabilities[self.first : self.end], edges[:-1] - self.first)
        self.axes.stairs(low - peaks * (low - high), self.x(edges), baseline=low, fill=True, color=CURVE, alpha=0.6)
        level = low - threshold * (low - high)
        self.axes.plot(ends, [level, level], color=MUTED, linewidth=0.6, linestyle=(0, (5, 4)))

    def draw_times(self, clock: FrameClock) -> None:
        frames = np.linspace(self.first, self.end, TIMES + 1)[:-1].round().astype(int)
        self.axes.vlines(self.x(frames), self.curve[1], self.top + 96, color="#dfe3e8", linewidth=0.7)
        for frame in frames.tolist():
            self.axes.text(self.x(frame) + 4, self.top + 95, _time(clock.seconds(frame)), fontsize=6, color=MUTED)

    def draw_marks(self, kind: str, placed: Sequence[Placed]) -> None:
        """Symbols of one kind, with lines to the curve, and shades over the frames of gradual transitions."""
        style = STYLES[kind]
        color = style.get("edgecolor") or style["color"]
        for above in (True, False):
            shown = [one for _, one, at in placed if at == above and self.first <= one.shot_end < self.end]
            y, base = (self.top + 8, self.curve[0]) if above else (self.top + 78, self.curve[1])
            x = self.x(np.array([one.shot_end + 0.5 for one in shown]))
            spans = [one.frames for one in shown if not one.is_cut]
            ends = [(self.x(max(span.start, self.first)), self.x(min(span.stop, self.end))) for span in spans]
            shades = [(left, right - left) for left, right in ends]
            self.axes.broken_barh(shades, (min(y, base), abs(base - y)), color=color, alpha=0.25, linewidth=0)
            self.axes.vlines(x, y, base, color=color, linewidth=0.8)
            self.axes.scatter(x, np.full(len(x), y), zorder=3, **style)


def _time(seconds: Any) -> str:
    """`01:02.50`, `1:01:02.50`"""
    minutes, rest = divmod(float(seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{f'{hours}:' if hours else ''}{minutes:02d}:{rest:05.2f}"
