"""Weights & Biases through its real client: online with an API key, offline without one, never a prompt.

A server that refuses, hangs, answers 500 or dies costs a run a few seconds at its start and at its end, one line, and
nothing else.
"""

import contextlib
import io
import netrc
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from videxp.core.errors import VidexpError
from videxp.core.limits import Ge
from videxp.core.lines import warn
from videxp.training.loggers.metrics_file import AXES
from videxp.training.loggers.wandb_environment import overruled, replace_unusable_folders

VIDEO_SUFFIXES = {".mp4", ".gif", ".webm"}
ANSWER_SECONDS = 3  # wandb.init would wait for 90, and not cleanly end afterwards
INIT_SECONDS = 6
LONGEST_NAME = 128


def wandb_mode() -> str:
    """WANDB_MODE where it is set; else "online" if a key is known to the client, "offline" if not."""
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    has_key = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or _netrc_has_key()
    return "online" if has_key else "offline"


def server_url() -> str:
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").rstrip("/")


def _netrc_has_key() -> bool:
    host = urlsplit(server_url()).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def unanswered(url: str) -> str | None:
    """Why W&B at `url` cannot be used now; None where it answers, whatever it says."""
    try:
        with urllib.request.urlopen(f"{url}/graphql", data=b"{}", timeout=ANSWER_SECONDS):
            return None
    except urllib.error.HTTPError as error:  # it wants a key, or a better question
        return f"HTTP {error.code}" if error.code >= 500 else None
    except (OSError, ValueError) as error:  # a ValueError: no such scheme
        reason = getattr(error, "reason", error)
        return (
            None if isinstance(reason, ssl.SSLError) else " ".join(str(reason).split())
        )  # its client knows more of TLS


def short_name(folder: Path) -> str:
    """The end of a run folder's path, at most 128 characters, of which W&B takes no more."""
    name = "/".join(folder.parts[-3:])
    return name if len(name) <= LONGEST_NAME else "..." + name[3 - LONGEST_NAME :]


class WandbRun(Logger):
    """One W&B run. Rows keep videxp's axes: `step` (batches) is the x-axis, `epoch` and `clips_seen` can be chosen.

    The record of a run is metrics.csv; W&B is a sink: W&B's own `_step` is the number of the row. A resumed run has the
    id that it had, and hands over metrics.csv's rows again. Online those that the server has are left out (the client
    would drop each with a warning), so what a kill took on its way is filled in; offline the new folder holds the whole
    run, and the older ones are put aside.
    """

    def __init__(
        self, *, save_dir: str, project: str, entity: str | None = None, finish_seconds: Annotated[int, Ge(1)] = 8
    ) -> None:
        """finish_seconds: how long the end of a run waits for uploads; the rest is left to `wandb sync`."""
        super().__init__()
        self.finish_seconds = finish_seconds
        self.unsent = False
        self.folder = Path(save_dir)
        self.project = project
        self.entity = entity
        self.mode = wandb_mode()
        self._run: Any = None
        self._id: str | None = None
        self._rows: list[dict[str, float]] | None = []
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
        """The command that uploads what the server does not have; None where it has it."""
        if self._run is None or (self.mode != "offline" and not self.unsent):
            return None
        return f"wandb sync {Path(self._run.dir).parent}"

    def go_on(self, run_id: str | None, *, rows: list[dict[str, float]] | None) -> None:
        """Called before `start` where a run is resumed: its id (None: not known), and the rows that it has logged
        (None: what comes is added to whatever the server has)."""
        self._id, self._rows = run_id, rows

    @rank_zero_only
    def start(
        self,
        *,
        config: dict[str, Any],
        group: str | None,
        tags: list[str],
        notes: str | None,
        job_type: str | None = None,
    ) -> None:
        """job_type: what W&B tells apart runs of one group by; None: a training."""
        import wandb

        if self.mode != "disabled":
            self._put_older_aside()
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # reports that wait for a server that is not there
        if self.mode == "online" and (reason := unanswered(server_url())) is not None:
            self._go_offline(reason)
        of_config = {"run.group": group, "run.tags": tags, "run.notes": notes}
        of_config |= {"logger.wandb.project": self.project, "logger.wandb.entity": self.entity}
        for line in [*overruled(of_config), *replace_unusable_folders(self.folder)]:
            warn(line)
        named: dict[str, Any] = {"group": group, "tags": tags, "notes": notes, "config": config, "job_type": job_type}
        try:
            self._run = self._init(**named)
        except (wandb.errors.Error, OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            if self.mode != "online":
                raise VidexpError(f"W&B cannot log this run: {reason}\nWithout W&B: logger=csv") from error
            self._go_offline(reason)
            self._run = self._init(**named)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        if self._rows is None:
            self._count = self._run.starting_step
        for row in self._rows or ():
            self._log({name: int(value) if name in AXES else value for name, value in row.items()})

    def _go_offline(self, reason: str) -> None:
        self.mode = "offline"
        warn(f"W&B at {server_url()} does not answer ({reason}): this run is logged offline")

    def _init(self, **named: Any) -> Any:
        import wandb

        # Code and its state are in provenance.json, without secrets; W&B would save a diff as it is.
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, init_timeout=INIT_SECONDS
        )
        if hasattr(settings, "finish_timeout"):  # not in older versions of wandb
            settings.finish_timeout = self.finish_seconds
        words, sys.argv = sys.argv, sys.argv[:1]  # W&B keeps a command's words as they are, keys among them
        try:
            return self._opened(settings, **named)
        finally:
            sys.argv = words

    def _opened(self, settings: Any, *, tags: list[str], **named: Any) -> Any:
        import wandb

        return wandb.init(
            dir=self.folder,
            id=self._id,
            resume="allow" if self._id and self.mode == "online" else None,
            project=self.project,
            entity=self.entity,
            name=short_name(self.folder),
            tags=tags or None,  # else WANDB_TAGS would be overruled by nothing
            **named,
            mode=self.mode,  # type: ignore[arg-type]  # W&B types it as literals
            settings=settings,
        )

    def _put_older_aside(self) -> None:
        """A later `wandb sync` would upload an older attempt over the newer one: they are the same run."""
        for older in self.folder.glob(f"wandb/*run-*-{self._id}") if self._id else ():
            if older.name.startswith(("run-", "offline-run-")):  # W&B's names tell seconds: two attempts may share one
                aside = (older.with_name(f"superseded{number}-{older.name}") for number in ("", *range(2, 1000)))
                older.rename(next(path for path in aside if not path.exists()))

    def _log(self, values: dict[str, Any]) -> None:
        if self._count >= self._run.starting_step:  # the first that the server does not have
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
        if self._run is None:
            return
        said = io.StringIO()  # several lines, where ours is one
        with contextlib.redirect_stderr(said):
            self._run.summary.update(summary)
            self._run.finish(exit_code=exit_code)
        if "WARNING" in said.getvalue() or "ERROR" in said.getvalue():
            self.unsent = self.mode == "online"
        if self.unsent:
            warn(f"W&B did not take everything in {self.finish_seconds} s: {self.sync_command}")
