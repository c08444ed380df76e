"""A data set copied into shards: the same clips of the same frames, made once, and refused where it is not whole."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import fsspec
import numpy as np
import pytest
import torch

from tests import forked
from tests.conftest import clean_environment, videxp
from tests.films import Put, module
from tests.forked import CONTEXT
from tests.video.torture_set import source_frames, stamped_number
from videxp.core.errors import BadRequest, VidexpError
from videxp.data import FolderPerClass, VideoDataModule
from videxp.data.manifest import Manifest
from videxp.data.preparing.cache import make_cache
from videxp.data.preparing.shards import Making, damaged, read_list
from videxp.transforms import EvalTransform, TrainTransform
from videxp.video import byte_file, packet_reader, write_video

RAW = Making("raw", None, 1, 21.0)
NAMES = ["run/0", "run/1", "walk/2", "walk/3"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four stamped videos of 60 frames in each of two splits; one of another size, all of other content."""
    folder = tmp_path_factory.mktemp("stamped")
    for split in ("train", "val"):
        for number, name in enumerate(NAMES):
            frames = source_frames(60, (96, 160 if number == 3 else 128)).copy()
            frames[:, -8:, -8:] = 20 * number + 100 * (split == "val")
            (folder / "root" / split / name).parent.mkdir(parents=True, exist_ok=True)
            write_video(folder / "root" / split / f"{name}.mp4", frames, fps=25, crf=10)
    return folder


def data(place: Path, **changes: Any) -> VideoDataModule:
    made = module(
        place,
        FolderPerClass(),
        **{
            "size": 64,
            "num_frames": 6,
            "stride_frames": 3,
            "train_transform": TrainTransform(size=64, seed=0),
            "eval_transform": EvalTransform(size=64),
            **changes,
        },
    )
    made.prepare()
    return made


def clips(made: VideoDataModule) -> list[torch.Tensor]:
    return [made.dataset(split)[1, index]["clip"] for split in ("train", "val") for index in range(4)]


@pytest.mark.slow
def test_clips_of_raw_copies_are_those_of_the_source(root: Path, tmp_path: Path):
    told = make_cache(data(root).manifest, tmp_path / "cache", making=RAW)
    assert told["bytes"] > 8 * 60 * 96 * 128 * 3
    plain, cached = data(root), data(root, cache=str(tmp_path / "cache"))
    assert all(torch.equal(a, b) for a, b in zip(clips(plain), clips(cached), strict=True))
    assert cached.counts == plain.counts
    assert plain.fingerprint in cached.fingerprint != plain.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("format", ["small", "medium"])
@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_copy_has_each_frame_of_the_source_in_its_place(root: Path, tmp_path: Path, format: Any, stride: int):
    whole = {"train_transform": torch.nn.Identity(), "eval_transform": torch.nn.Identity(), "frame_size": [96, 128]}
    make_cache(data(root).manifest, tmp_path / "cache", making=Making(format, None, stride, 16.0))
    plain, cached = data(root, **whole), data(root, **whole, cache=str(tmp_path / "cache"))
    for index in range(3):
        for epoch in range(4):
            a, b = (made.dataset("train")[epoch, index]["clip"][0] for made in (plain, cached))
            assert [stamped_number(f.numpy()) for f in a] == [stamped_number(f.numpy()) for f in b]
            assert 10 * np.log10(255**2 / float(((a.float() - b.float()) ** 2).mean())) > 30


@pytest.mark.slow
def test_disposable_frames_are_not_decoded_where_the_clips_stride_passes_over_them(root: Path, tmp_path: Path):
    make_cache(data(root).manifest, tmp_path / "cache", making=Making("medium", None, 3, 21.0))
    dataset = data(root, cache=str(tmp_path / "cache")).dataset("train")
    for first, most in (
        (24, 7),
        (25, 10),
    ):  # of 16 frames from the first to the last, and what those are predicted from
        numbers = np.arange(first, first + 3 * 6, 3)
        with dataset.open(0, numbers) as reader:
            runs = list(reader._runs(numbers))
        assert sum(len(wanted) for _, wanted in runs) == 6
        assert sum(len(packets) for packets, _ in runs) <= most


@pytest.mark.slow
def test_clips_far_apart_in_one_copy_are_read_by_themselves(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_cache(data(root).manifest, tmp_path / "cache", making=Making("medium", None, 3, 21.0))
    dataset = data(root, cache=str(tmp_path / "cache")).dataset("train")
    numbers = np.array([0, 3, 54, 57])
    taken = []
    for worth in (0, 1 << 20):
        monkeypatch.setattr(packet_reader, "WORTH_ANOTHER_READ", worth)
        read: list[int] = []
        with dataset.open(0, numbers) as reader:
            whole = reader._bytes
            monkeypatch.setattr(
                reader, "_bytes", lambda a, b, whole=whole, read=read: read.append(b - a) or whole(a, b)
            )
            taken.append((reader.frames(numbers), read))
    (apart, ranges), (together, one) = taken
    assert torch.equal(apart, together)
    assert len(one) == 1 < len(ranges)
    assert sum(ranges) < 0.7 * sum(one)


@pytest.mark.parametrize(("stride", "every"), [(1, 2), (2, 4), (4, 16), (8, 16), (10, 10), (16, 16), (30, 16)])
def test_references_lie_on_the_clips_grid_as_far_as_h264_has_it(stride: int, every: int):
    making = Making("medium", None, stride, 21.0)
    assert making.reference_every == every
    assert making.gop % every == 0 and 24 <= making.gop < 24 + every


def test_copies_may_be_smaller_and_are_never_larger():
    assert Making("medium", 64, 1, 21.0).size(96, 129) == (64, 86)
    assert Making("medium", 200, 1, 21.0).size(97, 129) == (96, 128)
    assert Making("raw", None, 1, 21.0).size(97, 129) == (97, 129)


@pytest.mark.slow
def test_made_again_it_makes_what_is_missing_damaged_or_new_and_no_more(root: Path, tmp_path: Path):
    shutil.copytree(root / "root", tmp_path / "root")
    cache, manifest = tmp_path / "cache", data(tmp_path).manifest
    assert make_cache(manifest, cache, making=RAW)["made"] == 8
    assert make_cache(manifest, cache, making=RAW)["made"] == 0
    first, second, *_ = sorted((cache / "shards").glob("*.shard"))
    first.unlink()
    with second.open("r+b") as stream:  # a byte of the first picture
        stream.seek(1000)
        stream.write(b"\xff\x00\xff")
    assert len(damaged(second)) == 1
    assert make_cache(manifest, cache, making=RAW)["made"] == 2
    assert not damaged(second)

    write_video(tmp_path / "root/train/run/new.mp4", source_frames(20, (96, 128)), fps=25)
    with pytest.raises(
        BadRequest, match=r"is stale: 1 of 13 samples are not in it as they are now \(train/run/new.mp4\)"
    ):
        data(tmp_path, cache=str(cache))
    grown = data(tmp_path).manifest
    assert make_cache(grown, cache, making=RAW)["made"] == 1
    assert data(tmp_path, cache=str(cache)).counts["train"] == 5


def make_and_tell(manifest: Manifest, cache: Path, told: Path) -> None:
    told.write_text(str(make_cache(manifest, cache, making=RAW, processes=2)["made"]))


@pytest.mark.slow
def test_of_commands_that_make_one_cache_at_once_one_does_and_one_that_is_killed_lets_the_next(
    root: Path, tmp_path: Path
):
    cache, manifest = tmp_path / "cache", data(root).manifest

    def begin(name: str) -> BaseProcess:
        process = CONTEXT.Process(target=make_and_tell, args=(manifest, cache, tmp_path / name))
        process.start()
        return process

    killed = begin("killed")
    while not list(cache.glob("shards/*.shard")) and killed.is_alive():
        time.sleep(0.001)
    killed.kill()
    both = [begin("one"), begin("other")]
    for process in [killed, *both]:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    made = sorted(int((tmp_path / name).read_text()) for name in ("one", "other"))
    assert made[0] == 0 < made[1] <= 8
    assert not list(cache.glob("shards/.*"))
    assert torch.equal(clips(data(root, cache=str(cache)))[0], clips(data(root))[0])


@pytest.mark.slow
def test_what_is_not_a_whole_cache_is_refused_in_a_line(root: Path, tmp_path: Path):
    cache, manifest = tmp_path / "cache", data(root).manifest
    remedy = r"run `videxp prepare mini --cache \S+` \(again\)$"
    with pytest.raises(BadRequest, match=r"cache.json is missing: " + remedy):
        data(root, cache=str(cache))
    make_cache(manifest, cache, making=RAW)
    shard = next((cache / "shards").glob("*.shard"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-5])
    with pytest.raises(BadRequest, match=r"1 shards are damaged, such as \w+.shard: " + remedy):
        data(root, cache=str(cache))
    with pytest.raises(BadRequest, match="no whole shard"):
        read_list(shard)
    shard.unlink()
    with pytest.raises(BadRequest, match=r"\w+.shard is missing: " + remedy):
        data(root, cache=str(cache))
    shard.write_bytes(whole)
    made = data(root, cache=str(cache))
    shard.write_bytes(whole + b"x")  # in the middle of a training
    with pytest.raises(VidexpError, match="has changed or gone since it was prepared"):
        clips(made)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"[]", b'{"format": 3}', b"[" * 100_000, b"\xff", "half"])
def test_a_damaged_file_of_a_cache_is_named_and_made_again(content: bytes | str, root: Path, tmp_path: Path):
    cache, manifest = tmp_path / "cache", data(root).manifest
    make_cache(manifest, cache, making=RAW)
    for file in (cache / "cache.json", cache / "index.tsv", next(cache.glob("*.packets"))):
        whole = file.read_bytes()
        damaged = whole[: len(whole) // 2] if isinstance(content, str) else content
        if damaged == whole:  # raw copies have no packets
            continue
        file.write_bytes(damaged)
        with pytest.raises(
            BadRequest, match=rf"{file.name} is damaged.*: run `videxp prepare mini --cache {cache}` \(again\)$"
        ):
            data(root, cache=str(cache))
        assert make_cache(manifest, cache, making=RAW)["made"] == 0
        assert data(root, cache=str(cache)).counts["train"] == 4


@pytest.mark.slow
def test_a_damaged_packet_is_an_error_and_no_picture(root: Path, tmp_path: Path):
    making = Making("medium", None, 1, 21.0)
    make_cache(data(root).manifest, tmp_path / "cache", making=making)
    for shard in (tmp_path / "cache/shards").glob("*.shard"):
        whole = bytearray(shard.read_bytes())
        for byte in range(200, read_list(shard)[0].size, 100):  # any packet has some
            whole[byte] ^= 0xFF
        shard.write_bytes(whole)
    with pytest.raises(VidexpError, match=r"\.shard.*\n?.*the file has changed since it was prepared: prepare again"):
        clips(data(root, cache=str(tmp_path / "cache")))


def test_pairs_are_not_cached(put: Put, tmp_path: Path):
    put("train/run/a.mp4")
    manifest = module(tmp_path, FolderPerClass())
    manifest.prepare()
    from dataclasses import replace

    from videxp.data.manifest import Strings

    paired = replace(
        manifest.manifest,
        columns={**manifest.manifest.columns, "input": Strings.pack(["b.mp4"] * len(manifest.manifest))},
    )
    with pytest.raises(BadRequest, match="pairs of files are not cached"):
        make_cache(paired, tmp_path / "cache", making=RAW)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_where_it_was(root: Path, tmp_path: Path):
    words = ["prepare", "folder_per_class", f"dataset.root={root / 'root'}", "--cache", "cache", "--json"]
    environment = {**clean_environment(tmp_path), "VIDEXP_CACHE": str(tmp_path / "index")}
    printed = tmp_path / "stdout", tmp_path / "stderr"
    seen = []
    for _ in range(3):
        process = forked.start(*words, cwd=tmp_path, environment=environment, printed=printed, before=os.setsid)
        before = len(list(tmp_path.glob("cache/shards/*.shard")))
        while process.is_alive() and len(list(tmp_path.glob("cache/shards/*.shard"))) < min(before + 2, 7):
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        seen.append(len(list(tmp_path.glob("cache/shards/*.shard"))))
    assert seen == sorted(seen)
    assert 0 < seen[0] < 8
    assert not (tmp_path / "cache/cache.json").exists()
    done = videxp(*words, cwd=tmp_path, VIDEXP_CACHE=str(tmp_path / "index"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cache"].startswith("cache: 8 shards")
    assert all(not damaged(shard) for shard in tmp_path.glob("cache/shards/*.shard"))
    assert len(list((tmp_path / "cache/shards").iterdir())) == 8  # nothing half-written is left


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "raw"], "--format raw is about copies: give --cache FOLDER too"),
        (["--cache", "c", "--short-side", "4"], "--short-side 4: at least 16 pixels"),
        (["--cache", "c", "--crf", "60"], "--crf 60: from 0 (no loss) to 51"),
    ],
)
def test_a_bad_request_is_a_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    from videxp.cli import main

    assert main(["prepare", "moving_digits", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_each_process_reads_its_own_part_of_the_shards(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_cache(data(root).manifest, tmp_path / "cache", making=RAW)
    made = data(root, cache=str(tmp_path / "cache"), shuffle="shards", batch_size=2)
    files = []
    for rank in range(2):
        monkeypatch.setattr(type(made), "_ranks", lambda self, rank=rank: (rank, 2))
        batches = list(made.train_dataloader())
        assert len(batches) == 2
        files.append({made.dataset("train").file(int(index)) for batch in batches for index in batch["index"]})
    assert len(files[0]) == len(files[1]) == 2
    assert files[0].isdisjoint(files[1])
    with pytest.raises(BadRequest, match=r"dataset\.loading\.shuffle=shards without shards: set dataset\.cache"):
        data(root, shuffle="shards")


class WithRanges(SimpleHTTPRequestHandler):
    """What object stores do and Python's server does not: a part of a file."""

    def do_GET(self) -> None:
        first, last = (
            map(int, self.headers["Range"].removeprefix("bytes=").split("-")) if "Range" in self.headers else (0, -1)
        )
        path = Path(self.translate_path(self.path))
        if path.is_dir() or last < 0:
            return super().do_GET()
        data = path.read_bytes()[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{path.stat().st_size}")
        self.end_headers()
        self.wfile.write(data)
        return None

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("format", ["medium", "raw"])
def test_a_cache_is_read_from_a_store_by_ranges(root: Path, tmp_path: Path, format: Any):
    make_cache(data(root).manifest, tmp_path / "cache", making=Making(format, None, 3, 21.0))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(WithRanges, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/cache"
        near, far = data(root, cache=str(tmp_path / "cache")), data(root, cache=url, num_workers=2)
        assert all(torch.equal(a, b) for a, b in zip(clips(near), clips(far), strict=True))
        pairs = zip(near.train_dataloader(), far.train_dataloader(), strict=True)  # in forked workers, too
        assert all(torch.equal(a["clip"], b["clip"]) for a, b in pairs)
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(BadRequest, match=r"dataset.cache=http://\S+ no cache of this version"):
        data(root, cache=url.replace(str(server.server_port), "1"))


class Busy(WithRanges):
    """Answers some requests for clips as stores do under load: a status, or a connection that ends."""

    answers: ClassVar[list[int]] = []  # each test sets it; of the next requests; 0: none, 200: as it should
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        answer = self.answers.pop(0) if self.answers and "Range" in self.headers else 200
        if answer == 200:
            return super().do_GET()
        if answer:
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()
        self.close_connection = True
        return None


@pytest.fixture
def store(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a cache that a busy server has."""
    monkeypatch.setattr(byte_file, "WAITS_SECONDS", (0.01, 0.01, 0.01))
    make_cache(data(root).manifest, tmp_path / "cache", making=RAW)
    monkeypatch.setattr(Busy, "asked", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Busy, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/cache"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("answers", [[503, 200], [429, 500, 0], [0, 0, 0]])
def test_a_store_that_is_busy_is_asked_again(
    root: Path, store: str, answers: list[int], monkeypatch: pytest.MonkeyPatch
):
    far = data(root, cache=store)
    monkeypatch.setattr(Busy, "answers", [*answers])
    assert torch.equal(far.dataset("train")[1, 0]["clip"], data(root).dataset("train")[1, 0]["clip"])
    assert Busy.answers == []


def test_fsspec_alone_does_not_ask_again(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Busy, "answers", [503])
    with pytest.raises(aiohttp.ClientResponseError, match="503"):
        fsspec.filesystem("http", skip_instance_cache=True).cat_file(f"{store}/cache.json", start=0, end=9)


@pytest.mark.slow
@pytest.mark.parametrize(("status", "tries"), [(503, 4), (403, 1)])
def test_a_store_that_stays_busy_or_refuses_is_named_with_its_status(
    root: Path, store: str, status: int, tries: int, monkeypatch: pytest.MonkeyPatch
):
    far = data(root, cache=store, max_unreadable=1)
    monkeypatch.setattr(Busy, "answers", [status] * tries)
    before = Busy.asked
    samples = far.dataset("train").__getitems__([(1, 0), (1, 1)])
    assert Busy.asked - before == tries + 1
    assert [sample["index"] for sample in samples.read] == [1]
    (failure,) = samples.failures
    assert failure.path == "train/run/0.mp4" and f"HTTP {status}" in failure.message and store in failure.message
    assert ("asked 4 times" in failure.message) == (tries > 1)
