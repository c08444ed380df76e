"""Miniature data sets: real mp4 files laid out as the real ones are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from videxp.data import VideoDataModule
from videxp.data.layouts import Layout
from videxp.video import write_video


def moving_bar(*, height: int = 24, width: int = 32, num_frames: int = 12, level: int = 200) -> np.ndarray:
    """uint8 [T,H,W,C]: frame t has a bright bar in column 2t."""
    frames = np.full((num_frames, height, width, 3), 40, dtype=np.uint8)
    for t in range(num_frames):
        frames[t, :, 2 * t % width] = level
    return frames


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few files to copy from: encoding one takes longer than copying a hundred."""
    folder = tmp_path_factory.mktemp("films")
    for suffix in ("mp4", "avi", "webm"):
        codec = {"mp4": "libx264", "avi": "mpeg4", "webm": "libvpx"}[suffix]
        write_video(folder / f"bar.{suffix}", moving_bar(), fps=10, codec=codec)
    write_video(folder / "wide.mp4", moving_bar(width=64), fps=10)
    write_video(folder / "ntsc.mp4", moving_bar(num_frames=60), fps=30000 / 1001)
    (folder / "broken.mp4").write_bytes((folder / "bar.mp4").read_bytes()[:300])
    return {file.name: file for file in folder.iterdir()}


Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, films: dict[str, Path]) -> Put:
    """put("train/walk/a.mp4", of="wide.mp4"): a real video at that place under `tmp_path/root`."""

    def put(path: str, *, of: str | None = None) -> Path:
        file = tmp_path / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(films[of or f"bar{file.suffix}"], file)
        return file

    return put


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """write("labels/train.csv", text) under `tmp_path/root`."""

    def write(path: str, text: str) -> Path:
        file = tmp_path / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


class Plain(torch.nn.Module):
    """A transform that only brings uint8 [N,T,H,W,C] to float [N,T,C,H,W]."""

    def forward(self, batch: dict) -> dict:
        return {**batch, "video": batch["video"].permute(0, 1, 4, 2, 3).float() / 255}


def module(tmp_path: Path, layout: Layout, **changes: object) -> VideoDataModule:
    """A data module over `tmp_path/root` with small clips."""
    arguments: dict = {
        "name": "mini",
        "root": str(tmp_path / "root"),
        "cache_dir": str(tmp_path / "cache"),
        "layout": layout,
        "num_frames": 4,
        "size": 24,
        "batch_size": 4,
        "train_transform": Plain(),
        "eval_transform": Plain(),
        "num_workers": 0,
    }
    return VideoDataModule(**arguments | changes)
