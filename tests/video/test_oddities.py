"""Stills beside the film, holes, lost packets, colors that are not converted, pictures of huge size."""

import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.joined import piece, repack, with_still
from tests.video.test_decoder_state import X264, plain_frames
from tests.video.torture_set import run_ffmpeg, source_frames
from videxp.core.errors import VidexpError
from videxp.video import UnreadableVideo, open_video, probe


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return piece(tmp_path_factory.mktemp("film") / "film.mp4", X264, frames=30)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_the_film_is_read_where_a_still_comes_first_and_that_is_told(tmp_path, film, suffix):
    still = piece(tmp_path / "still.mkv", "-c:v mjpeg -pix_fmt yuvj420p", frames=1, size=(96, 128))
    path = with_still(tmp_path / f"both.{suffix}", still, film)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 1  # the negative control: what a player of stream 0 has
    found = probe(path)
    assert (found.num_frames, found.width, found.codec) == (30, 64, "h264")
    assert found.note == "2 video streams: stream 1 is read, because those before it are one picture each"
    for given in (found, None):
        with open_video(path, probe=given) as reader:
            clip = reader.frames([29, 3]).numpy()
        assert all(np.array_equal(picture, plain_frames(film)[number]) for picture, number in zip(clip, (29, 3)))
    with pytest.raises(VidexpError, match="2 video streams"):
        open_video(path, decoder="decord", probe=found)


def test_a_cover_is_no_second_stream_and_of_two_films_the_first_is_read(tmp_path, film, torture):
    still = piece(tmp_path / "cover.jpg", "-frames:v 1", frames=1)
    run_ffmpeg(f"-i {film} -i {still} -map 0 -map 1 -c copy -disposition:v:1 attached_pic {tmp_path}/cover.mp4".split())
    assert (probe(tmp_path / "cover.mp4").num_frames, probe(tmp_path / "cover.mp4").note) == (30, "")
    assert probe(torture("h264_two_streams.mkv")[0]).note == "2 video streams: stream 0 is read"


@pytest.mark.parametrize(("first", "end"), [(1 / 3, 2 / 3), (0.4, 0.45)])
def test_lost_packets_of_a_transport_stream_are_told(tmp_path, first, end):
    whole = piece(tmp_path / "whole.ts", f"{X264} -g 6", frames=90)
    data = whole.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    lossy = tmp_path / "lossy.ts"
    lossy.write_bytes(b"".join(packets[: int(first * len(packets))] + packets[int(end * len(packets)) :]))
    found = probe(lossy)
    assert found.num_frames < 90 and "its counters jump" in found.note
    assert probe(whole).note == ""


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_hole_is_told(tmp_path, suffix):
    path = tmp_path / f"hole.{suffix}"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 64, 48, "yuv420p", Fraction(1, 25)
        for number, picture in enumerate(source_frames(40, (48, 64))):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number + (75 if number >= 20 else 0), Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert probe(path).note == "no frame between 0.8 s and 3.8 s"


def test_colors_that_are_not_converted_are_found_when_the_file_is_probed(tmp_path):
    plain, path = piece(tmp_path / "plain.mkv", X264, frames=4), tmp_path / "ycgco.mkv"
    run_ffmpeg(f"-i {plain} -c copy -bsf:v h264_metadata=matrix_coefficients=8 {path}".split())
    with pytest.raises(UnreadableVideo, match=r"frame 0 has colors that FFmpeg does not convert \(yuv420p, matrix 8"):
        probe(path)


def test_pictures_of_huge_size_are_refused_before_they_take_memory(tmp_path, film, monkeypatch):
    """40 bytes that say they are 30000 x 30000."""
    head = b"GIF89a" + (30000).to_bytes(2, "little") * 2 + bytes([0xF0, 0, 0]) + bytes(6)
    (tmp_path / "huge.gif").write_bytes(head + b"\x2c" + bytes(4) + b"\1\0\1\0\0" + b"\2\2\x44\1\0;")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableVideo, match=r"huge\.gif"):
        probe(tmp_path / "huge.gif")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB; 3.6 GB are one such picture
    monkeypatch.setattr("videxp.video.container.MAX_PIXELS", 3071)
    for read in (probe, open_video):
        with pytest.raises(UnreadableVideo, match="its pictures are 64x48: at most 3,071 pixels are read: make them"):
            read(film)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv422p", "yuv420p12le"])
def test_colors_are_those_of_ffmpeg_with_accurate_rounding(tmp_path, kind):
    """To the bit, and near the picture that was encoded without loss; the fast way is not."""
    encode = "-c:v libx265 -x265-params lossless=1:log-level=none" if "12" in kind else "-c:v libx264 -qp 0"
    y, x = np.mgrid[0:96, 0:128]
    waves = np.stack([np.sin(x * 0.11) * np.cos(y * 0.05), np.sin(x * 0.07 + 1), np.cos(y * 0.09 + x * 0.03)], axis=-1)
    picture = np.round(128 + 100 * waves).astype(np.uint8)
    path = tmp_path / "waves.mkv"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x96", "-r", "25", "-i", "-"]
    run_ffmpeg([*raw, *encode.split(), "-pix_fmt", kind, str(path)], data=picture.tobytes())

    def by_ffmpeg(flags: str) -> np.ndarray:
        arguments = f"-i {path} -sws_flags {flags} -f rawvideo -pix_fmt rgb24 -".split()
        return np.frombuffer(run_ffmpeg(arguments), np.uint8).reshape(96, 128, 3)

    with open_video(path, probe=probe(path)) as reader:
        ours = reader.frames([0])[0].numpy()
    assert np.array_equal(ours, by_ffmpeg("bicubic+accurate_rnd+full_chroma_int"))
    assert np.abs(ours - picture.astype(float)).mean() < 0.5
    if "444" not in kind:
        assert np.abs(by_ffmpeg("bicubic") - picture.astype(float)).mean() > 1.2


def test_a_jpeg_that_ffmpeg_gives_up_on_is_damaged(tmp_path):
    """It marks nothing, and shows what is left of another picture in the rest."""
    sound = piece(tmp_path / "sound.avi", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p", size=(96, 128))
    hurt = repack(tmp_path / "hurt.avi", [sound], lambda number, jpeg: jpeg[:-200] if number == 7 else jpeg)

    def by_ffmpeg(first: int) -> np.ndarray:
        with av.open(str(hurt)) as container:
            container.streams.video[0].thread_type = "NONE"
            packets = [packet for packet in container.demux(video=0) if packet.size]
            for packet in packets[first:8]:
                (frame,) = packet.decode()
                assert not frame.is_corrupt
                picture_HWC = frame.to_ndarray(format="rgb24")
                del frame  # its memory serves the next one
            return picture_HWC

    assert not np.array_equal(by_ffmpeg(first=0), by_ffmpeg(first=7))  # the negative control
    assert (probe(sound).num_frames, probe(sound).note) == (24, "")
    with pytest.raises(UnreadableVideo, match="damaged: decoding stops after 7 frames"):
        probe(hurt)
    with open_video(hurt) as reader, pytest.raises(VidexpError, match="damaged"):
        reader.frames([7])


def test_damage_that_ffmpeg_gets_over_is_told_of_each_file_alone(tmp_path):
    """PyAV keeps back a message that equals the last one, and tells it of the next file."""
    sound = piece(tmp_path / "sound.avi", "-c:v cinepak", frames=6)
    for name in ("hurt", "copy"):
        repack(tmp_path / f"{name}.avi", [sound], lambda number, data: data[: len(data) // 2] if number == 3 else data)
    notes = [probe(tmp_path / f"{name}.avi").note for name in ("hurt", "copy", "sound", "hurt")]
    assert notes[0] == "frames of it may be damaged (FFmpeg: cinepak_decode failed)"
    assert notes == [notes[0], notes[0], "", notes[0]]
