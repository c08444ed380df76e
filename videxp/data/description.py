"""What the videos of a data set are like, in a few lines, and what follows from it for a recipe."""

import textwrap
from dataclasses import dataclass
from functools import cached_property
from math import isnan

import numpy as np

from videxp.data.annotations.labels import unpack_labels
from videxp.data.loading.clips import ClipChoice
from videxp.data.manifest import Manifest
from videxp.data.packets_file import frame_times, map_packets
from videxp.video.timing import FrameTimes

UNEVEN_CLASSES = 4  # times as many videos as another class
UNEVEN_RATES = 1.25  # times as fast as others
Named = tuple[str, str]


@dataclass(frozen=True)
class Description:
    """Of the readable training videos; of a data set that has only tests, of these."""

    manifest: Manifest
    choice: ClipChoice
    """Which frames a recipe takes for training."""
    test_clips: int = 1

    @cached_property
    def samples(self) -> np.ndarray:
        """int64 [N]: rows of the manifest."""
        train = self.manifest.samples("train")
        return train if len(train) else np.flatnonzero(self.manifest["error"].lengths == 0)

    @cached_property
    def parts(self) -> list[FrameTimes]:
        """The times of what each sample is of its video. Only a variable rate and a part's ends take any work."""
        tables = map_packets(self.manifest.times_file)
        names = ("num_frames", "fps", "first_seconds", "times_byte", "start_seconds", "end_seconds")
        columns = [self.manifest[name][self.samples].tolist() for name in names]
        parts = []
        for values in (dict(zip(names, row)) for row in zip(*columns)):
            times = frame_times(values, tables)
            ends = {name: values[name] for name in ("start_seconds", "end_seconds")}
            parts.append(times if all(map(isnan, ends.values())) else self.choice.part(times, **ends))
        return parts

    @cached_property
    def frames(self) -> np.ndarray:
        """int64 [N]"""
        return np.array([part.num_frames for part in self.parts])

    @cached_property
    def seconds(self) -> np.ndarray:
        """float64 [N]"""
        return np.array([part.since_first(part.num_frames) for part in self.parts])

    @cached_property
    def num_variable(self) -> int:
        """Videos with a variable rate."""
        return sum(part.is_variable for part in self.parts)

    @cached_property
    def per_class(self) -> dict[str, int]:
        """Samples of each class."""
        counts = dict.fromkeys(self.manifest.classes, 0)
        for label in self.manifest["label"][self.samples]:
            for name in unpack_labels(label):
                counts[name] += 1
        return counts

    @cached_property
    def short_share(self) -> float:
        """The share of samples that end before a clip does."""
        choice = self.choice
        if choice.num_frames == "all" or not len(self.samples):
            return 0.0
        if choice.sampling == "segments":
            short = self.frames < choice.num_frames
        elif choice.clip_fps is not None:
            short = self.seconds < (choice.num_frames - 1) / choice.clip_fps
        else:
            short = self.frames < (choice.num_frames - 1) * choice.stride_frames + 1
        return float(short.mean())

    def rows(self, *, columns: int) -> list[Named]:
        """The lines, and a row "note" for each thing that follows; texts of at most so many columns go on in rows
        without a name."""
        rows: list[Named] = []
        for name, text in [*self.lines(), *(("note", note) for note in self.notes())]:
            first, *rest = textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False)
            rows += [(name, first), *(("", line) for line in rest)]
        return rows

    def lines(self) -> list[Named]:
        """(name, text), such as ("videos", "7-49 frames (median 16), 0.7-4.9 s (median 1.6)")."""
        if not len(self.samples):
            return []
        rates, sizes = np.array([part.fps for part in self.parts]), _sizes(self.manifest, self.samples)
        pictures = f"{_range(rates)} fps, {sizes}"
        if self.num_variable:
            pictures += f"; {self.num_variable:,} of {len(self.parts):,} at a variable rate"
        found = [
            ("videos", f"{_spread(self.frames, 'frames')}, {_spread(self.seconds, 's')}"),
            ("frames", pictures),
        ]
        if any(self.per_class.values()):
            counts = _range(np.array(list(self.per_class.values())))
            found.append(("balance", f"{counts} training videos of each class"))
        if self.manifest.pixels is not None:
            mean, deviation = (" ".join(f"{value:.2f}" for value in values) for values in self.manifest.pixels)
            found.append(("pixels", f"mean {mean}, deviation {deviation} of 0-1"))
        return found

    def notes(self) -> list[str]:
        """What follows, with what to type."""
        return [note for note in (self._short(), self._uneven_classes(), self._uneven_rates()) if note]

    def _short(self) -> str:
        if not self.short_share:
            return ""
        choice, what = self.choice, "start again" if self.choice.short == "loop" else "hold their last frame"
        span = f"{choice.num_frames} frames" + (
            f", one of every {choice.stride_frames}" if choice.stride_frames > 1 else ""
        )
        if choice.clip_fps is not None:
            span = f"{choice.num_frames} frames at {choice.clip_fps:g} fps"
        note = f"{_percent(self.short_share)} of the videos are shorter than a clip ({span})"
        if choice.sampling == "segments":
            return f"{note} and show frames twice"
        if not self.per_class:
            return f"{note} and {what}"
        one_clip = " dataset.protocol=1x1" if self.test_clips > 1 else ""
        return f"{note} and {what}: dataset.clips.sampling=segments{one_clip} reads each whole"

    def _uneven_classes(self) -> str:
        if not self.per_class or self.manifest.labels == "labels":
            return ""
        (most, many), (least, few) = (pick(self.per_class.items(), key=lambda item: item[1]) for pick in (max, min))
        if many < UNEVEN_CLASSES * max(1, few):
            return ""
        return (
            f"{most} has {many:,} videos, {least} has {few:,}: dataset.loading.shuffle=class_balanced meets each class "
            "equally often"
        )

    def _uneven_rates(self) -> str:
        choice = self.choice
        if choice.clip_fps is not None or choice.sampling == "segments" or not self.parts:
            return ""
        low, median, high = np.percentile([part.fps for part in self.parts], (5, 50, 95))
        if not self.num_variable and high < UNEVEN_RATES * low:
            return ""
        rate = f"{max(0.1, median / choice.stride_frames):.1f}".removesuffix(".0")
        return f"frames are not equally far apart in time: dataset.clips.clip_fps={rate} makes all clips equally fast"


def _range(values: np.ndarray) -> str:
    """`12`, `7-49`."""
    low, high = (_number(value) for value in (values.min(), values.max()))
    return low if low == high else f"{low}-{high}"


def _spread(values: np.ndarray, unit: str) -> str:
    """`12 frames`, `7-49 frames (median 16)`."""
    text = _range(values)
    return f"{text} {unit}" + (f" (median {_number(float(np.median(values)))})" if "-" in text else "")


def _number(value: float) -> str:
    """`1,680`, `29.97`, `0.7`: at most two decimals, one from 100 on."""
    text = f"{value:,.{1 if value >= 100 else 2}f}"
    return text.rstrip("0").rstrip(".")


def _sizes(manifest: Manifest, samples: np.ndarray) -> str:
    """`64x64`, `64x64 to 1920x1080`."""
    sizes = sorted(
        {*zip(manifest["width"][samples].tolist(), manifest["height"][samples].tolist())}, key=lambda s: s[0] * s[1]
    )
    first, last = (f"{width}x{height}" for width, height in (sizes[0], sizes[-1]))
    return first if len(sizes) == 1 else f"{first} to {last}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
