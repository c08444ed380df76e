"""A streaming network's step in a file, from the command line: it streams as its run does, if it is who it says."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import train, videxp
from tests.runs.test_signing import put_keys  # skips these tests, too, where cryptography is not installed
from videxp.deploy.exporting.opening import open_exported
from videxp.video import write_video

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(workplace: Path) -> Path:
    words = ("logger=csv", "trainer.max_epochs=1")
    return train(*words, recipe="classification/moving_digits_stream", cwd=workplace, run="runs/streaming")


@pytest.fixture(scope="module")
def keys(workplace: Path) -> tuple[Path, Path]:
    return put_keys(workplace, "mine")


@pytest.fixture(scope="module")
def file(run: Path, keys: tuple[Path, Path], workplace: Path) -> Path:
    words = ["--format", "torch", "--step", "-o", "step.pt2", "--clips", "2", "--sign", str(keys[0])]
    done = videxp("export", str(run), *words, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "takes clip uint8 [batch, 1, height, width, 3]" in done.stdout
    assert "a step: it takes state_0 to state_" in done.stdout and "zeros to begin with" in done.stdout
    assert "2 test clips, and one of them at 2 other sizes, beside the run" in done.stdout
    return workplace / "step.pt2"


def test_a_step_streams_and_is_tested_as_its_run_is(run: Path, file: Path, keys: tuple[Path, Path], workplace: Path):
    package = open_exported(file).package
    assert package.state and all(one.shape[0] == "batch" for one in package.state) and package.parity["clips"] == 2
    before, after = package.parity["metrics"]["test/loss"]
    assert after == pytest.approx(before, abs=1e-4)

    frames = np.random.default_rng(0).integers(0, 255, (9, 48, 64, 3), np.uint8)
    write_video(film := workplace / "film.mp4", frames, fps=25)
    told = []
    for source in (str(file), str(run)):
        signed = ["--verify", str(keys[1])] if source == str(file) else []
        done = videxp("stream", source, str(film), *signed, cwd=workplace)
        assert done.returncode == 0, done.stderr
        told.append([json.loads(line) for line in done.stdout.splitlines()])
    assert [lines[0]["mode"] for lines in told] == ["frame by frame"] * 2
    for ours, theirs in zip(*([line for line in lines if "label" in line] for lines in told), strict=True):
        assert ours["frame"] == theirs["frame"]
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=2e-6)
    assert len([line for line in told[0] if "label" in line]) == 9


def test_a_network_of_whole_clips_is_not_exported_as_a_step(finished: tuple[Path, object], workplace: Path):
    done = videxp("export", str(finished[0]), "--format", "torch", "--step", "-o", "no.pt2", cwd=workplace)
    assert done.returncode == 2 and "takes whole clips, not a frame and a state: leave --step out" in done.stderr
    assert not (workplace / "no.pt2").exists()


@pytest.mark.parametrize("command", ["predict", "evaluate", "stream", "serve"])
def test_what_is_not_as_it_was_signed_is_not_opened(
    command: str, file: Path, keys: tuple[Path, Path], tmp_path: Path, workplace: Path
):
    _, other = put_keys(tmp_path, "other")
    words = ["film.mp4"] if command in ("predict", "stream") else []
    changed = tmp_path / file.name
    changed.write_bytes(file.read_bytes()[:-1] + b"x")
    for beside in (f"{file.name}.sig.json", f"{file.name}.card.md"):
        (tmp_path / beside).write_bytes(file.with_name(beside).read_bytes())
    cases = [
        (file, other, "step.pt2.sig.json: signed by another key"),
        (changed, keys[1], "step.pt2: is not as it was signed"),
        (tmp_path / "none.onnx", keys[1], "none.onnx.sig.json: there is no signature"),
    ]
    for path, key, said in cases:
        done = videxp(command, str(path), *words, "--verify", str(key), cwd=workplace)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
