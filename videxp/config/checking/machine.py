"""What this machine has, told without torch (importing it takes seconds)."""

import os
import re
from pathlib import Path


def count_gpus() -> int:
    """NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible."""
    here = len(_subfolders(Path("/proc/driver/nvidia/gpus"))) or len(_device_files(Path("/dev")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return here
    number = 0
    for name in (part.strip() for part in visible.split(",")):
        # CUDA stops at the first device that is not there; names such as GPU-8f6... or MIG-... are taken as they are.
        if not name or name.startswith("-") or (name.isdigit() and int(name) >= here):
            break
        number += 1
    return number if here else 0


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _subfolders(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _device_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
