"""Clips of one split: sample (epoch, index) -> uint8 clips. Everything random is a function of (seed, epoch, index).

Legend: B samples, K clips of a sample, N = B*K clips, T frames, H, W pixels, C = 3 channels (RGB); h, w = H / scale,
W / scale: the size of what a restoration network gets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from videxp.core.errors import VidexpError
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.labels import require_one_each, targets
from videxp.data.loading.clips import ClipChoice
from videxp.data.loading.cropping import Box, random_box, whole_box
from videxp.data.loading.quarantine import Failure
from videxp.data.loading.ring import Request, Stack
from videxp.data.loading.views import Cutter, Fit, View, fitted, read_views
from videxp.data.manifest import Manifest, Split
from videxp.data.packets_file import frame_times, map_packets
from videxp.video import (
    DecodeError,
    Decoder,
    DecoderRefused,
    Probe,
    UnreadableVideo,
    VideoReader,
    is_remote,
    open_copy,
    open_video,
)
from videxp.video.timing import FrameTimes

CLIPS = ("clip", "degraded")  # what of a sample has pixels

# What a worker needs of the manifest. Hashes, for one, stay behind.
COLUMNS = (
    *("path", "start_seconds", "end_seconds", "size_bytes", "num_frames", "fps", "first_seconds"),
    *("times_byte", "width", "height"),
    *("rotation_degrees", "key_frames", "codec", "container", "decoder", "decoder_reason"),
    *("input", "input_size_bytes", "packets_byte", "packets_size"),
)
COLUMNS_OF_TIMES = ("num_frames", "fps", "first_seconds", "times_byte")
COLUMNS_OF_COPIES = ("shard", "shard_byte", "shard_size")

RATES_SEEN = 256  # samples, for a typical rate

# What may be wrong with one file; anything else is wrong with the request.
FILE_ERRORS = (UnreadableVideo, DecodeError, DecoderRefused)


@dataclass(frozen=True)
class Samples:
    """What was read for a batch, and what could not be."""

    read: list[dict[str, Any]]
    failures: list[Failure]
    epoch: int
    slot: int | None = None  # of the ring, for their clips


class ClipDataset(Dataset[dict[str, Any]]):
    """The readable samples of one split, in the manifest's order. `dataset[epoch, index]` opens a file, reads, closes.

    `choice` says which frames; `frame_size` (height, width) and `fit` what a frame is brought to in the worker (None:
    left as it is, where all files are of one size). `cutter`: the transform that says what of each picture a clip has;
    None: all of it is sent to the device. `crop_size` (height, width) is cut out at a random place where the
    choice is random; elsewhere frames lose what `scale` does not divide at the right and at the bottom.

    Samples that are files in pairs come with the `degraded` clip; `degradation`, called with a clip uint8 [T,H,W,C] and
    a generator, makes one: uint8 [T,h,w,C]. `repeats`: how often an epoch has a sample, with other clips.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        split: Split,
        choice: ClipChoice,
        seed: int,
        frame_size: tuple[int, int] | None = None,
        fit: Fit = "crop",
        cutter: Cutter | None = None,
        decoder: Decoder = "auto",
        allow_unsafe: bool = False,
        crop_size: tuple[int, int] | None = None,
        scale: int = 1,
        degradation: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
        repeats: int = 1,
    ) -> None:
        samples = manifest.samples(split)
        self.root = manifest.root
        self.frame_template = manifest.frame_template
        columns = COLUMNS + COLUMNS_OF_COPIES if manifest.shards else COLUMNS
        self.columns = {name: manifest[name][samples] for name in columns}
        self.packets = map_packets(manifest.packets_file)
        self.times_tables = map_packets(manifest.times_file)
        self.shards = manifest.shards
        self.labels = targets(manifest["label"][samples], manifest.classes, several=manifest.several_labels)
        self.choice = choice
        self.seed = seed
        self.frame_size = frame_size
        self.fit = fit
        self.cutter = cutter
        self.decoder = decoder
        self.allow_unsafe = allow_unsafe
        self.crop_size = crop_size
        self.scale = scale
        self.degradation = degradation
        self.repeats = repeats

    def __len__(self) -> int:
        return len(self.labels) * self.repeats

    def row(self, index: int) -> int:
        """Which of the split's samples `index` is: the same one again after len(labels)."""
        return index % len(self.labels)

    @cached_property
    def shard_of(self) -> np.ndarray:
        """The shard of each sample, numbered as their names are sorted, int64 [len]; of a data set with a cache."""
        names = list(self.columns["shard"])
        number = {name: place for place, name in enumerate(sorted(set(names)))}
        return np.tile(np.array([number[name] for name in names], dtype=np.int64), self.repeats)

    @property
    def label_of(self) -> np.ndarray:
        """The class of each of the split's samples, int64 [n]. Raises BadRequest where one has none, or several."""
        return require_one_each(self.labels, key="dataset.shuffle=class_balanced")

    def label(self, row: int) -> int | np.ndarray:
        return int(self.labels[row]) if self.labels.ndim == 1 else self.labels[row].astype(np.float32)

    def path(self, index: int) -> Path:
        return Path(self.root, self.columns["path"][self.row(index)])

    def file(self, index: int) -> str:
        """The sample's path, relative to the data's root."""
        return str(self.columns["path"][self.row(index)])

    def clip_fps(self, index: int) -> float:
        """Frames per second at which a clip of this sample plays as fast as its video."""
        row = self.row(index)
        return self.choice.played_fps(self.times(row), **self.seconds(row))

    @cached_property
    def typical_clip_fps(self) -> float:
        """The median over samples, of many over some that are evenly spread."""
        count = len(self.labels)
        return float(np.median([self.clip_fps(i) for i in range(0, count, -(-count // RATES_SEEN))]))

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """`clip` uint8 [K*V,T,H,W,C], `label` (-1: none; of data with several labels float32 [classes], 1 or 0),
        `index`, `epoch`; `degraded` uint8 [K,T,h,w,C] if there is one.

        Raises UnreadableVideo or DecodeError with path, frames and cause; never another sample in its place.
        """
        epoch, index = key
        row = self.row(index)
        frames_KT = self.frames(row, rng=self._rng(Stream.CLIP, key))
        with self.open(row, frames_KT) as reader:
            box = self._box(self.frame_size or reader.size, key)
            clip = read_views(reader, frames_KT, self._views(reader.size, box, key, clips=len(frames_KT)))
        sample = {"clip": clip, "label": self.label(row), "index": index, "epoch": epoch}
        if self.columns["input"][row]:
            with self._open_input(row, frames_KT) as reader:
                sample["degraded"] = read_views(reader, frames_KT, [[box.over(self.scale).cut]] * len(frames_KT))
        elif self.degradation is not None:
            rng = self._rng(Stream.DEGRADE, key)
            made = [self.degradation(of_sample.numpy(), rng) for of_sample in clip]
            sample["degraded"] = torch.from_numpy(np.stack(made))
        return sample

    def _views(self, size: tuple[int, int], box: Box, key: tuple[int, int], *, clips: int) -> Sequence[Sequence[View]]:
        """For each clip its views on pictures of (height, width)."""
        if self.cutter is not None:
            return self.cutter.views(size, epoch=key[0], index=key[1], clips=clips)
        if self.frame_size is not None:
            return [[fitted(self.frame_size, self.fit, box=box)]] * clips
        return [[box.cut]] * clips

    def frames(self, row: int, *, rng: np.random.Generator) -> np.ndarray:
        """Which frames a sample is read with, int64 [K,T]."""
        return self.choice.frames(self.times(row), **self.seconds(row), rng=rng)

    def times(self, row: int) -> FrameTimes:
        """When the frames of a sample's video are shown."""
        return frame_times({name: self.columns[name][row] for name in COLUMNS_OF_TIMES}, self.times_tables)

    def seconds(self, row: int) -> dict[str, float]:
        """Where a sample starts and ends in its video; nan: with it."""
        return {name: float(self.columns[name][row]) for name in ("start_seconds", "end_seconds")}

    def part(self, index: int) -> dict[str, float | None]:
        """Where a sample starts and ends in its video (None: with it); nothing where all samples are whole videos."""
        if all(np.isnan(self.columns[name]).all() for name in ("start_seconds", "end_seconds")):
            return {}
        return {name: None if isnan(value) else value for name, value in self.seconds(self.row(index)).items()}

    def largest_sample_bytes(self) -> int:
        """What the pixels of a sample take at most; 0 where there is no telling: whole videos, no samples."""
        if self.choice.num_frames == "all" or not len(self):
            return 0
        clips = self.choice.clips or self.choice.random_clips
        size = int(self.columns["height"].max()), int(self.columns["width"].max())
        views = self._views(size, self._box(self.frame_size or size, (0, 0)), (0, 0), clips=clips)
        picture = torch.zeros((1, *size, 3), dtype=torch.uint8)
        pixels = sum(view(picture).numel() for of_clip in views for view in of_clip)
        return 2 * pixels * self.choice.num_frames  # a clip and its input, which is no larger

    def lengths(self) -> list[int]:
        """Frames of each sample's clips, for choices that draw nothing."""
        return [self.frames(row, rng=np.random.default_rng(0)).shape[1] for row in range(len(self.labels))]

    def _rng(self, stream: Stream, key: tuple[int, int]) -> np.random.Generator:
        return generator(self.seed, stream=stream, epoch=key[0], index=key[1])

    def _box(self, size: Sequence[int], key: tuple[int, int]) -> Box:
        if self.crop_size is None or self.choice.clips is not None:
            return whole_box(size, multiple=self.scale)
        return random_box(size, self.crop_size, multiple=self.scale, rng=self._rng(Stream.CROP, key))

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> Samples:
        """What a DataLoader calls for a batch: the samples that can be read, and why others cannot."""
        samples = Samples([], [], epoch=keys[0][0], slot=keys.slot if isinstance(keys, Request) else None)
        for epoch, index in keys:
            try:
                samples.read.append(self[epoch, index])
            except FILE_ERRORS as error:
                cause = error.reason if isinstance(error, DecoderRefused) else error.cause
                samples.failures.append(Failure(str(error), path=self.file(index), cause=cause))
            except VidexpError as error:
                samples.failures.append(Failure(str(error)))
        if odd := self._odd_sizes(samples.read):
            samples.failures.append(Failure(odd))
        return samples

    def _odd_sizes(self, samples: list[dict[str, Any]]) -> str:
        """Which two samples cannot form a batch; "" where all can."""
        for sample in samples:
            for name, value in sample.items():
                if isinstance(value, Tensor) and value.shape != samples[0][name].shape:
                    one, other = (self.path(s["index"]) for s in (samples[0], sample))
                    shapes = f"{list(samples[0][name].shape)} and {list(value.shape)}"
                    return f"{one} and {other} cannot form a batch: their {name} is {shapes}: set dataset.frame_size"
        return ""

    def _open_input(self, row: int, frames: np.ndarray) -> VideoReader:
        """Without a probe: PyAV reads every file rightly."""
        path = Path(self.root, self.columns["input"][row])
        self._require_unchanged(path, int(self.columns["input_size_bytes"][row]), frames)
        return open_video(path, template=self.frame_template or None, fps=float(self.columns["fps"][row]))

    def open(self, row: int, frames: np.ndarray) -> VideoReader:
        """The sample's video, or its copy. frames: those wanted, for an error's message. Raises as reading does."""
        if self.shards:
            return self._open_copy(f"{self.shards}/{self.columns['shard'][row]}", row, frames)
        path = self.path(row)
        self._require_unchanged(path, int(self.columns["size_bytes"][row]), frames)
        return open_video(
            path,
            decoder=self.decoder,
            probe=None if self.frame_template else self._probe(row),
            allow_unsafe=self.allow_unsafe,
            template=self.frame_template or None,
            fps=float(self.columns["fps"][row]),
        )

    def _open_copy(self, shard: str, row: int, frames: np.ndarray) -> VideoReader:
        if not is_remote(shard):
            self._require_unchanged(Path(shard), int(self.columns["shard_size"][row]), frames)
        probe, start = self._probe(row), int(self.columns["shard_byte"][row])
        return open_copy(shard, probe=probe, start_byte=start)

    def _require_unchanged(self, path: Path, size_bytes: int, frames: np.ndarray) -> None:
        if not self.frame_template and _size_bytes(path) != size_bytes:
            cause = "the file has changed or gone since it was prepared: prepare again"
            raise DecodeError(path, np.unique(frames), cause)

    def _probe(self, index: int) -> Probe:
        value = {name: column[index] for name, column in self.columns.items()}
        start, times = int(value["packets_byte"]), self.times(index)
        return Probe(
            num_frames=times.num_frames,
            fps=times.fps,
            width=int(value["width"]),
            height=int(value["height"]),
            duration_seconds=times.num_frames / times.fps,
            codec=value["codec"],
            container=value["container"],
            rotation_degrees=int(value["rotation_degrees"]),
            decord_safe=not value["decoder_reason"],
            decord_unsafe_reason=value["decoder_reason"],
            key_frames=int(value["key_frames"]),
            first_seconds=times.first_seconds,
            frame_seconds=b"" if times.table is None else times.table.data,
            packets=self.packets[start : start + int(value["packets_size"])].data,
        )


def collate(samples: Samples, stack: Stack = default_collate) -> dict[str, Any]:
    """Samples -> `clip` uint8 [N,T,H,W,C] (the K clips of a sample adjacent), `label`, `index`, `epoch` int64 [B]
    (`label` float32 [B,classes], 1 or 0, where samples have several), and `degraded` uint8 [N,T,h,w,C] where it is.

    Where some could not be read, `failures` tells why. Where none could: `index` int64 [0], `epoch` int64 [1].
    `stack` makes one tensor of the clips; by default, in a worker, in fresh shared memory.
    """
    failures = {"failures": samples.failures} if samples.failures else {}
    if not samples.read or any(not failure.path for failure in samples.failures):
        return {"index": torch.empty(0, dtype=torch.int64), "epoch": torch.tensor([samples.epoch]), **failures}
    columns = {name: [sample[name] for sample in samples.read] for name in samples.read[0]}
    clips = {name: stack(columns[name]).flatten(0, 1) for name in CLIPS if name in columns}
    rest = {name: default_collate(values) for name, values in columns.items() if name not in CLIPS}
    return {**clips, **rest, **failures}


def _size_bytes(path: Path) -> int:
    """0 where it cannot be had."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
