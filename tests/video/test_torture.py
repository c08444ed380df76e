"""Every kind of file through every decoder: right, or a clear refusal; never a wrong frame in silence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.video.comparing import compare
from tests.video.torture_set import KINDS, stamped_number, upright
from videxp.core.errors import VidexpError
from videxp.video import probe

QUICK = ("h264_closed.mp4", "h264_open_gop.mp4", "h264_edit_list_start.mp4", "h264_rotated_90.mp4", "mpeg2.ts")
NAMES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in (str(kind) for kind in KINDS)
]
# Shown by the barcode to be decord's silent failures (beside some where it errs or refuses by itself).
DECORD_WRONG = (
    "h264_open_gop.mp4", "h264_closed.ts", "mpeg4_b_frames.avi", "hevc_default.mp4", "h264_intra_refresh.mp4",
    "h264_closed.avi", "h264_edit_list_start.mp4", "mpeg4_b_frames.mp4", "wmv2.wmv", "h264_mirrored.mp4",
)  # fmt: skip
DECORD_SAFE = (
    "h264_closed.mp4", "h264_closed.mov", "h264_closed.mkv", "h264_444.mp4", "h264_odd_size.mp4",
    "h264_fragmented.mp4", "h264_vfr.mkv", "h264_vfr.mp4", "h264_gop_250.mp4", "h264_gop_1.mp4", "h264_2997_fps.mp4",
    "h264_1_frame.mp4", "h264_rotated_90.mp4", "h264_rotated_180.mp4", "h264_with_audio.mp4", "vp8.webm", "vp9.webm",
    "mjpeg.mov",
)  # fmt: skip


def probe_or_none(path):
    try:
        return probe(path)
    except VidexpError:
        return None


def test_the_set_holds_at_least_thirty_kinds_and_no_name_twice():
    names = [str(kind) for kind in KINDS]
    assert len(set(names)) == len(names) >= 30


@pytest.mark.parametrize("name", ["h264_closed.mp4", pytest.param("theora.ogv", marks=pytest.mark.slow)])
def test_the_stamps_of_the_reference_count_from_zero(torture, name):
    _, kind, reference = torture(name)
    assert [stamped_number(upright(picture, kind)) for picture in reference] == list(range(60))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "auto_without_probe", "pyav", "decord"])
@pytest.mark.parametrize("name", NAMES)
def test_a_decoder_is_right_or_refuses(torture, name, mode):
    path, kind, reference = torture(name)
    found = probe_or_none(path) if mode == "auto" else None
    outcome = compare(path, kind, reference, decoder=mode.split("_")[0], probe=found)
    assert outcome.wrong == []
    assert len(outcome.refused.splitlines()) <= 3
    if mode != "decord" and kind.whole:
        assert outcome.refused == "" and outcome.compared > 20 * (kind.num_frames > 1)
    if outcome.refused:
        assert str(path) in outcome.refused
    if not kind.whole and mode in ("auto", "decord"):
        assert outcome.refused


FROM_PACKETS = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in map(str, KINDS)
    if name.startswith(("h264", "hevc", "vp", "av1")) and name.endswith((".mp4", ".mkv", ".mov", ".webm"))
    if name != "h264_open_gop_cut.mkv"  # its packets have no times
]


@pytest.mark.parametrize("name", FROM_PACKETS)
def test_frames_come_from_packets_alone_wherever_the_container_has_an_index(torture, name, monkeypatch):
    monkeypatch.setattr("videxp.video.decoder.build_index", None)  # no other reader helps out
    path, kind, reference = torture(name)
    found = probe_or_none(path)
    if found is None:
        pytest.skip("damaged, so that no reader gets it")
    outcome = compare(path, kind, reference, decoder="auto", probe=found)
    assert (outcome.wrong, outcome.refused) == ([], "")


@pytest.mark.slow
@pytest.mark.parametrize("name", DECORD_SAFE)
def test_the_ordinary_kinds_go_to_decord(torture, name):
    path, _, _ = torture(name)
    assert probe(path).decord_unsafe_reason == ""


@pytest.mark.parametrize(
    "name", [DECORD_WRONG[0], *(pytest.param(n, marks=pytest.mark.slow) for n in DECORD_WRONG[1:])]
)
def test_stock_decord_returns_wrong_frames_in_silence(torture, name):
    """The negative control: without the probe these would train on wrong frames."""
    path, kind, reference = torture(name)
    outcome = compare(path, kind, reference, decoder="decord", allow_unsafe=True)
    assert outcome.wrong and not outcome.refused


@pytest.mark.slow
def test_stock_decord_returns_damaged_frames_in_silence_and_no_reader_here_does(torture):
    decord = pytest.importorskip("decord")
    path, kind, reference = torture("h264_scratched.mkv")
    assert len(decord.VideoReader(str(path), num_threads=1).get_batch([33, 34]).asnumpy()) == 2
    for decoder in ("auto", "decord"):
        assert "damaged" in compare(path, kind, reference, decoder=decoder, allow_unsafe=True).refused


@pytest.fixture(scope="module")
def ffmpeg_libraries(tmp_path_factory, torture):
    """An environment in which torchcodec finds the libraries of PyAV's wheel, under the names that it looks for."""
    bundled = Path(av.__file__).parents[1] / "av.libs"
    folder = tmp_path_factory.mktemp("libraries")
    for file in bundled.glob("lib*.so.*"):
        stem, version = file.name.split(".so.")
        (folder / f"{stem.rsplit('-', 1)[0]}.so.{version.split('.')[0]}").symlink_to(file)
    program = f"from torchcodec.decoders import VideoDecoder; VideoDecoder({str(torture('h264_closed.mp4')[0])!r})"
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{bundled}"}
    if subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False).returncode:
        pytest.skip("torchcodec's frames are not checked: it is not installed, or finds no FFmpeg")
    return environment


@pytest.mark.slow
def test_torchcodec_is_right_or_refuses(torture, ffmpeg_libraries, tmp_path):
    """In a process of its own, since the libraries must be in its environment from the start."""
    wanted = []
    for kind in KINDS:
        path, _, reference = torture(str(kind))
        wanted.append([str(kind), str(path)])
        reference.tofile(tmp_path / f"{kind}.raw")
    (tmp_path / "wanted.json").write_text(json.dumps(wanted))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.video.torchcodec_process", str(tmp_path)],
        env=ffmpeg_libraries, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = json.loads(done.stdout)
    assert {name: wrong for name, (wrong, _, _) in outcomes.items() if wrong} == {}
    right = {name for name, (_, compared, refused) in outcomes.items() if compared and not refused}
    refused = {name for name, (_, _, refused) in outcomes.items() if refused}
    assert right >= {*DECORD_SAFE, "h264_open_gop.mp4", "hevc_default.mp4", "h264_two_streams.mkv", "av1.mp4"}
    assert refused >= {"h264_intra_refresh.mp4", "h264_mirrored.mp4", "h264_closed.ts", "mpeg4_b_frames.avi"}
    assert refused >= {str(kind) for kind in KINDS if not kind.whole}
