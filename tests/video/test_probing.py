import os

import numpy as np
import pytest

from tests.video.torture_set import (
    CLOSED,
    X264,
    Kind,
    make,
    reference_frames,
    run_ffmpeg,
    source_frames,
    stamped_number,
)
from videxp.video import DecodeError, UnreadableVideo, open_video, probe, write_video
from videxp.video.container import open_container
from videxp.video.index import read_packets


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("probing") / "clip.mp4"
    write_video(path, source_frames(40, (48, 64)), fps=30000 / 1001, keyframe_interval=10)
    return path


def test_a_probe_tells_what_is_shown(video, torture):
    found = probe(video)
    assert (found.num_frames, found.width, found.height, found.rotation_degrees) == (40, 64, 48, 0)
    assert found.fps == pytest.approx(29.97003)
    assert found.duration_seconds == pytest.approx(40 / 29.97003)
    assert (found.codec, found.container.split(",")[0]) == ("h264", "mov")
    assert found.key_frames >= 4
    turned = probe(torture("h264_rotated_90.mp4")[0])
    assert (turned.width, turned.height, turned.rotation_degrees) == (96, 128, 90)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("h264_open_gop.mp4", "open GOP"),
        ("h264_edit_list_start.mp4", "edit list"),
        ("mpeg2.ts", "container mpegts"),
        pytest.param("hevc_closed.mp4", "codec hevc", marks=pytest.mark.slow),
        pytest.param("h264_two_streams.mkv", "2 video streams", marks=pytest.mark.slow),
        pytest.param("h264_mirrored.mp4", "mirrored", marks=pytest.mark.slow),
        pytest.param("h264_closed.avi", "container avi", marks=pytest.mark.slow),
    ],
)
def test_a_probe_tells_why_decord_is_not_safe(torture, name, reason):
    found = probe(torture(name)[0])
    assert not found.decord_safe and reason in found.decord_unsafe_reason


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "the file is empty"),
        (b"not a video\n" * 100, "not a video file"),
        (os.urandom(4096), "not a video file"),
        (b"ffconcat version 1.0\nfile clip.mp4\n", "not a video file"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 96\n", "not a video file"),
    ],
)
def test_what_is_no_video_is_told_in_one_line(tmp_path, video, content, cause):
    (tmp_path / "clip.mp4").write_bytes(video.read_bytes())
    path = tmp_path / "other.mp4"
    path.write_bytes(content)
    for read in (probe, open_video):
        with pytest.raises(UnreadableVideo, match=cause) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: unreadable video: ")
        assert len(str(caught.value).splitlines()) == 1


def test_a_playlist_named_mp4_is_not_followed(tmp_path, torture):
    target = torture("h264_closed.ts")[0]
    path = tmp_path / "playlist.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.4,\n{target}\n#EXT-X-ENDLIST\n")
    import decord

    assert len(decord.VideoReader(str(path))) > 0  # the negative control: it opens the other file
    for decoder in ("auto", "decord", "pyav", "torchcodec"):
        with pytest.raises(UnreadableVideo, match="not a video file"):
            open_video(path, decoder=decoder)


@pytest.mark.parametrize(
    "name", ["concat:a.ts|a.ts", "http:x.mp4", "pipe:0", "subfile,,start,0,end,9,,:a.ts", "data:x"]
)
def test_protocols_are_file_names(tmp_path, torture, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ts").write_bytes(torture("h264_closed.ts")[0].read_bytes())
    with pytest.raises(UnreadableVideo, match="no such file"):
        probe(name)
    (tmp_path / name).write_bytes(torture("h264_closed.mp4")[0].read_bytes())
    for decoder in ("decord", "pyav"):
        with open_video(name, decoder=decoder) as reader:
            assert stamped_number(reader.frames([33])[0].numpy()) == 33


def test_folders_devices_and_missing_files_are_told(tmp_path):
    for path, cause in [
        (tmp_path, "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("nowhere.mp4", "no such"),
    ]:
        with pytest.raises(UnreadableVideo, match=cause):
            probe(path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95, 0.999])
def test_a_copy_that_broke_off_is_unreadable_however_little_is_missing(tmp_path, suffix, part):
    whole = tmp_path / f"whole.{suffix}"
    write_video(whole, source_frames(40, (48, 64)), fps=25, codec="mpeg4" if suffix == "avi" else "libx264")
    assert probe(whole).num_frames == 40
    data = whole.read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(UnreadableVideo, match=r"truncated: the file ends [\d,]+ bytes before its own header says"):
        probe(cut)


def damaged_copies(data, *, first, count):
    """20 bytes overwritten somewhere in the pictures."""
    rng = np.random.default_rng(3)
    for at in rng.integers(first, len(data) - 4000, size=count):
        copy = bytearray(data)
        copy[at : at + 20] = rng.integers(0, 256, 20, dtype=np.uint8).tobytes()
        yield bytes(copy)


def picture_or_error(reader, number):
    try:
        return reader.frames([number])[0].numpy()
    except DecodeError as error:
        return error


@pytest.mark.slow
def test_damage_is_found_by_the_probe_or_raises_and_no_other_frame_than_ffmpegs_comes_out(tmp_path):
    """Damage that leaves a legal stream cannot be seen by anyone: then the frames are those that ffmpeg shows."""
    kind = Kind("to_damage", "mp4", CLOSED)
    data = make(kind, tmp_path).read_bytes()
    path = tmp_path / "damaged.mp4"
    unreadable = errors = shown = 0
    for copy in damaged_copies(data, first=data.index(b"mdat") + 900, count=30):
        path.write_bytes(copy)
        reference = reference_frames(path, kind.size)
        try:
            found = probe(path)
        except UnreadableVideo:
            unreadable += 1
            found = probe(path, verify="packets") if len(reference) == 60 else None
        if found is None:
            continue
        with open_video(path, decoder="auto", probe=found if found.verified else None) as reader:
            for number in range(0, 60, 3):
                picture = picture_or_error(reader, number)
                if isinstance(picture, DecodeError):
                    errors += 1
                    assert len(str(picture).splitlines()) <= 3
                else:
                    shown += 1
                    assert np.abs(picture.astype(int) - reference[number]).mean() < 0.5
    assert unreadable > 20 and errors > 50 and shown > 50


def test_damage_is_told_without_noise_on_stderr(torture, capfd):
    path, _, _ = torture("h264_scratched.mp4")
    for decoder in ("auto", "pyav", "decord"):
        with pytest.raises(UnreadableVideo, match="damaged"):
            open_video(path, decoder=decoder)
    assert capfd.readouterr().err == ""


def test_a_live_recording_that_knows_no_length_is_no_broken_copy(tmp_path):
    raw = source_frames(20, (48, 64)).tobytes()
    live = f"-f rawvideo -pix_fmt rgb24 -s 64x48 -r 25 -i - {X264} -f matroska -live 1 -".split()
    (tmp_path / "live.mkv").write_bytes(run_ffmpeg(live, data=raw))
    assert probe(tmp_path / "live.mkv").num_frames == 20


@pytest.mark.slow
def test_hidden_frames_of_vp8_are_not_counted(tmp_path):
    raw = source_frames(60, (96, 128)).tobytes()
    source = "-f rawvideo -pix_fmt rgb24 -s 128x96 -r 25 -i -"
    encode = f"-c:v libvpx -b:v 300k -cpu-used 5 -g 60 -auto-alt-ref 1 -lag-in-frames 16 -passlogfile {tmp_path}/log"
    run_ffmpeg(f"{source} {encode} -pass 1 -f null -".split(), data=raw)
    run_ffmpeg(f"{source} {encode} -pass 2 {tmp_path}/hidden.webm".split(), data=raw)
    container, stream = open_container(tmp_path / "hidden.webm")
    assert any(fact.frames == 0 for fact in read_packets(tmp_path / "hidden.webm", container, stream).facts)
    found = probe(tmp_path / "hidden.webm")
    assert (found.num_frames, found.decord_unsafe_reason) == (60, "packets that show no frame")
    with open_video(tmp_path / "hidden.webm", probe=found) as reader:
        assert [stamped_number(picture) for picture in reader.frames([59, 7, 30]).numpy()] == [59, 7, 30]


@pytest.mark.parametrize("width", [24, 48, 72])
def test_widths_that_decord_cannot_copy_are_not_given_to_it(tmp_path, width):
    decord = pytest.importorskip("decord")
    path = tmp_path / "narrow.mp4"
    write_video(path, source_frames(4, (48, width)), fps=10)
    with pytest.raises(decord.DECORDError):
        decord.VideoReader(str(path), num_threads=1).get_batch([0, 1])
    found = probe(path)
    assert (found.decord_safe, found.decord_unsafe_reason) == (False, f"width {width}")
    assert open_video(path, probe=found).frames([0, 3]).shape == (2, 48, width, 3)
