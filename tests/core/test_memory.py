"""Peak memory of a process, of its own program alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from videxp.core.memory import peak_resident_bytes

MIB = 2**20
PROGRAM = """
import sys
sys.path[:0] = [sys.argv[1]]
from videxp.core.memory import peak_resident_bytes
before = peak_resident_bytes()
held = b"1" * 64 * 2**20
between = peak_resident_bytes()
del held
print(before, between, peak_resident_bytes())
"""


def test_the_peak_is_of_this_process_alone_and_never_falls() -> None:
    """What started it holds 256 MiB: with `getrusage`, a program may inherit the high-water mark of that."""
    held = b"1" * 256 * MIB
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", PROGRAM, root], capture_output=True, text=True, check=True)
    before, between, after = map(int, done.stdout.split())
    assert len(held) == 256 * MIB
    assert before < 100 * MIB
    assert 60 * MIB < between - before < 80 * MIB
    assert after > between - MIB


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage there: that 0 is told instead is not checked")
def test_where_the_system_does_not_tell_it_is_asked_otherwise(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n")
    assert peak_resident_bytes(status) == 2 * MIB
    assert peak_resident_bytes(tmp_path / "none") > 10 * MIB
