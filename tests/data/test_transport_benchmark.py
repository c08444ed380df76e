"""The benchmark runs from a checkout and says what it compares."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "transport.py"


@pytest.mark.slow
def test_it_compares_the_ring_with_a_dataloader() -> None:
    tiny = ["--shapes", "8x112", "--batch-size", "2", "--workers", "1", "--rounds", "1", "--megabytes", "1"]
    result = subprocess.run([sys.executable, SCRIPT, *tiny], capture_output=True, text=True, check=True, timeout=120)
    *_, header, main, workers, clips = result.stdout.splitlines()
    assert header.split() == ["per", "clip", "(median)", "ring", "DataLoader", "ratio", "(range)"]
    assert [line.split(",")[1].split()[0] for line in (main, workers, clips)] == ["main", "workers", "clips/s"]
    assert float(clips.split()[2]) > 0
