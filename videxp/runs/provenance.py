"""provenance.json: what a run was made from, so that somebody else can get the same number."""

import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from videxp.randomness import RANDOM_SCHEME


def code_state(folder: Path) -> dict[str, Any] | None:
    """Git commit, uncommitted diff and untracked source files of `folder`; None outside a repository."""

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
        return result.stdout

    try:
        root = Path(git("rev-parse", "--show-toplevel").strip())
        commit = git("rev-parse", "HEAD").strip()
        untracked = git("ls-files", "--others", "--exclude-standard", "--full-name", ":/").split("\n")
        sources = [name for name in untracked if name.endswith((".py", ".yaml", ".toml"))]
        return {
            "commit": commit,
            "diff": git("diff", "HEAD"),
            "untracked": {name: (root / name).read_text(errors="replace") for name in sources},
        }
    except (OSError, subprocess.CalledProcessError):
        return None


def environment() -> dict[str, Any]:
    """Versions and machine; imports torch."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cpu_count": os.cpu_count(),
        "gpus": gpus,
        "cuda": torch.version.cuda,
        "torch_threads": torch.get_num_threads(),
        "torch_flags": {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        },
        "packages": dict(sorted((d.metadata["Name"], d.version) for d in distributions() if d.metadata["Name"])),
    }


def provenance(*, command: str, config_hash: str, seed: int, world_size: int, data: dict[str, Any]) -> dict[str, Any]:
    """Everything that is known when training starts."""
    return {
        "command": command,
        "config_hash": config_hash,
        "seed": seed,
        "random_scheme": RANDOM_SCHEME,
        "world_size": world_size,
        "data": data,
        "code": code_state(Path.cwd()),
        **environment(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
