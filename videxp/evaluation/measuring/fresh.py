"""First call and peak memory of a network, in a process of its own: memory that a process has had once stays counted,
and what a first call makes is made once."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from videxp import config
from videxp.core.errors import VidexpError
from videxp.core.memory import peak_bytes
from videxp.core.own_packages import find_own_packages
from videxp.core.processes import program
from videxp.core.timing import time_call

PROGRAM = program(
    "from videxp.core.deferred import defer_torchmetrics\ndefer_torchmetrics()\n"  # as the command line does
    f"from {__name__} import main\nmain(sys.argv[1])"
)
CALLS = 3  # of which the first is timed; the peak is over all


@dataclass(frozen=True)
class FreshRequest:
    """For the other process."""

    checkpoint: str
    clip: str
    """File of what the network is called with."""
    device: str
    precision: str
    threads: int


@dataclass(frozen=True)
class Fresh:
    """What a new process needs for one clip."""

    first_call_ms: float
    peak_bytes: int
    """On a GPU of its tensors; on the CPU of the whole process, libraries and all."""
    before_bytes: int
    """The peak before the first call: libraries and weights."""


def measure_fresh(
    cfg: DictConfig, checkpoint: Path, one: Mapping[str, Tensor], *, device: torch.device, precision: str
) -> Fresh:
    """one: a clip as the network gets it. Raises VidexpError where the process fails."""
    with tempfile.TemporaryDirectory(prefix="videxp-speed-") as folder:
        clip = Path(folder, "clip.pt")
        torch.save({name: value.cpu().clone() for name, value in one.items()}, clip)
        request = FreshRequest(str(checkpoint), str(clip), str(device), precision, torch.get_num_threads())
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(asdict(request))],
            input=config.with_secrets(cfg),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise VidexpError(f"the process that measures the first call and the memory failed: {last}")
    return Fresh(**json.loads(done.stdout.splitlines()[-1]))


def main(text: str) -> None:
    """In the other process: say what was found, as JSON. text: a `FreshRequest`; the config comes by standard input."""
    from pytorch_lightning import Trainer

    from videxp.evaluation.measuring.runner import Runner
    from videxp.tasks.building import load_task

    request = FreshRequest(**json.loads(text))
    torch.set_num_threads(request.threads)
    device = torch.device(request.device)
    with find_own_packages():
        task = load_task(config.load_resolved("/dev/stdin"), Path(request.checkpoint))
    hardware: dict[str, Any] = {
        "accelerator": "gpu" if device.type == "cuda" else device.type,
        "devices": [device.index or 0] if device.type == "cuda" else 1,
        "precision": request.precision,
    }
    trainer = Trainer(
        **hardware, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False
    )
    runner = Runner.of(task, trainer, device)
    one = {name: value.to(device) for name, value in torch.load(request.clip, weights_only=True).items()}
    before = peak_bytes(device)
    seconds = [time_call(lambda: runner.answer(one), finish=runner.finish).wall for _ in range(CALLS)]
    found = Fresh(first_call_ms=round(1e3 * seconds[0], 3), peak_bytes=peak_bytes(device), before_bytes=before)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
