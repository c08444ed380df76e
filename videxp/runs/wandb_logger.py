"""Weights & Biases through its real client: online with an API key, offline without one, never a prompt."""

import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from videxp.runs.metrics_file import AXES

VIDEO_SUFFIXES = {".mp4", ".gif", ".webm"}


def wandb_mode() -> str:
    """WANDB_MODE where it is set; else "online" if a key is known to the client, "offline" if not."""
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    has_key = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or _netrc_has_key()
    return "online" if has_key else "offline"


def _netrc_has_key() -> bool:
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class WandbRun(Logger):
    """One W&B run. Rows keep videxp's axes: `step` (batches) is the x-axis, `epoch` and `clips_seen` can be chosen.

    The record of a run is metrics.csv; W&B is a sink: W&B's own `_step` is the number of the row. A resumed run has the
    id that it had, and hands over metrics.csv's rows again. Online the client drops those that the server has, so what
    a kill took on its way is filled in; offline the new folder holds the whole run, and the older ones are put aside.
    """

    def __init__(self, *, save_dir: str, project: str, entity: str | None = None) -> None:
        super().__init__()
        self.folder = Path(save_dir)
        self.project = project
        self.entity = entity
        self.mode = wandb_mode()
        self._run: Any = None
        self._id: str | None = None
        self._rows: list[dict[str, float]] = []
        self._count = 0

    @property
    def name(self) -> str:
        return self.project

    @property
    def version(self) -> str | None:
        return self._run.id if self._run is not None else None

    @property
    def save_dir(self) -> str:
        return str(self.folder)

    @property
    def sync_command(self) -> str | None:
        """The command that uploads an offline run; None where the run is online already."""
        if self._run is None or self.mode != "offline":
            return None
        return f"wandb sync {Path(self._run.dir).parent}"

    def go_on(self, run_id: str, *, rows: list[dict[str, float]]) -> None:
        """Called before `start` where a run is resumed: its id, and the rows that it has logged."""
        self._id, self._rows = run_id, rows

    @rank_zero_only
    def start(self, *, config: dict[str, Any], group: str | None, tags: list[str], notes: str | None) -> None:
        import wandb

        self._put_older_aside()
        self._run = wandb.init(
            dir=self.folder,
            id=self._id,
            resume="allow" if self._id and self.mode == "online" else None,
            project=self.project,
            entity=self.entity,
            name="/".join(self.folder.parts[-3:]),
            group=group,
            tags=tags,
            notes=notes,
            config=config,
            mode=self.mode,  # type: ignore[arg-type]
            # Code and its state are in provenance.json, without secrets; W&B would save a diff as it is.
            settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        for row in self._rows:
            self._log({name: int(value) if name in AXES else value for name, value in row.items()})

    def _put_older_aside(self) -> None:
        """A later `wandb sync` would upload an older attempt over the newer one: they are the same run."""
        for older in self.folder.glob(f"wandb/*run-*-{self._id}") if self._id else ():
            if older.name.startswith(("run-", "offline-run-")):
                older.rename(older.with_name("superseded-" + older.name))

    def _log(self, values: dict[str, Any]) -> None:
        self._run.log(values, step=self._count)
        self._count += 1

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The whole configuration is handed over by `start`."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._run is not None:
            self._log({"step": step, **metrics})

    @rank_zero_only
    def log_files(self, files: dict[str, Path], *, step: int) -> None:
        """Pictures and videos under their log names, by path: wandb would encode a tensor itself, with dependencies and
        hangs of its own."""
        import wandb

        if self._run is None:
            return
        media = {
            name: wandb.Video(str(path), format=path.suffix[1:])
            if path.suffix in VIDEO_SUFFIXES
            else wandb.Image(str(path))
            for name, path in files.items()
        }
        self._log({"step": step, **media})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """The run stays open until `finish`: a test follows the training."""

    @rank_zero_only
    def finish(self, *, summary: dict[str, float], exit_code: int) -> None:
        if self._run is not None:
            self._run.summary.update(summary)
            self._run.finish(exit_code=exit_code)
