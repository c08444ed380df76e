from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.video.torture_set import source_frames, stamped_number
from videxp.core.errors import BadRequest
from videxp.video import open_video, probe, write_video

FRAMES = source_frames(20, (48, 64))


def test_what_is_written_is_read_back(tmp_path):
    assert write_video(tmp_path / "a.mp4", FRAMES, fps=25) == 20
    found = probe(tmp_path / "a.mp4")
    assert (found.num_frames, found.fps, found.width, found.height) == (20, 25.0, 64, 48)
    assert found.decord_safe, found.decord_unsafe_reason
    with open_video(tmp_path / "a.mp4", probe=found) as reader:
        clip = reader.frames(range(20))
    assert clip.dtype == torch.uint8
    assert [stamped_number(picture) for picture in clip.numpy()] == list(range(20))
    assert np.abs(clip.numpy().astype(int) - FRAMES).mean() < 4


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4", "c.mkv", "d.mkv"):
        write_video(tmp_path / name, FRAMES, fps=25)
    a, b, c, d = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert a == b and c == d


def test_a_tensor_an_array_and_an_iterator_give_the_same_file(tmp_path):
    write_video(tmp_path / "a.mp4", FRAMES, fps=25)
    write_video(tmp_path / "b.mp4", torch.from_numpy(FRAMES), fps=25)
    write_video(tmp_path / "c.mp4", iter(torch.from_numpy(FRAMES)), fps=25)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("size", [(47, 64), (48, 63), (1, 1), (2, 2)])
def test_odd_sizes_keep_their_size(tmp_path, size):
    frames = np.full((3, *size, 3), 200, np.uint8)
    write_video(tmp_path / "a.mp4", frames, fps=10)
    with open_video(tmp_path / "a.mp4") as reader:
        assert reader.frames([0, 1, 2]).shape == (3, *size, 3)
        assert np.abs(reader.frames([2]).numpy().astype(int) - 200).max() <= 3


@pytest.mark.parametrize(
    ("fps", "expected"), [(Fraction(30000, 1001), 29.97003), (30000 / 1001, 29.97003), (29.97, 29.97), (12.5, 12.5)]
)
def test_rates_are_kept_exactly(tmp_path, fps, expected):
    write_video(tmp_path / "a.mp4", FRAMES, fps=fps)
    assert probe(tmp_path / "a.mp4").fps == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("codec", "name"), [("ffv1", "a.mkv"), ("mjpeg", "a.mov"), ("libvpx-vp9", "a.webm"), ("libx265", "a.mp4")]
)
def test_other_codecs_and_containers(tmp_path, codec, name):
    write_video(tmp_path / name, FRAMES[:6], fps=25, codec=codec, pixel_format="yuvj420p" if codec == "mjpeg" else None)
    with open_video(tmp_path / name) as reader:
        assert [stamped_number(picture) for picture in reader.frames(range(6)).numpy()] == list(range(6))


def test_lossless_rgb_comes_back_bit_for_bit(tmp_path):
    write_video(tmp_path / "a.mkv", FRAMES, fps=25, codec="ffv1", pixel_format="bgr0")
    with open_video(tmp_path / "a.mkv") as reader:
        assert np.array_equal(reader.frames(range(20)).numpy(), FRAMES)


def test_a_failure_leaves_neither_the_file_nor_a_temporary_one(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")

    def breaks_off():
        yield from FRAMES[:3]
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        write_video(tmp_path / "a.mp4", breaks_off(), fps=25)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (FRAMES[:0], "no frames"),
        (FRAMES.astype(np.float32), "not float32"),
        (FRAMES[..., :1], "must be uint8"),
        ([FRAMES[0], FRAMES[0][:20]], "frame 1 has size"),
        (7, "not int"),
    ],
)
def test_bad_frames_are_named(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "a.mp4", frames, fps=25)


def test_unknown_codecs_suffixes_and_rates_are_named(tmp_path):
    with pytest.raises(BadRequest, match="libx999"):
        write_video(tmp_path / "a.mp4", FRAMES, fps=25, codec="libx999")
    with pytest.raises(BadRequest, match=r"\.xyz"):
        write_video(tmp_path / "a.xyz", FRAMES, fps=25)
    with pytest.raises(ValueError, match="fps must be > 0, not 0"):
        write_video(tmp_path / "a.mp4", FRAMES, fps=0)
