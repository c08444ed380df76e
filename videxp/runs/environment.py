"""The machine and the libraries of a run: what can change a result though code and data are the same."""

import os
import platform
import re
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from videxp.core.secrets import scrubbed
from videxp.video.versions import decoder_versions

# Variables that change numbers or devices.
VARIABLES = (
    *(
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_CBWR",
        "ATEN_CPU_CAPABILITY",
        "DNNL_MAX_CPU_ISA",
    ),
    *(
        "ONEDNN_MAX_CPU_ISA",
        "CUDA_VISIBLE_DEVICES",
        "CUBLAS_WORKSPACE_CONFIG",
        "NVIDIA_TF32_OVERRIDE",
        "PYTHONHASHSEED",
    ),
    *("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCHINDUCTOR_FREEZING"),
)


def environment() -> dict[str, Any]:
    """Versions, machine, torch's flags and threads; imports torch."""
    import torch

    cudnn = torch.backends.cudnn
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "cudnn": cudnn.version() if torch.cuda.is_available() else None,
        "torch_threads": torch.get_num_threads(),
        "torch_interop_threads": torch.get_num_interop_threads(),
        "torch_flags": {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "cudnn_benchmark": cudnn.benchmark,
            "cudnn_deterministic": cudnn.deterministic,
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "mkldnn": torch.backends.mkldnn.is_available(),
        },
        "variables": {name: scrubbed(os.environ[name]) for name in VARIABLES if name in os.environ},
        "decoders": decoder_versions(),
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """Name -> version of everything that can be imported; the first on the path counts."""
    found: dict[str, str] = {}
    for distribution in distributions():
        # `distribution.metadata` would parse all of it as an e-mail: half a second for 150 packages.
        head = (distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "").partition("\n\n")[0]
        if name := re.search(r"^Name: *(.+)$", head, re.MULTILINE):
            version = re.search(r"^Version: *(.+)$", head, re.MULTILINE)
            found.setdefault(name[1].strip(), version[1].strip() if version else "")
    return dict(sorted(found.items()))


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or sys.platform
