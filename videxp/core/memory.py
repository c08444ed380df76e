"""Memory: the peak of this process, and what Linux tells of it and of the machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STATUS, MEMINFO = Path("/proc/self/status"), Path("/proc/meminfo")


def peak_bytes(device: "torch.device") -> int:
    """Since the process began: of tensors on a GPU; on the CPU of the whole process, libraries and all, but
    not its workers. 0 if unknown."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    return peak_resident_bytes()


def peak_resident_bytes(status: Path = STATUS) -> int:
    """The most memory that this process has held since its program began; 0 if unknown. It never falls.

    Not `getrusage`, where Linux tells: a program that another one starts inherits the high-water mark of that one.
    """
    if (told := read_bytes(status, "VmHWM")) is not None:
        return told
    try:
        import resource  # not on Windows
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def read_bytes(file: Path, name: str) -> int | None:
    """Of a file of Linux's /proc what its line `NAME:   2048 kB` says, in bytes; None without such a file or line."""
    try:
        line = next(line for line in file.read_text().splitlines() if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024
