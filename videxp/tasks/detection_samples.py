"""What a test of a detector looks like: sheets of videos, the worst ones playing, confusion of classes, precision over
recall.

Legend: K classes; T frames, H, W pixels, C = 3 (red, green, blue).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageDraw

from videxp.metrics.detected_videos import DetectedVideo, DetectionFigures
from videxp.metrics.detection import Interpolation, Matched
from videxp.tasks.box_marks import LEAST_OVERLAP, count_confusions, mark_boxes
from videxp.tasks.box_sheet import MarkedVideo, save_box_sheet, sheet_frames
from videxp.tasks.pictures import cut_text, drawable, figure, save_confusion_matrix, saved
from videxp.video import write_video
from videxp.video.drawing import letters

BACKGROUND = "background"
MOST_CURVES = 12
"""Of these precision and recall are drawn in colors, those with the most boxes; the others are grey."""
WORST_SHOWN, WORST_COLUMNS = 9, 3
TILE, CAPTION = 320, 40  # pixels


@dataclass(frozen=True)
class BoxSamples:
    """Pictures of the videos that were tested. threshold: score of the boxes that are told."""

    classes: list[str]
    threshold: float
    datamodule: Any
    split: Literal["val", "test"]

    def save_sheets(self, folder: Path, videos: Sequence[DetectedVideo], *, count: int) -> list[Path]:
        """A contact sheet of each of some videos, evenly chosen."""
        count = min(count, len(videos))
        chosen = [videos[i * len(videos) // count] for i in range(count)]
        return [self._save_sheet(folder, video) for video in chosen]

    def _save_sheet(self, folder: Path, video: DetectedVideo) -> Path:
        clip_THWC, marked = self._read(video)
        pictures = {frame: clip_THWC[frame] for frame in sheet_frames(marked)}
        path = folder / f"{video.index:05d}_{Path(marked.name).stem}.png"
        return save_box_sheet(path, marked, pictures, classes=self.classes)

    def save_worst(self, path: Path, videos: Sequence[DetectedVideo]) -> Path:
        """A grid of videos, playing, with what was hit, missed and falsely found."""
        shown = [self._read(video) for video in videos[:WORST_SHOWN]]
        fps = self.datamodule.dataset(self.split).clip_fps(videos[0].index)
        write_video(path, self._playing(shown), fps=fps)
        return path

    def _playing(self, shown: Sequence[tuple[np.ndarray, MarkedVideo]]) -> Iterator[np.ndarray]:
        """Pictures of the grid; a shorter video stands still at its end until the longest has played."""
        columns = min(WORST_COLUMNS, len(shown))
        sizes = [_within(TILE, clip_THWC.shape[2], clip_THWC.shape[1]) for clip_THWC, _ in shown]
        cell = max(height for _, height in sizes) + CAPTION
        captions = [_caption(drawable(marked.name), str(marked.marks)) for _, marked in shown]
        for frame in range(max(len(clip_THWC) for clip_THWC, _ in shown)):
            grid = np.zeros((cell * -(-len(shown) // columns), TILE * columns, 3), np.uint8)
            for number, ((clip_THWC, marked), (width, height)) in enumerate(zip(shown, sizes)):
                at = min(frame, len(clip_THWC) - 1)
                y, x = (side * place for side, place in zip((cell, TILE), divmod(number, columns)))
                left = x + (TILE - width) // 2
                grid[y : y + height, left : left + width] = marked.picture(
                    at, clip_THWC[at], (width, height), self.classes
                )
                grid[y + cell - CAPTION : y + cell, x : x + TILE] = captions[number]
            yield grid

    def _read(self, video: DetectedVideo) -> tuple[np.ndarray, MarkedVideo]:
        """uint8 [T,H,W,C] as the test read it, and what was found in it."""
        films = self.datamodule.dataset(self.split)
        clip_THWC = films[0, video.index]["clip"][0].numpy()
        told = video.found.where(video.found.score_M >= self.threshold)
        marks = mark_boxes(video.true, told)
        name, fps = films.path(video.index).name, films.clip_fps(video.index)
        return clip_THWC, MarkedVideo(name, len(clip_THWC), fps, video.true, told, marks)

    def save_confusion(self, path: Path, videos: Sequence[DetectedVideo]) -> Path:
        """Of classes that are there, or were found, and of the background."""
        counts = count_confusions(videos, num_classes=len(self.classes), threshold=self.threshold)
        used = np.flatnonzero((counts.sum(0) + counts.sum(1))[:-1]).tolist()
        names = [*(self.classes[label] for label in used), BACKGROUND]
        counts = counts[np.ix_([*used, -1], [*used, -1])]
        least = f"from {self.threshold:g}, " if self.threshold else ""
        title = f"boxes {least}paired from IoU {LEAST_OVERLAP:g}"
        return save_confusion_matrix(torch.from_numpy(counts), names, path, title=title)


def _within(side: int, width: int, height: int) -> tuple[int, int]:
    """The size at which a picture fits into a square, in even numbers of pixels."""
    scale = side / max(width, height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _caption(*lines: str) -> np.ndarray:
    """uint8 [CAPTION,TILE,3]"""
    band = Image.new("RGB", (TILE, CAPTION), "white")
    pen = ImageDraw.Draw(band)
    for number, text in enumerate(lines):
        short = cut_text(text, room=TILE - 8, measure=partial(pen.textlength, font=letters(12)))
        pen.text((4, 4 + 17 * number), short, "#1c2128", letters(12))
    return np.asarray(band)


def save_precision_recall(
    matched: Mapping[int, Matched], classes: Sequence[str], path: Path, *, interpolation: Interpolation
) -> Path:
    """matched: of each class, at IoU 0.5 alone; classes without a true box have no curve."""
    there = sorted((label for label, one in matched.items() if one.true), key=lambda label: -matched[label].true)
    picture = figure(8, 5)
    axes = picture.subplots()
    colors = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"]  # Okabe and Ito, 2008
    for place, label in reversed([*enumerate(there)]):
        one = matched[label]
        precision_D, recall_D = one.precision_and_recall(0)
        named = place < MOST_CURVES
        text = f"{drawable(classes[label])} {float(one.average_precision(interpolation)[0]):.3f} ({one.true:,})"
        axes.plot(
            np.r_[0.0, recall_D],
            np.r_[precision_D[:1] if len(precision_D) else 1.0, precision_D],
            color=colors[place % len(colors)] if named else "#c5ccd3",
            linestyle="-" if place < len(colors) or not named else "--",
            linewidth=1.6 if named else 0.8,
            label=text if named else None,
        )
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    axes.grid(color="#dfe3e8", linewidth=0.6)
    axes.set_axisbelow(True)
    aps = [float(matched[label].average_precision(interpolation)[0]) for label in there]
    mean = f"mean AP {np.mean(aps):.3f}" if aps else "no true boxes"
    axes.set_title(f"boxes of frames from IoU {LEAST_OVERLAP:g}: {mean} ({interpolation})", fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        title = "class, AP (true boxes)" + (f", {MOST_CURVES} of {len(there)}" if len(there) > MOST_CURVES else "")
        legend = axes.legend(
            handles[::-1],
            labels[::-1],
            title=title,
            fontsize=7,
            title_fontsize=7,
            loc="upper left",
            bbox_to_anchor=(1.01, 1),
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return saved(picture, path)


def save_detection_samples(
    folder: Path,
    videos: Sequence[DetectedVideo],
    samples: BoxSamples,
    *,
    figures: DetectionFigures,
    sheets: int,
    told: Sequence[DetectedVideo] | None = None,
) -> list[Path]:
    """Of a test all of it, of a validation sheets alone. told: what is shown of the videos, where that is less than
    what was found."""
    shown = videos if told is None else told
    paths = samples.save_sheets(folder, shown, count=sheets)
    if samples.split == "val" or not videos:
        return paths
    matched = figures.match_frames([video.judged(figures.on) for video in videos], thresholds=(LEAST_OVERLAP,))
    curves = save_precision_recall(
        matched, samples.classes, folder / "precision_recall.png", interpolation=figures.interpolation
    )
    return [samples.save_confusion(folder / "confusion_matrix.png", shown), curves, *paths]
