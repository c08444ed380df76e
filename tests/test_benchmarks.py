"""The benchmarks run from a checkout, at a size that measures nothing."""

import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.films import copy_apart, moving_bar
from videxp.video import write_video

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def benchmark(command: str, *, cwd: Path) -> str:
    """What `python benchmarks/COMMAND` prints."""
    script, *options = command.split()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *options],
        cwd=cwd,
        env={**clean_environment(cwd), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_the_benchmarks_on_footage_run(tmp_path: Path):
    film = tmp_path / "film.mp4"
    write_video(film, moving_bar(width=340, height=256, num_frames=250), fps=25)
    for split, source, number in product(("train", "val"), ("bikes", "bigbuckbunny"), range(4)):
        place = tmp_path / "340x256" / split / ("a", "b")[number % 2] / f"{source}_{number}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        copy_apart(film, place, mark=str(place))  # instead of footage, which takes a minute to encode
    commands = {
        "scale.py --rows 100 200 --workers 1 --batches 2": "MiB last",
        "cache.py --cases 8x112 --settings medium-21 --rounds 1 --clips 2": "medium, crf 21",
    }
    if find_spec("cv2") is not None:  # the extra `bench`
        commands["clips.py --cases 8x112 --rounds 1 --clips 2 --batches 2 --caches medium"] = "pytorchvideo-style"
    for command, line in commands.items():
        assert line in benchmark(f"{command} --folder {tmp_path}", cwd=tmp_path)
