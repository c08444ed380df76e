"""The run folder: where its files are, and the run's state.

config.yaml overrides.yaml provenance.json data.jsonl.gz status.json metrics.csv log.txt evaluation.json predictions.csv
robustness.jsonl card.md checkpoints/{best,last}.ckpt samples/ wandb/ manifest.tsv.gz
"""

import json
import os
import shlex
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, Literal

from videxp.core.errors import BadRequest, system_words
from videxp.core.files import read_json, sweep, write_text
from videxp.core.lines import warn
from videxp.core.outputs import own_files, require_place
from videxp.core.secrets import scrubbed

State = Literal["running", "finished", "failed", "interrupted"]
"""What status.json says."""
# What status.json keeps besides: path -> cause of files left out; batches whose step was left out; split -> what its
# newest figures were computed on; what the training took by the computer's own counters.
NOTES = ("quarantined", "skipped_steps", "evaluated", "energy")
KINDS: dict[str, Any] = {
    **{"state": str, "started": str, "attempt_started": str, "seconds": int | float},
    **{"quarantined": dict, "skipped_steps": list, "evaluated": dict, "energy": dict},
}
"""What status.json holds."""


@dataclass(frozen=True)
class RunFolder:
    """A run folder by its path; nothing is read or made before a method is called."""

    path: Path
    unwritten: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Notes that found no room in status.json."""

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
    def state(self) -> Path:
        return self.path / "status.json"

    @property
    def data(self) -> Path:
        return self.path / "data.jsonl.gz"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.tsv.gz"

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
    def robustness(self) -> Path:
        """Figures under corruptions and attacks, a line for each as it came."""
        return self.path / "robustness.jsonl"

    @property
    def card(self) -> Path:
        """What the model is, for those who get it: `videxp record` writes it."""
        return self.path / "card.md"

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
        """Make the folder; an existing run, and files that a run would replace, are never written over.

        Half of a plan that a kill left, without config.yaml, is no run yet: it is planned anew.
        """
        other = "give another hydra.run.dir, or none"
        require_place(self.config, option="hydra.run.dir:")
        if self.config.exists():
            raise BadRequest(f"{self.path} holds a run already: {other}")
        there = [name for name in own_files(self.path) if name != "wandb"]
        if self.is_planned and set(there) <= {self.provenance.name, self.overrides.name}:
            self.discard()
        elif there:
            raise BadRequest(f"{self.path} holds {there[0]} already, which a run writes: {other}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequest(f"{self.path}: no run folder can be made there: {error.strerror}: {other}") from None
        return self

    def plan(self, *, command: str, recipe: str) -> None:
        """Write down that the run is queued: with config.yaml and this, `videxp resume` does the same as `command`."""
        write_json(self.provenance, {"command": command, "recipe": recipe, "state": "queued"})

    @property
    def is_planned(self) -> bool:
        """Whether it is queued, or has begun and trained nothing yet: training writes provenance.json anew."""
        return self.known_provenance().get("state") == "queued"

    @property
    def recipe(self) -> str:
        """Name of the recipe that it was started with, `classification/moving_digits`; "" if unknown."""
        return str(self.known_provenance().get("recipe") or "")

    def known_provenance(self) -> dict[str, Any]:
        """Content of provenance.json; empty where there is none or none that can be read."""
        try:
            record = read_json(self.provenance)
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def claim(self) -> IO[str]:
        """Hold the folder until the returned file is closed or the process ends, however it ends.

        Raises BadRequest where another process holds it.
        """
        file = (self.path / ".lock").open("w")
        try:
            import fcntl  # not on Windows

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a lock that forked data workers do not inherit
        except (BlockingIOError, PermissionError) as error:
            raise BadRequest(f"{self.path} is in use: another process is training there") from error
        except (ImportError, OSError):
            pass  # no locks here
        return file

    def is_held(self) -> bool:
        """Whether another process has claimed it."""
        if not (self.path / ".lock").exists():
            return False
        try:
            self.claim().close()
        except BadRequest:
            return True
        return False

    def discard(self) -> None:
        """Remove the folder of a run that was refused before anything was made; folders that hold more stay."""
        for path in (self.config, self.overrides, self.provenance, self.state, self.path / ".lock"):
            path.unlink(missing_ok=True)
        parents = [] if self.path.is_absolute() else list(self.path.parents)[:-1]
        for folder in (self.path, *parents):
            try:
                folder.rmdir()
            except OSError:
                return

    def sweep(self) -> None:
        """Remove halves of files that a kill left."""
        for path in (self.best, self.last, self.metrics, self.config, self.overrides, self.provenance, self.state):
            sweep(path)

    def set_state(self, state: State, *, cause: str | None = None) -> None:
        status = {"state": state, "time": _iso(_now()), **self._times(state), **self._notes()}
        if cause is not None:
            status["cause"] = scrubbed(cause)
        write_json(self.state, status)

    def note(self, **facts: Any) -> None:
        """Keep a fact of `NOTES` in status.json, at once, whatever state follows; an empty one is taken out.

        Where it cannot be written, that is said, and it is kept until it can: no run ends for want of a note.
        """
        self.unwritten.update(facts)
        status = self._status_if_any() | self.unwritten
        try:
            write_json(self.state, {key: value for key, value in status.items() if value or key not in NOTES})
        except OSError as error:  # a full disk
            warn(f"{', '.join(facts)} could not be noted: {system_words(error) or error}")
        else:
            self.unwritten.clear()

    def _notes(self) -> dict[str, Any]:
        noted = self._status_if_any() | self.unwritten
        return {key: value for key, value in noted.items() if value and key in NOTES}

    def _status_if_any(self) -> dict[str, Any]:
        try:
            return self.status()
        except (OSError, ValueError):
            return {}

    def _times(self, state: State) -> dict[str, Any]:
        """When the run and its newest attempt began, and the seconds of all attempts, without the pauses between."""
        before = self._status_if_any()
        going = before.get("state") == "running"
        # An attempt that was killed left no end: its last row is the latest that is known.
        end = _modified(self.metrics) if state == "running" else _now()
        seconds = before.get("seconds", 0.0) + (seconds_since(before, end) if going else 0.0)
        new = state == "running" or "attempt_started" not in before
        return {
            "started": before.get("started", _iso(_now())),
            "attempt_started": _iso(_now()) if new else before["attempt_started"],
            "seconds": round(seconds, 1),
        }

    def status(self) -> dict[str, Any]:
        """Raises OSError where there is no file that can be read, ValueError where it is damaged."""
        status = read_json(self.state)
        if not isinstance(status, dict) or not all(
            isinstance(status[key], kind) for key, kind in KINDS.items() if key in status
        ):
            raise ValueError("it does not hold what a run writes there")
        if "attempt_started" in status and datetime.fromisoformat(status["attempt_started"]).tzinfo is None:
            raise ValueError("its times have no zone")
        return status

    def standing(self) -> "Standing":
        """State of the run, as far as its files tell."""
        try:
            status = self.status()
        except FileNotFoundError:
            return Standing("queued") if self.is_planned else Standing("broken", "no status.json")
        except (OSError, ValueError) as error:
            return Standing("broken", f"status.json cannot be read: {' '.join(str(error).split())[:200]}")
        if "state" not in status:
            return Standing("broken", 'status.json holds no "state"')
        return Standing(str(status["state"]), str(status.get("cause") or ""), status)

    def require_state(self) -> str:
        """`finished`, `failed`, ...: a kill before the first was written counts as a run that was interrupted.

        Raises BadRequest where the file is damaged, as after a power failure.
        """
        found = self.standing()
        if found.state != "broken":
            return found.state
        if not self.state.exists():
            return "interrupted"
        name = shlex.quote(str(self.state))
        raise BadRequest(
            f"{self.state}: damaged, so that it is not known whether the run has finished\n"
            f"Put it back, or take the run as interrupted: rm {name}; videxp resume {shlex.quote(str(self.path))}"
        )

    def checkpoint(self) -> Path:
        """The best checkpoint, or the last one where no metric was monitored."""
        for path in (self.best, self.last):
            if path.exists():
                return path
        raise BadRequest(f"{self.path} has no checkpoint: neither checkpoints/best.ckpt nor checkpoints/last.ckpt")


@dataclass(frozen=True)
class Standing:
    """State of a run: derived here alone, from status.json and provenance.json."""

    state: str
    """running, finished, failed, interrupted; queued, where a run is planned and nobody has begun it; or broken, where
    status.json is missing or damaged."""
    trouble: str = ""
    """Why it failed, or is broken."""
    status: dict[str, Any] = field(default_factory=dict, repr=False)
    """Content of status.json; empty where it is queued or broken."""


def seconds_since(status: dict[str, Any], end: datetime | None) -> float:
    """From the start of the newest attempt to `end`; 0 where either is unknown."""
    if end is None or "attempt_started" not in status:
        return 0.0
    return max(0.0, (end - datetime.fromisoformat(status["attempt_started"])).total_seconds())


def seconds_now(run: RunFolder) -> float:
    """How long the newest attempt has been going on; 0 where none has begun."""
    found = run.standing()
    return seconds_since(found.status, _now()) if found.state == "running" else 0.0


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _modified(path: Path) -> datetime | None:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc) if path.exists() else None


def open_run(path: str) -> RunFolder:
    """An existing run folder, as RUN is given on the command line. Raises BadRequest where there is none."""
    run = RunFolder(Path(path))
    if not os.path.isfile(run.config):  # False for a name that is too long, too
        is_file = os.path.isfile(path)
        why = "it is a file" if is_file else "it has no config.yaml (runs are made by videxp train)"
        raise BadRequest(f"{path} is not a run folder: {why}")
    return run


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, in one go."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
