"""The benchmark runs from a checkout and says what it compares."""

from pathlib import Path

import pytest

from tests.test_benchmarks import benchmark


@pytest.mark.slow
def test_it_compares_the_ring_with_a_dataloader(tmp_path: Path) -> None:
    tiny = "--shapes 8x112 --batch-size 2 --workers 1 --rounds 1 --megabytes 1"
    *_, header, main, workers, clips = benchmark(f"transport.py {tiny}", cwd=tmp_path).splitlines()
    assert header.split() == ["per", "clip", "(median)", "ring", "DataLoader", "ratio", "(range)"]
    assert [line.split(",")[1].split()[0] for line in (main, workers, clips)] == ["main", "workers", "clips/s"]
    assert float(clips.split()[2]) > 0
