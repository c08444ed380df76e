"""The clip pipelines that others train with, as their own configs put them together; each ends in normalized floats.

Legend: B clips of a batch, T frames, H, W pixels, C = 3 channels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import decord
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class Files(Dataset[Any]):
    def __init__(self, files: list[Path], *, num_frames: int, stride: int, size: int, clips: int) -> None:
        self.files, self.num_frames, self.stride, self.size, self.clips = files, num_frames, stride, size, clips

    def __len__(self) -> int:
        return self.clips

    def start(self, rng: np.random.Generator, total: int) -> int:
        return int(rng.integers(total - self.num_frames * self.stride))

    def box(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
        """torchvision's rule for RandomResizedCrop, which all of them use: top, left, height, width."""
        for _ in range(10):
            area = height * width * rng.uniform(0.08, 1.0)
            aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
            if w <= width and h <= height:
                return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side


class Mmaction2(Files):
    """DecordInit(num_threads=1), SampleFrames, DecordDecode, RandomResizedCrop, Resize by cv2, Flip, FormatShape NCTHW;
    uint8 to the data preprocessor, which normalizes on the device."""

    def __getitem__(self, index: int) -> Tensor:
        rng = np.random.default_rng(index)
        video = decord.VideoReader(str(self.files[index % len(self.files)]), num_threads=1)
        wanted = self.start(rng, len(video)) + self.stride * np.arange(self.num_frames)
        pictures = list(video.get_batch(wanted).asnumpy())
        top, left, height, width = self.box(rng, *pictures[0].shape[:2])
        pictures = [picture[top : top + height, left : left + width] for picture in pictures]
        pictures = [cv2.resize(p, (self.size, self.size), interpolation=cv2.INTER_LINEAR) for p in pictures]
        if rng.random() < 0.5:
            pictures = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
        return torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(3, 0, 1, 2)))


def mmaction2_on_device(batch: Tensor) -> Tensor:
    """ActionDataPreprocessor: float, minus mean, over std. mean and std are of pixels from 0 to 255."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1, 1) * 255
    std = torch.tensor(STD).view(1, 3, 1, 1, 1) * 255
    return (batch.float() - mean) / std


class Pytorchvideo(Files):
    """EncodedVideo.from_path (PyAV), get_clip, UniformTemporalSubsample, x / 255, Normalize, RandomResizedCrop, flip:
    all on float32 in the worker."""

    def __getitem__(self, index: int) -> Tensor:
        rng = np.random.default_rng(index)
        with av.open(str(self.files[index % len(self.files)])) as container:
            stream = container.streams.video[0]
            start = self.start(rng, stream.frames)
            ticks = 1 / (stream.average_rate * stream.time_base)
            first, last = int(start * ticks), int((start + self.num_frames * self.stride) * ticks)
            container.seek(first, stream=stream, backward=True, any_frame=False)
            frames = []
            for frame in container.decode(stream):
                if frame.pts >= first:
                    frames.append(frame)
                if frame.pts >= last:
                    break
        clip_CTHW = torch.stack([torch.from_numpy(frame.to_rgb().to_ndarray()) for frame in frames]).permute(3, 0, 1, 2)
        clip_CTHW = clip_CTHW.to(torch.float32)
        chosen = torch.linspace(0, clip_CTHW.shape[1] - 1, self.num_frames).long()
        clip_CTHW = torch.index_select(clip_CTHW, 1, chosen) / 255
        mean, std = torch.tensor(MEAN).view(3, 1, 1, 1), torch.tensor(STD).view(3, 1, 1, 1)
        clip_CTHW = (clip_CTHW - mean) / std
        box = self.box(rng, *clip_CTHW.shape[2:])
        clip_CTHW = v2.functional.resized_crop(clip_CTHW, *box, size=[self.size, self.size], antialias=True)
        return clip_CTHW.flip(-1) if rng.random() < 0.5 else clip_CTHW


def loader(dataset: Files, *, batch_size: int, workers: int) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )


def endless(batches: Any) -> Iterator[Any]:
    while True:
        yield from batches
