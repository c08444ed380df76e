"""`videxp stream`: answers as lines, the video beside them, Ctrl-C, and what is refused before anything is opened."""

import json
import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests import forked
from tests.conftest import Run, videxp
from tests.forked import clean_environment
from tests.video.live.senders import write_steps
from videxp import cli
from videxp.video import open_video, write_video


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def film(finished: tuple[Path, Run]) -> Path:
    """In the folder of the runs: frames whose size the network's is cut from."""
    frames = np.random.default_rng(0).integers(0, 255, (40, 12, 16, 3), np.uint8).repeat(10, 1).repeat(10, 2)
    write_video(path := finished[0].parents[1] / "stream.mp4", frames, fps=25)
    return path


@pytest.mark.slow
def test_a_file_is_answered_line_by_line_and_drawn_on(finished: tuple[Path, Run], film: Path, tmp_path: Path):
    out, video = tmp_path / "a.jsonl", tmp_path / "a.mp4"
    done = videxp("stream", str(finished[0]), str(film), "-o", str(out), "--video", str(video), cwd=film.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "40 frames captured, 40 processed, 0 dropped" in done.stderr
    lines = lines_of(out.read_text())
    assert [line.get("event", "answer") for line in lines] == ["opened", "connected", *["answer"] * 10, "ended"]
    opened, answer, ended = lines[0], lines[2], lines[-1]
    assert opened["task"] == "Classification" and opened["mode"] == "windows of 4 frames"
    assert answer["frame"] == 3 and answer["pts"] == 0.12 and answer["label"] in answer["probabilities"]
    assert ended["reason"] == "end" and ended["captured"] == 40 == ended["processed"]
    with av.open(str(video)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([n / 25 for n in range(40)], abs=1e-4)
    again = videxp("stream", str(finished[0]), str(film), "-o", str(out), cwd=film.parent)
    assert again.returncode == 2 and "is there already" in again.stderr


@pytest.mark.slow
def test_a_restored_stream_is_the_restored_file(restored: Path, tmp_path: Path):
    film = write_steps(restored.parents[1] / "steps.mp4", 12, size=(24, 32))
    done = videxp("stream", str(restored), str(film), "--video", str(tmp_path / "a.mkv"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line["frame"] for line in lines_of(done.stdout) if "frame" in line] == list(range(12))
    stock = videxp("predict", str(restored), str(film), "-o", str(tmp_path / "b.mkv"), cwd=tmp_path)
    assert stock.returncode == 0, stock.stderr
    with open_video(tmp_path / "a.mkv") as ours, open_video(tmp_path / "b.mkv") as theirs:
        a, b = (reader.frames(range(12)).float() for reader in (ours, theirs))
        assert ours.fps == theirs.fps == 25
    assert a.shape == b.shape == (12, 96, 128, 3) and (a - b).abs().max() <= 3  # each was compressed


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_it_has(finished: tuple[Path, Run], film: Path, tmp_path: Path, signum: int):
    long = write_steps(tmp_path / "long.mp4", 500, size=(120, 160))
    out, video, said = tmp_path / "a.jsonl", tmp_path / "a.mp4", tmp_path / "said"
    process = forked.start(
        *("stream", str(finished[0]), str(long), "--pace", "real", "-o", str(out), "--video", str(video)),
        cwd=tmp_path,
        environment=clean_environment(tmp_path),
        printed=(said, said),
    )
    while not (out.exists() and out.read_text().count("label") > 2):
        assert process.is_alive(), said.read_text()
        time.sleep(0.05)
    os.kill(process.pid, signum)
    process.join(60)
    assert process.exitcode == (130 if signum == signal.SIGINT else 143), said.read_text()
    *_, ended = lines_of(out.read_text())
    assert ended["reason"] == "interrupted" and 12 <= ended["processed"] == ended["captured"] < 500
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == ended["processed"]
    assert "interrupted: " in said.read_text()


@pytest.mark.slow
def test_pictures_go_to_stdout_and_to_a_player(finished: tuple[Path, Run], film: Path, tmp_path: Path):
    """The player is a program of that name that keeps what it is given, all of it before it ends."""
    player = tmp_path / "ffplay"
    player.write_text(f"#!/bin/sh\ntrap '' TERM\ncat > {tmp_path}/shown.mkv\n")
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    words = ("stream", str(finished[0]), str(film), "-o", str(tmp_path / "a.jsonl"), "--show")
    refused = videxp(*words, cwd=tmp_path, PATH=str(tmp_path / "none"))
    assert refused.returncode == 2 and "ffplay is not installed" in refused.stderr
    out, said = tmp_path / "out.mkv", tmp_path / "said"
    process = forked.start(
        *(*words, "--video", "-"),
        cwd=tmp_path,
        environment={**clean_environment(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        printed=(out, said),
    )
    process.join(60)
    assert process.exitcode == 0, said.read_text()
    for file in (out, tmp_path / "shown.mkv"):
        with av.open(str(file)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 40


@pytest.mark.slow
def test_what_cannot_be_is_refused_before_anything_is_opened(
    finished: tuple[Path, Run], film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = str(finished[0])
    for words, cause in {
        (run, "no.mp4"): "no.mp4: no such video file, camera",
        (run, "gopher://ann:Ottokar77@host/"): "gopher://host/: gopher:// is not supported",
        (run, str(film), "-o", str(film)): "is the input itself",
        (run, str(film), "--video", "a.avi"): "a.avi: .avi does not keep the times of frames",
        (run, str(film), "--video", "-"): "-o ANSWERS.jsonl puts them elsewhere",
        (run, str(film), "--to", "http://host/a"): "http:// is not supported: one of rtsp://",
        (run, str(film), "--policy", "drop"): "add --pace real",
        (run, str(film), "--option", "a=b"): "leave it out",
        (run, "rtsp://host/a", "--option", "framerate"): "takes KEY=VALUE",
        (run, "rtsp://host/a", "--pace", "real"): "leave --pace out",
        (run, str(film), "--hop", "0"): "of at least 1",
        ("--hop", run): "the run folder comes first",
    }.items():
        assert cli.main(["stream", *words]) == 2, words
        said = capsys.readouterr()
        assert said.out == "" and cause in said.err and said.err.count("\n") <= 3 and "Ottokar77" not in said.err
        assert not (tmp_path / "a.avi").exists()


@pytest.mark.slow
def test_what_cannot_be_opened_ends_with_one_and_later_answers_than_allowed_with_two(
    finished: tuple[Path, Run], film: Path, tmp_path: Path
):
    address = "rtsp://ann:Ottokar77@127.0.0.1:9/cam"
    words = ("-o", "new/a.jsonl", "--video", "a.mp4", "--timeout", "3")
    done = videxp("stream", str(finished[0]), address, *words, cwd=tmp_path)
    assert done.returncode == 1 and "Ottokar77" not in done.stdout + done.stderr
    assert done.stderr.endswith("videxp: rtsp://127.0.0.1:9/cam: Connection refused\n")
    assert list(tmp_path.iterdir()) == []  # the same command with the right address is not refused
    done = videxp("stream", str(finished[0]), str(film), "--max-latency", "2", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert "--max-latency 2: windows of 4 frames: an answer may come 3 frames after its own\n" in done.stderr
