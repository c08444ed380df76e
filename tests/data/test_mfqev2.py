"""MFQEv2's raw files: wrapped without loss, paired, and refused by name where their name does not fit."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.films import module
from videxp.core.errors import BadRequest
from videxp.data.layouts.mfqev2 import Mfqev2
from videxp.video.raw_yuv import wrap_yuv

HEIGHT, WIDTH, FRAMES = 32, 48, 3


def put_yuv(path: Path, *, seed: int) -> np.ndarray:
    """uint8 [T,H*3/2,W]: the planes of each frame, one beneath the other, smooth enough to survive RGB."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 180, (FRAMES, HEIGHT * 3 // 16, WIDTH // 8), dtype=np.uint8)
    planes = coarse.repeat(8, axis=1).repeat(8, axis=2)
    planes[:, HEIGHT:] = 128 + (planes[:, HEIGHT:].astype(int) - 120) // 8
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(planes.tobytes())
    return planes


def test_a_raw_file_is_wrapped_bit_by_bit(tmp_path: Path) -> None:
    planes = put_yuv(tmp_path / "Some_Name_48x32_3.yuv", seed=0)
    assert wrap_yuv(tmp_path / "Some_Name_48x32_3.yuv", tmp_path / "a.mkv") == FRAMES
    with av.open(str(tmp_path / "a.mkv")) as container:
        frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    assert np.array_equal(np.stack(frames), planes)


def test_a_name_that_tells_no_size_or_another_one_is_refused(tmp_path: Path) -> None:
    put_yuv(tmp_path / "Name.yuv", seed=0)
    with pytest.raises(
        BadRequest, match=r"Name.yuv: its name does not tell its size: call it NAME_WIDTHxHEIGHT_FRAMES"
    ):
        wrap_yuv(tmp_path / "Name.yuv", tmp_path / "a.mkv")
    for name, said in (("N_48x32_4", "6912 bytes are 3 frames of 48x32 and 0 more"), ("N_50x32", "2 frames of 50x32")):
        (tmp_path / "Name.yuv").rename(tmp_path / f"{name}.yuv")
        with pytest.raises(BadRequest, match=said):
            wrap_yuv(tmp_path / f"{name}.yuv", tmp_path / "a.mkv")
        (tmp_path / f"{name}.yuv").rename(tmp_path / "Name.yuv")
    assert not (tmp_path / "a.mkv").exists()


def test_sequences_are_paired_with_their_compressed_ones(tmp_path: Path) -> None:
    planes = {}
    for seed, (folder, name) in enumerate(
        [("train_108", "A"), ("train_108", "B"), ("train_108", "C"), ("test_18", "D")]
    ):
        for kind in ("raw", "HM16.5_LDP/QP37"):
            path = tmp_path / "root" / folder / kind / f"{name}_48x32_3.yuv"
            planes[name, kind] = put_yuv(path, seed=2 * seed + (kind == "raw"))
    data = module(tmp_path, Mfqev2(), size=None, crop_size=16, test_frames="all", eval_batch_size=1)
    data.prepare()
    assert data.counts == {"train": 2, "val": 1, "test": 1}
    sample = data.dataset("test")[0, 0]
    for field, kind in (("clip", "raw"), ("degraded", "HM16.5_LDP/QP37")):
        luma = 16 + sample[field][0].double().numpy() @ np.array([65.481, 128.553, 24.966]) / 255
        assert np.abs(luma - planes["D", kind][:, :HEIGHT]).max() < 2.5  # FFmpeg rounds down on the way to RGB
    (tmp_path / "root/test_18/HM16.5_LDP/QP37/D_48x32_3.yuv").unlink()
    assert (
        Mfqev2().missing(tmp_path / "root")[0].endswith("does not exist: the compressed counterpart of a raw sequence")
    )
