"""The benchmarks of loop and start-up run from a checkout, at a size that measures nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("loop.py --rounds 1 --block 1 --only trivial", "weights of videxp and by hand: the same, bit by bit"),
        ("startup.py --rounds 1 --only commands", "videxp --help"),
    ],
)
def test_a_benchmark_runs(command: str, line: str, tmp_path: Path):
    script, *options = command.split()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *options],
        cwd=tmp_path,
        env={**clean_environment(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert line in done.stdout
