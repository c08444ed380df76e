"""Peak memory of this process."""

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_resident_bytes(status: Path = STATUS) -> int:
    """The most memory that this process has held since its program began; 0 if unknown. It never falls.

    Not `getrusage`, where Linux tells: a program that another one starts inherits the high-water mark of that one.
    """
    try:
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        import resource  # not on Windows
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
