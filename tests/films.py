"""Miniature data sets: real mp4 files laid out as the real ones are."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from videxp.data import Clips, Decoding, Loading, Preparing, VideoDataModule
from videxp.data.layouts.base import Layout

Put = Callable[..., Path]
"""The fixture `put`: put("train/walk/a.mp4", of="wide.mp4") -> where it lies."""


def copy_apart(film: Path, file: Path, mark: str) -> Path:
    """The same frames in other bytes: `mark` follows in a part of the container that is for nothing (MP4, MOV, AVI,
    WebM). Two samples of the same bytes are one sample."""
    note = mark.encode()
    trailer = {
        ".mp4": (len(note) + 8).to_bytes(4, "big") + b"free",
        ".avi": b"JUNK" + len(note).to_bytes(4, "little"),
        ".webm": b"\xec\x01" + len(note).to_bytes(7, "big"),
    }[film.suffix]
    file.write_bytes(film.read_bytes() + trailer + note)
    return file


def save_picture(frame_HWC: np.ndarray, file: Path, *, mark: str) -> None:
    """A PNG or JPEG with `mark` in its text: see `copy_apart`."""
    text = PngInfo()
    text.add_text("Comment", mark)
    Image.fromarray(frame_HWC).save(file, pnginfo=text, comment=mark)


def moving_bar(*, height: int = 24, width: int = 32, num_frames: int = 12, level: int = 200) -> np.ndarray:
    """uint8 [T,H,W,C]: frame t has a bright bar in column 2t."""
    frames = np.full((num_frames, height, width, 3), 40, dtype=np.uint8)
    for t in range(num_frames):
        frames[t, :, 2 * t % width] = level
    return frames


class Plain(torch.nn.Module):
    """A transform that only brings uint8 [N,T,H,W,C] to float [N,T,C,H,W]."""

    def forward(self, batch: dict) -> dict:
        rest = {name: value for name, value in batch.items() if name != "clip"}
        return {**rest, "video": batch["clip"].permute(0, 1, 4, 2, 3).float() / 255}


PARTS = {"clips": Clips, "decoding": Decoding, "loading": Loading, "preparing": Preparing}


def module(tmp_path: Path, layout: Layout, **changes: object) -> VideoDataModule:
    """A data module over `tmp_path/root` with small clips. changes: also of its parts' fields, by their names."""
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
        **changes,
    }
    for name, part in PARTS.items():
        given = {field.name: arguments.pop(field.name) for field in fields(part) if field.name in arguments}
        arguments[name] = part(**given)
    return VideoDataModule(**arguments)
