"""Energy that a run's training took, in its status.json: of rank 0's machine, by the counters that it has.

Of attempts that were killed nothing is known; `attempts` says of how many it is the sum.
"""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from videxp.core.energy import POWERCAP, EnergyMeter, find_counters
from videxp.runs.folder import RunFolder


class RecordEnergy(Callback):
    """Joules by counter, training and validation together; or why there are none."""

    def __init__(self, run: RunFolder, *, powercap: Path = POWERCAP) -> None:
        self.run = run
        self.powercap = powercap
        self.meter: EnergyMeter | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            gpus = trainer.device_ids if trainer.strategy.root_device.type == "cuda" else []
            self.meter = EnergyMeter(find_counters(gpus, powercap=self.powercap)).__enter__()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._finish()

    def _finish(self) -> None:
        if self.meter is None:
            return
        found, meter = self.meter.read(), self.meter
        self.meter = None
        meter.__exit__()
        try:
            before: dict[str, Any] = self.run.status().get("energy", {})
        except (OSError, ValueError):
            before = {}
        joules = dict(before.get("joules", {}))
        for name, value in found.joules.items():
            joules[name] = round(joules.get(name, 0.0) + value, 3)
        attempts = {"joules": joules, "attempts": before.get("attempts", 0) + 1} if joules else {}
        self.run.note(energy={**attempts, **({"not_measured": found.why_not} if found.why_not else {})})
