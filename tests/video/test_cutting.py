"""A film cut into files: together they have its frames in number and order, at its times, and its sound beside them."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.timed_films import number_of, numbered_picture
from tests.video.conftest import Torture
from videxp.core.errors import BadRequest, VidexpError
from videxp.video import probe
from videxp.video.cutting import KeyFrames, Part, copy_parts, encode_parts, read_key_frames
from videxp.video.sequence import VideoFile

TICK = Fraction(1, 90000)
STEPS = [3000, 3000, 3000, 9000, 1501]  # ticks between frames: none of them a whole number of milliseconds
TICKS = [0, *accumulate(STEPS[number % 5] for number in range(39))]
AAC_SAMPLES = 1024  # of a packet
KEYS = [0, 8, 16, 24, 32]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 numbered frames at uneven times, a key frame every 8; beside them a click at 0.1, 0.2 ... 1.6 s."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    options = {
        "qp": "4",
        "preset": "ultrafast",
        "bf": "2",
        "x264-params": "keyint=8:min-keyint=8:scenecut=0:open-gop=0",
    }
    with av.open(str(path), "w", options={"movie_timescale": "90000"}) as output:
        video = output.add_stream("libx264", rate=30, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.thread_count, video.codec_context.time_base = 1, TICK
        sound = output.add_stream("aac", rate=16000, layout="mono")
        for number, ticks in enumerate(TICKS):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), "rgb24")
            frame.pts, frame.time_base = ticks, TICK
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        wave = np.zeros((1, 28000), np.int16)
        for click in range(1600, 27000, 1600):
            wave[0, click : click + 160] = 12000 * np.sin(np.arange(160))
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


def numbers_and_times(path: Path) -> list[tuple[int, Fraction]]:
    with av.open(str(path)) as container:
        return [(number_of(f.to_ndarray(format="rgb24")), f.pts * f.time_base) for f in container.decode(video=0)]


def shown_for(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        return container.streams.video[0].duration * container.streams.video[0].time_base


def sound_of(path: Path) -> tuple[list[bytes], float, np.ndarray]:
    """Packets; when the first sample is heard; samples."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return packets, float(frames[0].time), np.concatenate([f.to_ndarray()[0] for f in frames])


def clicks(path: Path) -> list[float]:
    """Seconds at which the sound begins to be loud."""
    _, start, samples = sound_of(path)
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return [start + i / 16000 for i in loud[np.diff(loud, prepend=-801) > 800]]


def parts_of(cuts: Sequence[int], folder: Path, suffix: str = ".mp4") -> list[Part]:
    return [Part(a, b - 1, folder / f"{a}{suffix}") for a, b in pairwise([*cuts, 40])]


def check_parts(film: Path, parts: Sequence[Part]) -> None:
    """Frames, times and sound of the parts are those of the film."""
    whole = numbers_and_times(film)
    assert [number for number, _ in whole] == list(range(40))
    for part in parts:
        begins = whole[part.first][1]
        assert numbers_and_times(part.path) == [(n, time - begins) for n, time in whole[part.first : part.last + 1]]
        if part.last < 39:
            assert shown_for(part.path) == whole[part.last + 1][1] - begins
    packets, _, samples = sound_of(film)
    sounds = [sound_of(part.path) for part in parts]
    assert [packet for sound in sounds for packet in sound[0]] == packets
    assert abs(sum(len(sound[2]) for sound in sounds) - len(samples)) <= AAC_SAMPLES
    heard = [float(whole[part.first][1]) + click for part in parts for click in clicks(part.path)]
    assert heard == pytest.approx(clicks(film), abs=0.003)


def test_parts_encoded_again_begin_at_any_frame(film: Path, tmp_path: Path):
    parts = parts_of([0, 1, 14, 30], tmp_path)
    assert list(encode_parts(VideoFile(film), parts, crf=10, say=pytest.fail)) == parts
    check_parts(film, parts)
    fps = 40 / float(TICKS[39] * TICK)
    stock = [number / fps for number in range(40)]  # frame / fps would cut elsewhere
    assert max(abs(time - TICKS[number] * TICK) for number, time in enumerate(stock)) > 0.02


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_parts_copied_begin_at_key_frames_and_are_the_same_bytes(film: Path, tmp_path: Path, suffix: str):
    keys = read_key_frames(film)
    assert keys.frames == KEYS
    assert [keys.nearest(frame) for frame in (0, 3, 4, 5, 39)] == [0, 0, 0, 8, 32]
    parts = parts_of([0, 16, 32], tmp_path, suffix)
    copy_parts(film, parts, keys, say=pytest.fail)
    pictures = [bytes(p) for part in parts for p in demuxed(part.path)]
    assert [p[-200:] for p in pictures] == [bytes(p)[-200:] for p in demuxed(film)]
    if suffix == ".mp4":  # Matroska rounds to milliseconds
        check_parts(film, parts)
    assert [number for part in parts for number, _ in numbers_and_times(part.path)] == list(range(40))


def demuxed(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def test_frames_ahead_of_an_open_key_frame_belong_to_the_shot_before(torture: Torture, tmp_path: Path):
    path, _, _ = torture("h264_open_gop.mp4")
    keys = read_key_frames(path)
    with av.open(str(path)) as container:
        marked = sum(packet.is_keyframe for packet in container.demux(video=0))
    assert keys.frames[0] == 0 and len(keys.frames) < marked
    closed, _, _ = torture("h264_closed.mp4")
    assert read_key_frames(closed).frames == [0, 12, 24, 36, 48]


@pytest.mark.parametrize("name", ["h264_closed.mp4", "av1.mkv"])
def test_each_part_has_the_packets_of_its_frames(torture: Torture, tmp_path: Path, name: str):
    path, _, _ = torture(name)
    keys = read_key_frames(path)
    middle = keys.nearest(30)
    assert 0 < middle < 59
    parts = [Part(0, middle - 1, tmp_path / f"0{path.suffix}"), Part(middle, 59, tmp_path / f"1{path.suffix}")]
    copy_parts(path, parts, keys, say=pytest.fail)
    assert [probe(part.path).num_frames for part in parts] == [middle, 60 - middle]
    pictures = [bytes(packet) for part in parts for packet in demuxed(part.path)]
    assert [p[-40:] for p in pictures] == [bytes(packet)[-40:] for packet in demuxed(path)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("h264_edit_list_start.mp4", "edit list"), ("mpeg4_b_frames.avi", ""), ("h264_closed.ts", "mpegts")],
)
def test_what_cannot_be_copied_in_parts_is_refused_with_the_way_out(torture: Torture, name: str, reason: str):
    path, _, _ = torture(name)
    with pytest.raises(BadRequest, match=rf"{name}: cannot be copied in parts \(.*{reason}.*\): have it encoded again"):
        read_key_frames(path)


def test_a_turned_film_comes_out_upright_and_what_is_left_out_is_said(torture: Torture, tmp_path: Path):
    path, kind, _ = torture("h264_rotated_90.mp4")
    said: list[str] = []
    part = Part(0, kind.num_frames - 1, tmp_path / "a.mp4")
    list(encode_parts(VideoFile(path), [part], say=said.append))
    found = probe(part.path)
    assert (found.rotation_degrees, found.height, found.width) == (0, *kind.shown_size)
    keys = read_key_frames(path)
    copy_parts(path, [Part(0, kind.num_frames - 1, tmp_path / "b.mp4")], keys, say=said.append)
    assert probe(tmp_path / "b.mp4").rotation_degrees == 90
    assert said == []


def test_a_part_with_other_frames_than_it_should_have_is_an_error(film: Path, tmp_path: Path):
    keys = read_key_frames(film)
    wrong = KeyFrames(keys.frames, [0, 7, *keys.packets[2:]], keys.clock)
    with pytest.raises(VidexpError, match=r"0.mp4 came out with 7 frames where 8 are due"):
        copy_parts(film, parts_of([0, 8], tmp_path), wrong)
