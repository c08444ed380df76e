"""Pictures that FFmpeg scales while it decodes: those of `ffmpeg -s WxH`, bit for bit."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.video.torture_set import run_ffmpeg
from videxp.core.errors import BadRequest
from videxp.data.loading.clips import ClipChoice
from videxp.data.loading.decoding import Decoding
from videxp.data.loading.file_clips import read_clips
from videxp.video import DecodeError, open_video, probe, write_video

SIZE = (27, 48)
X264 = ["-c:v", "libx264", "-bf", "2", "-g", "7"]
ODD = Path(__file__).parents[2].parent / "shared/data/odd"


def film(path: Path, *arguments: str, size: str = "320x180") -> Path:
    run_ffmpeg(["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25", "-frames:v", "20", *arguments, str(path)])
    return path


def by_ffmpeg(path: Path, *arguments: str, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 [T,h,w,C]"""
    scale = ["-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}"]
    source = ["-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", *arguments]
    return np.frombuffer(run_ffmpeg([*source, "-f", "rawvideo", *scale, "-"]), np.uint8).reshape(-1, *size, 3)


def pictures(path: Path, *, probed: bool, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 [T,h,w,C]; probed: by the table of packets, as workers read."""
    with open_video(path, probe=probe(path) if probed else None) as reader:
        shown = reader.pictures(range(reader.num_frames), size=size)
        return np.stack([picture.copy() for _, picture in shown])


@pytest.mark.slow
@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.mp4", [*X264, "-pix_fmt", "yuv420p"]),
        ("a.mkv", [*X264, "-pix_fmt", "yuv444p", "-vf", "scale=101:67"]),
        ("a.mov", [*X264, "-pix_fmt", "yuv420p10le", "-colorspace", "bt709", "-vf", "setsar=64/45"]),
        ("a.avi", ["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"]),
        ("b.mkv", ["-c:v", "ffv1", "-pix_fmt", "bgr0"]),
    ],
)
def test_pictures_are_scaled_as_the_ffmpeg_program_scales_them(
    tmp_path: Path, name: str, arguments: list[str], probed: bool
):
    path = film(tmp_path / name, *arguments)
    assert np.array_equal(pictures(path, probed=probed), by_ffmpeg(path))
    assert np.array_equal(pictures(path, probed=probed, size=(40, 31)), by_ffmpeg(path, size=(40, 31)))


def test_pyav_alone_shifts_colors_and_rgb_that_is_scaled_is_another_picture(tmp_path: Path):
    path = film(tmp_path / "a.mp4", *X264, "-pix_fmt", "yuv420p")
    expected = by_ffmpeg(path)
    with av.open(str(path)) as container:
        stock = [f.to_ndarray(width=48, height=27, format="rgb24", interpolation="BICUBIC") for f in container.decode()]
    assert (np.stack(stock) != expected).any()
    decoding = Decoding(frame_size=SIZE, frame_fit="stretch")
    choice = ClipChoice(num_frames="all", clips=1)
    assert (read_clips(path, choice=choice, decoding=decoding)[0].numpy() != expected).any()
    decoding = Decoding(frame_size=SIZE, frame_fit="stretch", frame_scaler="ffmpeg")
    assert np.array_equal(read_clips(path, choice=choice, decoding=decoding)[0].numpy(), expected)


def test_a_turned_film_is_scaled_upright(tmp_path: Path):
    film(tmp_path / "flat.mp4", *X264, "-pix_fmt", "yuv420p")
    path = tmp_path / "turned.mp4"
    run_ffmpeg(["-display_rotation", "90", "-i", str(tmp_path / "flat.mp4"), "-c", "copy", str(path)])
    found, expected = (x.astype(float) for x in (pictures(path, probed=False), by_ffmpeg(path)))
    assert abs(found - expected).mean() < 5  # scaled before it is turned: other pairs of pixels share their color
    assert abs(found - by_ffmpeg(path, "-vf", "vflip")).mean() > 20


def test_frames_are_fitted_as_they_are_otherwise(tmp_path: Path):
    path = film(tmp_path / "a.mp4", *X264, "-pix_fmt", "yuv420p")
    choice = ClipChoice(num_frames="all", clips=1)
    crop, pad = (
        read_clips(path, choice=choice, decoding=Decoding(frame_size=[60, 60], frame_fit=fit, frame_scaler="ffmpeg"))
        for fit in ("crop", "pad")
    )
    high, low = by_ffmpeg(path, size=(60, 107)), by_ffmpeg(path, size=(34, 60))
    assert np.array_equal(crop[0].numpy(), high[:, :, 24:84])
    assert np.array_equal(pad[0, :, 13:47].numpy(), low) and not pad[0, :, :13].any()


def test_pictures_that_are_rgb_already_are_scaled_by_the_same_rule(tmp_path: Path):
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(3, 54, 80, 3), dtype=np.uint8)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    write_video(tmp_path / "a.mkv", frames, fps=10, codec="ffv1", pixel_format="bgr0")
    with open_video(tmp_path, template="{:d}.png", fps=10) as reader:
        assert np.array_equal([p for _, p in reader.pictures([0, 1, 2], size=SIZE)], by_ffmpeg(tmp_path / "a.mkv"))
    Image.new("RGB", (30, 30)).save(tmp_path / "2.png")
    with (
        open_video(tmp_path, template="{:d}.png", fps=10) as reader,
        pytest.raises(DecodeError, match=r"2.png has size \(30, 30\)"),
    ):
        list(reader.pictures([0, 1, 2], size=SIZE))


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"frame_size": SIZE, "decoder": "decord"}, {"decoder": "auto"}),
        ({}, {"frame_size": SIZE}),
    ],
)
def test_what_cannot_be_scaled_so_is_refused_with_a_remedy(settings: dict, remedy: dict):
    with pytest.raises(BadRequest, match=r"dataset\.decoding\.frame_scaler=ffmpeg: .*dataset\.decoding\."):
        Decoding(frame_scaler="ffmpeg", **settings)
    Decoding(frame_scaler="ffmpeg", **(settings | remedy))
    Decoding(frame_scaler="torch", **settings)


@pytest.mark.skipif(not ODD.exists(), reason="scaling of real files is not checked: they are not there")
@pytest.mark.parametrize(
    "name",
    [
        "real/torchcodec_bt709_full_range.mp4",
        "real/torchcodec_nasa_13013_hdr.mp4",
        "real/torchcodec_animated.gif",
        "real/torchcodec_av1_video.mkv",
        "made/vfr_dropped.mkv",
        "made/mpeg2_interlaced.ts",
        "made/sar_64_45.mp4",
    ],
)
def test_real_files_are_scaled_so(name: str):
    with open_video(ODD / name) as reader:
        count = min(reader.num_frames, 12)
        found = np.stack([picture.copy() for _, picture in reader.pictures(range(count), size=SIZE)])
    assert np.array_equal(found, by_ffmpeg(ODD / name, "-frames:v", str(count)))
