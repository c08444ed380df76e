"""A video made anew with its own pictures is the same video: times, sound, color, proportions, size.

The stock way, frames into `write_video`, keeps none of them but the size.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.conftest import Torture
from tests.video.torture_set import run_ffmpeg, source_frames
from videxp.core.errors import BadRequest, VidexpError
from videxp.video import UnreadableVideo, open_video, write_video
from videxp.video.remaking import remade_video
from videxp.video.sequence import Picture, VideoFile, name_template, open_sequence

FRAMES = source_frames(12, (48, 64))
DATA = Path(__file__).parents[2].parent / "shared" / "data"
TIMES = [0, 40, 50, 200, 210, 220, 500, 501, 700, 705, 900, 1000]  # ms


def remake(source: Path, target: Path, **options: object) -> tuple[Path, list[str]]:
    said: list[str] = []
    video = VideoFile(source)
    options = {"crf": 0, "size": video.size, **options}
    with remade_video(target, like=video, say=said.append, **options) as write:
        for picture in video:
            write(picture)
    return target, said


def stock(source: Path, target: Path, *, crf: int = 18) -> Path:
    with open_video(source) as video:
        write_video(target, video.frames(range(video.num_frames)), fps=video.fps, crf=crf)
    return target


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def tags(path: Path) -> tuple[int, int, int, int]:
    """Matrix, range (1 limited, 2 full), primaries, transfer."""
    frame = first_frame(path)
    return frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc


def audio_packets(path: Path, track: int = 0) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(container.streams.audio[track]) if p.size]


def lightness(path: Path) -> np.ndarray:
    """int [T,H,W]: the Y planes."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray()[: f.height].astype(int) for f in container.decode(video=0)])


def shown(path: Path, size: tuple[int, int], *, matrix: str = "auto") -> np.ndarray:
    """int [T,H,W,C]: what the ffmpeg program shows, by its exact way from YUV to RGB."""
    exact = [
        "-vf",
        f"scale=in_color_matrix={matrix}:flags=bicubic+accurate_rnd+full_chroma_int",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    out = run_ffmpeg(["-threads", "1", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", *exact])
    return np.frombuffer(out, np.uint8).reshape(-1, *size, 3).astype(int)


def write_timed(path: Path, *, audio: str = "") -> Path:
    """FRAMES at irregular TIMES, with a second of a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10"})
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream(audio, rate=16000, layout="mono") if audio else None
        for picture, milliseconds in zip(FRAMES, TIMES):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            wave = (9000 * np.sin(np.arange(16000) * 0.17)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, 0
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_irregular_times_are_kept(tmp_path: Path, suffix: str):
    source = write_timed(tmp_path / f"in.{suffix}")
    remade, _ = remake(source, tmp_path / f"out.{suffix}")
    assert times(remade) == times(source) == [Fraction(t, 1000) for t in TIMES]
    assert times(stock(source, tmp_path / f"stock.{suffix}")) != times(source)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h264_late_start.mp4", "h264_2997_fps.mp4", "h264_edit_list_start.mp4"])
def test_a_late_start_a_broken_rate_and_an_edit_list_are_kept(tmp_path: Path, torture: Torture, name: str):
    source, _, _ = torture(name)
    remade, _ = remake(source, tmp_path / "out.mp4")
    assert times(remade) == times(source)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mpeg4_b_frames.avi", "h264_closed.h264", "h264_closed.ts"])
def test_what_has_no_times_or_a_clock_of_its_own_gets_regular_ones_from_0(tmp_path: Path, torture: Torture, name: str):
    source, kind, _ = torture(name)
    remade, _ = remake(source, tmp_path / "out.mp4")
    assert times(remade) == [Fraction(number, 25) for number in range(kind.num_frames)]


def test_audio_is_copied_bit_for_bit_at_its_times(tmp_path: Path):
    source = write_timed(tmp_path / "in.mp4", audio="aac")
    remade, said = remake(source, tmp_path / "out.mp4")
    assert audio_packets(remade) == audio_packets(source) and len(audio_packets(source)) > 10
    assert said == []
    with pytest.raises(IndexError):
        audio_packets(stock(source, tmp_path / "stock.mp4"))


def test_audio_that_the_container_cannot_hold_is_encoded_again_and_that_is_said(tmp_path: Path):
    source = write_timed(tmp_path / "in.mp4", audio="aac")
    remade, said = remake(source, tmp_path / "out.webm", crf=30)
    assert said == ["audio: webm cannot hold aac, so it is encoded again as opus"]
    with av.open(str(remade)) as container:
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
        assert container.streams.audio[0].codec_context.codec.canonical_name == "opus"
    assert len(samples) / 48000 == pytest.approx(1.0, abs=0.1)
    crossings = np.count_nonzero(np.diff(np.signbit(samples[12000:36000])))
    assert crossings == pytest.approx(2 * 0.5 * 16000 * 0.17 / (2 * np.pi), rel=0.02)  # the same tone


def test_audio_whose_clock_stands_still_is_not_the_end_of_the_work(tmp_path: Path):
    """Matroska allows it, MP4 does not."""
    source, stuck = write_timed(tmp_path / "in.mp4", audio="aac"), tmp_path / "stuck.mkv"

    def write_stuck(target: Path, template: Path) -> None:
        with av.open(str(template)) as old, av.open(str(target), "w") as new:
            tracks = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
            for packet in (packet for packet in old.demux() if packet.size):
                packet.stream = track = tracks[packet.stream.index]
                if track.type == "audio":
                    packet.pts = packet.dts = max(0, packet.dts // 2048 * 2048)
                new.mux(packet)

    write_stuck(stuck, source)
    with pytest.raises(av.error.FFmpegError):
        write_stuck(tmp_path / "stock.mp4", source)
    remade, _ = remake(stuck, tmp_path / "out.mp4")
    assert [data for _, data in audio_packets(remade)] == [data for _, data in audio_packets(stuck)]
    found, given = ([time for time, _ in audio_packets(path)] for path in (remade, stuck))
    assert len(set(given)) < len(given) == len(set(found))
    assert all(abs(a - b) < 0.002 for a, b in zip(found, given))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h264_bt709.mp4", (1, 1)),
        ("h264_full_range.mp4", (6, 2)),
        ("h264_closed.mp4", (6, 1)),  # it says nothing, and is decoded as BT.601
        ("h264_444.mp4", (6, 1)),
        ("ffv1.mkv", (6, 1)),  # RGB
    ],
)
def test_color_is_converted_and_tagged(tmp_path: Path, torture: Torture, name: str, expected: tuple[int, int]):
    """Held against what the ffmpeg program decodes of both files."""
    source, kind, _ = torture(name)
    remade, _ = remake(source, tmp_path / "out.mp4", pixel_format="yuv444p")
    assert tags(remade)[:2] == expected
    lower = slice(72, 92)  # below the stamps, whose edges give colors that RGB cannot hold
    original = shown(source, kind.size)[:, lower]
    difference = shown(remade, kind.size)[:, lower] - original
    # The two scale chroma up a little otherwise.
    assert np.abs(difference.mean((0, 1, 2))).max() < 0.1
    assert np.abs(difference).mean() < 1.5
    if name == "h264_bt709.mp4":
        assert np.abs(shown(remade, kind.size, matrix="bt601")[:, lower] - original).mean() > 3
    if name == "h264_full_range.mp4":
        assert tags(stock(source, tmp_path / "stock.mp4"))[1] == 1


def test_large_pictures_that_say_nothing_of_their_color_still_say_nothing(tmp_path: Path):
    """A player takes them for BT.709, FFmpeg for BT.601: each for the same before and after."""
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 32, 1280, "yuv420p"
        picture = np.tile(FRAMES[0][:32], (1, 20, 1))
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    assert tags(tmp_path / "in.mp4")[0] == 2
    remade, _ = remake(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert tags(remade)[0] == 2
    assert np.abs(lightness(remade) - lightness(tmp_path / "in.mp4")).max() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h264_closed.mp4", "h264_full_range.mp4"])
def test_lightness_comes_back_within_rounding_in_the_default_format(tmp_path: Path, torture: Torture, name: str):
    source, _, _ = torture(name)
    remade, _ = remake(source, tmp_path / "out.mp4")
    difference = lightness(remade) - lightness(source)
    assert np.abs(difference).mean() < 0.05 and np.percentile(np.abs(difference), 99) <= 1
    if name == "h264_closed.mp4":
        darker = lightness(stock(source, tmp_path / "stock.mkv", crf=0)) - lightness(source)
        assert darker.mean() < -0.3  # swscale's fast way rounds down


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h264_rotated_90.mp4", "h264_rotated_270.mov", "h264_mirrored.mp4"])
def test_turned_videos_come_out_upright(tmp_path: Path, torture: Torture, name: str):
    source, kind, _ = torture(name)
    remade, _ = remake(source, tmp_path / "out.mp4")
    frame = first_frame(remade)
    assert (frame.height, frame.width) == kind.shown_size and "DISPLAYMATRIX" not in frame.side_data
    assert np.abs(shown(remade, kind.shown_size) - shown(source, kind.shown_size)).mean() < 1


@pytest.mark.slow
def test_odd_sizes_keep_their_size_and_ten_bits_become_eight(tmp_path: Path, torture: Torture):
    remade, said = remake(torture("h264_odd_size.mp4")[0], tmp_path / "odd.mp4")
    assert (first_frame(remade).height, first_frame(remade).width) == (93, 125)
    assert said == ["pictures: 125x93 is odd, so they are written as yuv444p, which some players do not show"]
    source, kind, _ = torture("h264_10_bit.mp4")
    remade, said = remake(source, tmp_path / "bits.mp4")
    assert said == ["pictures: 10 bits become 8"]
    assert np.abs(shown(remade, kind.size) - shown(source, kind.size)).mean() < 1


def test_subtitles_are_left_out_and_that_is_said(tmp_path: Path):
    source = write_timed(tmp_path / "in.mp4")
    (tmp_path / "in.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nHello\n")
    both = ["-i", str(source), "-i", str(tmp_path / "in.srt"), "-map", "0", "-map", "1"]
    run_ffmpeg([*both, "-c:v", "copy", str(tmp_path / "in.mkv")])
    remade, said = remake(tmp_path / "in.mkv", tmp_path / "out.mkv")
    assert said == ["left out: 1 subtitle"]
    with av.open(str(remade)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_the_shape_of_pixels_is_kept(tmp_path: Path):
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(FRAMES[0])))
        container.mux(stream.encode(None))
    remade, _ = remake(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with av.open(str(remade)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)


def test_pictures_may_be_larger_than_those_of_the_source(tmp_path: Path):
    source = write_timed(tmp_path / "in.mp4", audio="aac")
    video = VideoFile(source)
    with remade_video(tmp_path / "out.mp4", like=video, size=(96, 128), say=print) as write:
        for picture in video:
            pixels = picture.pixels_HWC.repeat(2, 0).repeat(2, 1)
            write(Picture(pixels, pts=picture.pts, duration=picture.duration))
    assert times(tmp_path / "out.mp4") == times(source)
    with open_video(tmp_path / "out.mp4") as remade:
        assert remade.size == (96, 128)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("out.avi", {}, "avi does not keep the times of frames"),
        ("out", {}, "no suffix does not keep"),
        ("out.mp4", {"codec": "libx999"}, "libx999"),
        ("out.mp4", {"codec": "libvpx"}, "libvpx"),
        ("out.mp4", {"pixel_format": "yuv999p"}, "yuv999p"),
        ("out.mp4", {"size": (49, 64), "pixel_format": "yuv420p"}, "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, options: dict[str, object], message: str
):
    source = write_timed(tmp_path / "in.mp4")
    with pytest.raises(BadRequest, match=message):
        remake(source, tmp_path / name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.slow
def test_a_damaged_video_is_refused_before_any_work(torture: Torture):
    with pytest.raises(UnreadableVideo, match="damaged"):
        VideoFile(torture("h264_scratched.mp4")[0])


def test_numbered_pictures_are_read_in_the_order_of_their_numbers(tmp_path: Path):
    def folder(*names: str) -> Path:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        place.mkdir()
        for name in names:
            (place / name).touch()
        return place

    assert name_template(folder("im1.png", "im2.png", "im10.png", "notes.txt", ".hidden.png")) == "im{:01d}.png"
    assert name_template(folder("f_098.jpg", "f_099.jpg", "f_100.jpg")) == "f_{:03d}.jpg"
    assert name_template(folder("4k_7_left.png", "4k_8_left.png")) == "4k_{:01d}_left.png"
    for names, message in [
        (("a1.png", "b1.png"), "named in two ways, aN.png and bN.png"),
        (("1.png", "cover.png"), "cover.png has no number"),
        (("1.png", "3.png"), "2.png is missing"),
        ((), "no pictures"),
    ]:
        with pytest.raises(VidexpError, match=message):
            open_sequence(folder(*names))


REAL: list[tuple[str, Callable[[Path], object]]] = [
    ("odd/made/vfr_dropped.mkv", times),
    ("odd/real/torchcodec_nasa_13013_rotated.mp4", times),
    ("odd/real/pyscenedetect_delayed_start.mp4", times),
    ("odd/real/torchcodec_bt2020_10bit.mp4", tags),
    ("clips/nasa_13013.mp4", lambda path: [audio_packets(path, track) for track in (0, 1)]),
    ("clips/flipping_a_pancake.mkv", audio_packets),
]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="what real videos keep is not checked: they are not there")
@pytest.mark.parametrize(("name", "kept"), REAL)
def test_a_real_video_keeps_what_it_says(tmp_path: Path, name: str, kept: Callable[[Path], object]):
    source = DATA / name
    remade, _ = remake(source, tmp_path / "out.mp4", crf=30)
    assert kept(remade) == kept(source)
    assert len(times(remade)) == len(times(source))
