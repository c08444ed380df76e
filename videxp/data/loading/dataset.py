"""Clips of one split: sample (epoch, index) -> uint8 clips. Everything random is a function of (seed, epoch, index).

Legend: B samples, K clips of a sample, N = B*K clips, T frames, H, W pixels, C = 3 channels (RGB); h, w = H / scale,
W / scale: the size of what a restoration network gets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.annotation import Annotation, Shown, Stack
from videxp.data.annotations.labels import NO_LABEL
from videxp.data.loading.clips import ClipChoice
from videxp.data.loading.cropping import Box, random_box, whole_box
from videxp.data.loading.decoding import Decoding
from videxp.data.loading.quarantine import Failure
from videxp.data.loading.ring import Request
from videxp.data.loading.unchanged import require_unchanged
from videxp.data.loading.views import (
    Corrupter,
    Cutter,
    View,
    corrupt_clips,
    fitted,
    read_views,
    scaled_size,
)
from videxp.data.manifest import Manifest, Part
from videxp.data.packets_file import frame_times, map_packets
from videxp.video import (
    DecodeError,
    DecoderRefused,
    Probe,
    UnreadableVideo,
    VideoReader,
    is_remote,
    open_copy,
    open_video,
)
from videxp.video.placing import Placement, fitted_placement
from videxp.video.timing import FrameTimes

# What a worker needs of the manifest. Hashes, for one, stay behind.
COLUMNS = (
    *("path", "start_seconds", "end_seconds", "size_bytes", "num_frames", "fps", "first_seconds"),
    *("times_byte", "width", "height"),
    *("rotation_degrees", "key_frames", "codec", "container", "decoder", "decoder_reason"),
    *("packets_byte", "packets_size"),
)
COLUMNS_OF_TIMES = ("num_frames", "fps", "first_seconds", "times_byte")
COLUMNS_OF_COPIES = ("shard", "shard_byte", "shard_size")

RATES_SEEN = 256  # samples, for a typical rate

# What may be wrong with one file; anything else is wrong with the request.
FILE_ERRORS = (UnreadableVideo, DecodeError, DecoderRefused)


class OtherUnread(VidexpError):
    """A sample that another one is joined to cannot be read: the split's `row`."""

    def __init__(self, error: UnreadableVideo | DecodeError | DecoderRefused, row: int) -> None:
        super().__init__(str(error))
        self.row = row
        self.cause = error.reason if isinstance(error, DecoderRefused) else error.cause


@dataclass(frozen=True)
class Samples:
    """What was read for a batch, and what could not be."""

    read: list[dict[str, Any]]
    failures: list[Failure]
    epoch: int
    slot: int | None = None  # of the ring, for their clips


class ClipDataset(Dataset[dict[str, Any]]):
    """The readable samples of one split, in the manifest's order. `dataset[epoch, index]` opens a file, reads, closes.

    `choice` says which frames; `decoding` how they are read, and what a frame is brought to in the worker. `cutter`:
    the transform that says what of each picture a clip has; None: all of it is sent to the device. `crop_size` (height,
    width) is cut out at a random place where the choice is random; elsewhere frames lose what `scale` does not divide
    at the right and at the bottom.

    `corrupter`: what corrupts clips once they are cut. `annotations`: what samples have beside their clip. `repeats`:
    how often an epoch has a sample, with other clips.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        split: Part,
        choice: ClipChoice,
        seed: int,
        decoding: Decoding = Decoding(),
        cutter: Cutter | None = None,
        crop_size: tuple[int, int] | None = None,
        scale: int = 1,
        annotations: Sequence[Annotation] = (),
        corrupter: Corrupter | None = None,
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
        self.annotations = [annotation.for_samples(manifest, samples) for annotation in annotations]
        self.choice = choice
        self.seed = seed
        self.decoding = decoding
        self.frame_size = decoding.size
        self.cutter = cutter
        self.crop_size = crop_size
        self.scale = scale
        self.corrupter = corrupter
        self.repeats = repeats

    def __len__(self) -> int:
        return self.num_samples * self.repeats

    @property
    def num_samples(self) -> int:
        """Each of them counted once."""
        return len(self.columns["path"])

    def row(self, index: int) -> int:
        """Which of the split's samples `index` is: the same one again after `num_samples`."""
        return index % self.num_samples

    @cached_property
    def shard_of(self) -> np.ndarray:
        """The shard of each sample, numbered as their names are sorted, int64 [len]; of a data set with a cache."""
        names = list(self.columns["shard"])
        number = {name: place for place, name in enumerate(sorted(set(names)))}
        return np.tile(np.array([number[name] for name in names], dtype=np.int64), self.repeats)

    @property
    def class_of(self) -> np.ndarray | None:
        """The class of each of the split's samples, int64 [n]; None where they have not one each."""
        return next((of.class_of for of in self.annotations if of.class_of is not None), None)

    def require_classes(self, key: str) -> np.ndarray:
        """`class_of`. Raises BadRequest, naming the key that asks for them, where a sample has none, or several."""
        if self.class_of is None:
            raise BadRequest(f"{key}: it counts samples by their class, but these have several labels; use null")
        if (self.class_of == NO_LABEL).any():
            raise BadRequest(f"{key}: there are samples without a label; use null")
        return self.class_of

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
        count = self.num_samples
        return float(np.median([self.clip_fps(i) for i in range(0, count, -(-count // RATES_SEEN))]))

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """`clip` uint8 [K*V,T,H,W,C], the fields that annotations read beside it, `index` and `epoch`.

        Raises UnreadableVideo or DecodeError with path, frames and cause; never another sample in its place.
        """
        epoch, index = key
        row = self.row(index)
        frames_KT = self.frames(row, rng=self._rng(Stream.CLIP, key))
        with self.open(row, frames_KT) as reader:
            box = self._box(self.frame_size or reader.size, key)
            clip = self._read_views(reader, frames_KT, box, key)
            placements = partial(self._placements, reader.size, box, key, clips=len(frames_KT))
        read_others = partial(self._read_frames, key)
        shown = Shown(row, key, frames_KT, box, clip, reader.size, placements, read_others)
        fields = {annotation.name: annotation.read(shown) for annotation in self.annotations}
        given = {name: value for name, value in fields.items() if value is not None}
        return {"clip": self._corrupted(clip, key), **given, "index": index, "epoch": epoch}

    def _corrupted(self, clip: Tensor, key: tuple[int, int]) -> Tensor:
        if self.corrupter is None:
            return clip
        return corrupt_clips(clip, self.corrupter, epoch=key[0], index=key[1], fps=self.clip_fps(key[1]))

    def _read_frames(self, key: tuple[int, int], row: int, frames_KT: np.ndarray) -> Tensor:
        """uint8 [K*V,T,H,W,C]: frames of any sample, cut as those of `key` are. Raises as reading it does."""
        try:
            with self.open(row, frames_KT) as reader:
                box = self._box(self.decoding.size or reader.size, key)
                return self._read_views(reader, frames_KT, box, key)
        except FILE_ERRORS as error:
            raise OtherUnread(error, row) from error

    def _read_views(self, reader: VideoReader, frames_KT: np.ndarray, box: Box, key: tuple[int, int]) -> Tensor:
        views = self._views(reader.size, box, key, clips=len(frames_KT))
        return read_views(reader, frames_KT, views, size=scaled_size(reader.size, self.decoding))

    def _views(self, size: tuple[int, int], box: Box, key: tuple[int, int], *, clips: int) -> Sequence[Sequence[View]]:
        """For each clip its views on pictures of (height, width)."""
        if self.cutter is not None:
            return self.cutter.views(size, epoch=key[0], index=key[1], clips=clips)
        if self.frame_size is not None:
            return [[fitted(self.frame_size, self.decoding.frame_fit, box=box)]] * clips
        return [[box.cut]] * clips

    def _placements(self, size: tuple[int, int], box: Box, key: tuple[int, int], *, clips: int) -> list[Placement]:
        """Where `_views` have what pictures of (height, width) show."""
        if self.cutter is not None:
            of_clips = self.cutter.placements(size, epoch=key[0], index=key[1], clips=clips)
            return [placement for of_clip in of_clips for placement in of_clip]
        whole = (
            Placement(size)
            if self.frame_size is None
            else fitted_placement(size, self.frame_size, self.decoding.frame_fit)
        )
        return [whole.crop(top=box.top, left=box.left, size=(box.height, box.width))] * clips

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
        pixels = sum(view(picture).numel() for of_clip in views for view in of_clip) * self.choice.num_frames
        return pixels + sum(annotation.largest_bytes(pixels) for annotation in self.annotations)

    def lengths(self) -> list[int]:
        """Frames of each sample's clips, for choices that draw nothing."""
        return [self.frames(row, rng=np.random.default_rng(0)).shape[1] for row in range(self.num_samples)]

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
            except OtherUnread as error:
                samples.failures.append(Failure(str(error), path=self.file(error.row), cause=error.cause))
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
                    remedy = "set dataset.decoding.frame_size"
                    return f"{one} and {other} cannot form a batch: their {name} is {shapes}: {remedy}"
        return ""

    def open(self, row: int, frames: np.ndarray) -> VideoReader:
        """The sample's video, or its copy. frames: those wanted, for an error's message. Raises as reading does."""
        if self.shards:
            return self._open_copy(f"{self.shards}/{self.columns['shard'][row]}", row, frames)
        path = self.path(row)
        if not self.frame_template:
            require_unchanged(path, int(self.columns["size_bytes"][row]), frames)
        return open_video(
            path,
            decoder=self.decoding.decoder,
            probe=None if self.frame_template else self._probe(row),
            allow_unsafe=self.decoding.allow_unsafe_decoder,
            template=self.frame_template or None,
            fps=float(self.columns["fps"][row]),
        )

    def _open_copy(self, shard: str, row: int, frames: np.ndarray) -> VideoReader:
        if not is_remote(shard):
            require_unchanged(Path(shard), int(self.columns["shard_size"][row]), frames)
        probe, start = self._probe(row), int(self.columns["shard_byte"][row])
        return open_copy(shard, probe=probe, start_byte=start)

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


def collate(
    samples: Samples, stack: Stack = default_collate, *, annotations: Sequence[Annotation] = ()
) -> dict[str, Any]:
    """Samples -> `clip` uint8 [N,T,H,W,C] (the K clips of a sample adjacent), their fields as `annotations` collate
    them, `index` and `epoch` int64 [B].

    Where some could not be read, `failures` tells why. Where none could: `index` int64 [0], `epoch` int64 [1].
    `stack` makes one tensor of the clips; by default, in a worker, in fresh shared memory.
    """
    failures = {"failures": samples.failures} if samples.failures else {}
    if not samples.read or any(not failure.path for failure in samples.failures):
        return {"index": torch.empty(0, dtype=torch.int64), "epoch": torch.tensor([samples.epoch]), **failures}
    columns = {name: [sample[name] for sample in samples.read] for name in samples.read[0]}
    numbers = {name: default_collate(columns.pop(name)) for name in ("index", "epoch")}
    clip = stack(columns.pop("clip")).flatten(0, 1)
    of = {annotation.name: annotation for annotation in annotations}
    fields = {name: of[name].collate(values, stack) for name, values in columns.items()}
    return {"clip": clip, **fields, **numbers, **failures}
