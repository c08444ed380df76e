"""Which checkpoint a run goes on from: the newest by what it holds, not by its name or date."""

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import torch

from videxp.core.files import replacing
from videxp.runs.folder import RunFolder
from videxp.runs.weights import refuse_damage

log = logging.getLogger("videxp")


@dataclass(frozen=True)
class Start:
    """Where a run goes on."""

    path: Path
    step: int
    """Batches done."""
    rows: int
    """Rows that metrics.csv had."""


def newest_checkpoint(run: RunFolder) -> Start | None:
    """The whole checkpoint with the most batches, or None; one that cannot be read is named in the log."""
    found = [start for path in (run.best, run.last) if path.exists() and (start := _read(path)) is not None]
    return max(found, key=lambda start: (start.step, start.path == run.last), default=None)


def restore_last(run: RunFolder, start: Start) -> Start:
    """Make last.ckpt the newest again, where a kill came between best.ckpt and last.ckpt, or last.ckpt is damaged."""
    if start.path != run.last:
        with replacing(run.last) as temporary:
            shutil.copyfile(start.path, temporary)
    return replace(start, path=run.last)


def _read(path: Path) -> Start | None:
    try:
        refuse_damage(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if content["accumulating"] or content["seen"]["batches"] == 0:
            return None  # no moment to go on from, or of a run that trains nothing
        return Start(path, content["seen"]["batches"], content["rows"])
    except (OSError, RuntimeError, KeyError, UnpicklingError) as error:
        log.warning(f"{path} cannot be used to go on: {' '.join(str(error).split())[:200]}")
        return None
