"""What a decoder remembers: whatever was read before, a frame is as it is where its file is decoded from the start."""

import random
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from tests.video.joined import join, new_headers, piece, repack, without_tables
from tests.video.torture_set import KINDS
from videxp.core.errors import VidexpError
from videxp.video import Probe, UnreadableVideo, open_video, probe
from videxp.video.container import open_container
from videxp.video.display import display_matrix, rgb_picture, turn_of, turned
from videxp.video.packet_reader import new_decoder
from videxp.video.packets import PacketTable

X264 = "-c:v libx264 -preset ultrafast -threads 1 -g 8 -bf 2 -pix_fmt yuv420p"
X265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:pools=none:frame-threads=1:keyint=8"
MJPEG = "-c:v mjpeg -q:v 4 -pix_fmt yuvj420p"
BT709 = "-colorspace bt709 -color_range tv -color_primaries bt709 -color_trc bt709"
VP9 = "-c:v libvpx-vp9 -cpu-used 8 -g 8 -b:v 0"
MPEG4 = "-c:v mpeg4 -q:v 3 -g 8"
CHANGE = "its headers change on the way"


@cache
def plain_frames(path: Path) -> list[np.ndarray]:
    """uint8 [H,W,C] of each frame: the whole stream decoded once from its start, and nothing kept for another file."""
    container, stream = open_container(path)
    with container:
        return [
            np.array(turned(rgb_picture(frame, VideoReformatter()), turn_of(display_matrix(frame))[0]))
            for frame in container.decode(stream)
        ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Joined recordings beside their parts, and pictures that need tables of their own, of others, or none."""
    folder = tmp_path_factory.mktemp("joined")

    def made(name: str, encode: str) -> Path:
        return piece(folder / name, encode)

    fine, coarse = (
        made("fine.mp4", f"{X264} -crf 10"),
        made("coarse.mp4", f"{X264} -crf 40"),
    )
    fine_ts, coarse_ts = (
        made("fine.ts", f"{X264} -crf 10"),
        made("coarse.ts", f"{X264} -crf 40"),
    )
    dyed = made("dyed.ts", f"{X264} -crf 20 {BT709}")
    hevc, hevc_2 = made("fine_hevc.mp4", f"{X265} -crf 10"), made("coarse_hevc.mp4", f"{X265}:ref=1 -crf 40")
    tables = made("tables.avi", f"{MJPEG} -huffman optimal")
    standard = made("standard.avi", f"{MJPEG} -huffman default")
    part_2, part_4 = made("part_2.avi", MPEG4), made("part_4.avi", f"{MPEG4} -mpeg_quant 1")
    vp9, vp9_2 = made("fine.webm", f"{VP9} -crf 20"), made("coarse.webm", f"{VP9} -crf 55")

    def bare(_: int, jpeg: bytes) -> bytes:
        return without_tables(jpeg, "huffman")

    def bare_in_part(number: int, jpeg: bytes) -> bytes:
        return jpeg if number >= 24 else without_tables(jpeg, "huffman")

    def first_alone(number: int, jpeg: bytes) -> bytes:
        return jpeg if number % 12 == 0 else without_tables(jpeg, "quantisation")

    return {
        "fine.mp4": fine,
        "coarse.mp4": coarse,
        "tables.avi": tables,
        "joined.mp4": join(folder / "joined.mp4", [fine_ts, coarse_ts, fine_ts]),
        "joined.mkv": join(folder / "joined.mkv", [fine, coarse, fine]),
        "joined.flv": join(folder / "joined.flv", [fine, coarse, fine]),
        "joined.ts": join(folder / "joined.ts", [fine_ts, coarse_ts, fine_ts]),
        "colors.mp4": join(folder / "colors.mp4", [fine_ts, dyed, fine_ts]),
        "descriptions.mp4": new_headers(folder / "descriptions.mp4", [fine, coarse, fine]),
        "descriptions.flv": new_headers(folder / "descriptions.flv", [fine, coarse, fine]),
        "hevc.mp4": join(folder / "hevc.mp4", [hevc, hevc_2, hevc]),
        "vp9.webm": join(folder / "vp9.webm", [vp9, vp9_2, vp9]),
        "mpeg4.mkv": join(folder / "mpeg4.mkv", [part_2, part_4, part_2]),
        "bare.avi": repack(folder / "bare.avi", [standard], bare),
        "first.mkv": repack(folder / "first.mkv", [tables], first_alone),
        "mixed.mkv": repack(folder / "mixed.mkv", [standard, tables, standard], bare_in_part),
    }


def read_in_random_order(files: list[Path], probes: dict[Path, Probe], *, decoder: str, opened: int) -> dict[str, int]:
    """Name -> wrong frames: files by chance, and in each a few clips by chance."""
    expected = {path: plain_frames(path) for path in files}
    rng, wrong = random.Random(5), dict.fromkeys([path.name for path in files], 0)
    for _ in range(opened):
        path = rng.choice(files)
        try:
            with open_video(path, decoder=decoder, probe=probes.get(path)) as reader:
                assert reader.num_frames == len(expected[path])
                for length in (1, 3, 1):
                    numbers = [rng.randrange(reader.num_frames) for _ in range(length)]
                    clip = reader.frames(numbers).numpy()
                    wrong[path.name] += sum(not np.array_equal(a, expected[path][n]) for a, n in zip(clip, numbers))
        except VidexpError:
            assert decoder == "decord"  # which refuses what it may read wrongly
    return {name: count for name, count in wrong.items() if count}


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["auto", "decord", "without probe"])
def test_any_order_of_files_and_frames_gives_the_bytes_of_each_file_alone(files, decoder):
    paths = list(files.values())
    probes = {} if decoder == "without probe" else {path: probe(path) for path in paths}
    name = decoder if decoder == "decord" else "auto"
    assert read_in_random_order(paths, probes, decoder=name, opened=50) == {}


@pytest.mark.slow
def test_so_does_the_whole_torture_set(files, torture):
    whole = [torture(str(kind))[0] for kind in KINDS if kind.whole and str(kind) != "h264_open_gop_cut.mkv"]
    paths = [*files.values(), *whole]
    assert read_in_random_order(paths, {path: probe(path) for path in paths}, decoder="auto", opened=400) == {}


@pytest.mark.slow
def test_a_decoder_that_is_kept_gives_other_bytes(files, monkeypatch):
    """The negative control: flushed between files, under a key of all that the container says."""
    kept = {}

    def flushed(table: PacketTable) -> av.VideoCodecContext:
        key = (table.decoder, table.extradata)
        if key not in kept:
            kept[key] = new_decoder(table)
        kept[key].flush_buffers()
        return kept[key]

    monkeypatch.setattr("videxp.video.packet_reader.new_decoder", flushed)
    paths = [files[name] for name in ("fine.mp4", "joined.mp4", "joined.mkv", "bare.avi", "tables.avi")]
    wrong = read_in_random_order(paths, {path: probe(path) for path in paths}, decoder="auto", opened=60)
    assert {"fine.mp4", "bare.avi"} <= wrong.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("joined.mp4", 9),
        ("joined.mkv", 9),
        ("hevc.mp4", 9),
        ("vp9.webm", 9),
        ("bare.avi", 24),
        ("first.mkv", 2),
    ],
)
def test_decoding_starts_where_all_that_is_needed_is_told(files, name, keys):
    found = probe(files[name])
    assert (found.key_frames, bool(found.packets)) == (keys, True)


@pytest.mark.parametrize("name", ["colors.mp4", "descriptions.mp4", "mpeg4.mkv", "mixed.mkv"])
def test_where_headers_matter_that_came_before_all_is_decoded_from_the_start(files, name):
    found = probe(files[name])
    assert found.key_frames == 0 and found.num_frames == 72
    with pytest.raises(VidexpError, match=CHANGE if name != "mpeg4.mkv" else "codec mpeg4"):
        open_video(files[name], decoder="decord", probe=found)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_size_that_changes_is_found_when_the_file_is_probed(tmp_path, suffix):
    small, large = piece(tmp_path / "small.ts", X264), piece(tmp_path / "large.ts", X264, size=(96, 128))
    path = join(tmp_path / f"changes.{suffix}", [small, large])
    with pytest.raises(UnreadableVideo, match="frame 24 has size 128x96, the first 64x48"):
        probe(path)
