"""What other users of a machine see of this process's command line."""

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path

ARGUMENTS_START, ARGUMENTS_END = 47, 48  # of /proc/PID/stat, counted from 0: see proc(5)


def hide_arguments(secrets: Iterable[str]) -> None:
    """Overwrites the secrets where `ps` reads this process's arguments. Linux only; elsewhere nothing happens."""
    hidden = [secret.encode(errors="surrogateescape") for secret in secrets if secret]
    if not hidden or not sys.platform.startswith("linux"):
        return
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()  # the name may hold spaces
        start, end = (int(after_name[field - 2]) for field in (ARGUMENTS_START, ARGUMENTS_END))
    except (OSError, IndexError, ValueError):
        return
    if not 0 < start < end:  # the kernel does not tell
        return
    arguments = ctypes.string_at(start, end - start)
    for secret in hidden:
        place = arguments.find(secret)
        while place >= 0:
            ctypes.memset(start + place, ord("*"), len(secret))
            place = arguments.find(secret, place + len(secret))
