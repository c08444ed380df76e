"""Folders of pictures: what preparing them finds, at what cost."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.video.torture_set import source_frames
from videxp.cli.commands.prepare import main
from videxp.data import FrameFolders, Manifest, prepare
from videxp.video import picture_file

NUM_FRAMES = 40
PICTURE = "img_00007.jpg"  # none of the 16 that are decoded: the 1st, 4th, 6th, 9th ... of 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two folders in train and one in val, of 40 JPEGs each."""
    for shift, folder in enumerate(("train/run/a", "train/walk/b", "val/run/c")):
        (tmp_path / folder).mkdir(parents=True)
        for number, picture in enumerate(source_frames(NUM_FRAMES, (24, 32)), 1):
            image = Image.fromarray(np.roll(picture, shift, axis=1))
            image.save(tmp_path / folder / f"img_{number:05d}.jpg", quality=95)
    return tmp_path


def prepared(root: Path, *, thorough: bool = False) -> Manifest:
    layout, cache = FrameFolders(fps=10), root / "cache"
    return prepare(layout, root=root, cache_dir=cache, name="mini", max_unreadable=1, processes=1, thorough=thorough)


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def scratch_a_png(file: Path) -> None:
    """A picture whose middle is damaged and whose header and end are not."""
    file.with_suffix(".png").unlink(missing_ok=True)
    Image.fromarray(source_frames(6, (24, 32))[5]).save(file.with_suffix(".png"))
    data = bytearray(file.with_suffix(".png").read_bytes())
    data[60:80] = bytes(20)
    file.with_suffix(".png").unlink()
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (cut_in_half, "truncated"),
        (lambda file: file.write_bytes(b""), "the file is empty"),
        (lambda file: file.write_bytes(b"no picture"), "not a picture"),
        (lambda file: Image.new("RGB", (16, 12)).save(file), "has size 16x12, the first frame 32x24"),
        (lambda file: Image.fromarray(np.ones((24, 32), np.float32)).save(file, "TIFF"), "floating-point"),
    ],
)
def test_a_picture_that_cannot_be_read_is_found_wherever_it_lies(
    root: Path, spoil: Callable[[Path], object], cause: str
) -> None:
    spoil(root / "train/walk/b" / PICTURE)
    unreadable = prepared(root).unreadable
    assert list(unreadable) == ["train/walk/b"]
    assert re.match(rf"{PICTURE}:? .*{cause}", unreadable["train/walk/b"], re.IGNORECASE)


def test_thorough_decodes_every_picture_and_reads_all_again(root: Path) -> None:
    scratch_a_png(root / "train/walk/b" / PICTURE)
    assert prepared(root).unreadable == {}
    assert list(prepared(root, thorough=True).unreadable) == ["train/walk/b"]


def test_sixteen_pictures_of_each_folder_are_decoded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    decode = picture_file.decode_picture
    monkeypatch.setattr(picture_file, "decode_picture", lambda data: decoded.append(1) or decode(data))
    prepared(root)
    assert len(decoded) == 3 * 16
    decoded.clear()
    prepared(root, thorough=True)
    assert len(decoded) == 3 * NUM_FRAMES


@pytest.mark.slow
def test_prepare_takes_thorough(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scratch_a_png(root / "train/walk/b" / PICTURE)
    words = [
        "frame_folders",
        f"dataset.root={root}",
        f"dataset.preparing.cache_dir={root}/cache",
        "dataset.layout.fps=10",
        "--json",
    ]
    for more, found in (([], 0), (["--thorough", "dataset.max_unreadable=1"], 1)):
        assert main([*words, *more]) == 0
        assert len(json.loads(capsys.readouterr().out)["unreadable"]) == found
