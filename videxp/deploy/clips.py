"""Clips of a video file as a run's test would take them."""

from pathlib import Path

import torch
from torch import Tensor

from videxp.data.loading.file_clips import NetworkClips, read_file_clips, with_times
from videxp.data.module import VideoDataModule


def clips_of_file(datamodule: VideoDataModule, path: Path, *, device: torch.device) -> dict[str, Tensor]:
    """A batch of one video, transformed: `video` float [V,T,C,H,W] on the device, V clips x crops.

    Raises UnreadableVideo or DecodeError with path and cause.
    """
    return timed_clips_of_file(datamodule, path, device=device).batch


def timed_clips_of_file(datamodule: VideoDataModule, path: Path, *, device: torch.device) -> NetworkClips:
    """The same with the numbers and times of their frames."""
    read = read_file_clips(
        path,
        choice=datamodule.choice_of("test"),
        decoding=datamodule.decoding,
        cutter=datamodule.cutter("test"),
    )
    batch = {"clip": read.clip, "index": torch.zeros(1).long(), "epoch": torch.zeros(1).long()}
    return with_times(datamodule.transformed(batch, "test", device=device), read)
