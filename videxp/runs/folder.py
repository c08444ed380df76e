"""Where a run's files are, and its state.

config.yaml overrides.yaml provenance.json data.jsonl.gz status.json metrics.csv log.txt evaluation.json predictions.csv
checkpoints/{best,last}.ckpt samples/ wandb/
"""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from videxp.errors import BadRequest
from videxp.files import write_text
from videxp.secret_values import scrubbed

State = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class RunFolder:
    """A run folder by its path; nothing is read or made before a method is called."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def overrides(self) -> Path:
        return self.path / "overrides.yaml"

    @property
    def provenance(self) -> Path:
        return self.path / "provenance.json"

    @property
    def data(self) -> Path:
        return self.path / "data.jsonl.gz"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.csv"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    def create(self) -> "RunFolder":
        """Make the folder; an existing run is never written over."""
        if self.config.exists():
            raise BadRequest(f"{self.path} holds a run already: give another hydra.run.dir, or none")
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def set_state(self, state: State, *, cause: str | None = None) -> None:
        status = {"state": state, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        if cause is not None:
            status["cause"] = scrubbed(cause)
        write_json(self.path / "status.json", status)

    def status(self) -> dict[str, Any]:
        return json.loads((self.path / "status.json").read_text())

    def checkpoint(self) -> Path:
        """The best checkpoint, or the last one where no metric was monitored."""
        for path in (self.best, self.last):
            if path.exists():
                return path
        raise BadRequest(f"{self.path} has no checkpoint: neither checkpoints/best.ckpt nor checkpoints/last.ckpt")


def open_run(path: str) -> RunFolder:
    """An existing run folder, as RUN is given on the command line."""
    run = RunFolder(Path(path))
    if not run.config.is_file():
        raise BadRequest(f"{path} is not a run folder: it has no config.yaml (runs are made by videxp train)")
    return run


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
