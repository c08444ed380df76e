"""What a run went without: files that could not be read, steps that were not finite. Told at once, kept, told again."""

import gzip
import logging
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer

from videxp.core.errors import BadRequest
from videxp.core.files import replacing
from videxp.core.lines import note, warn
from videxp.data import VideoDataModule
from videxp.data.left_out import lost_classes
from videxp.data.manifest import Manifest, Split
from videxp.data.prepared import datamodule_of
from videxp.runs.folder import RunFolder
from videxp.training import loops
from videxp.training.callbacks.nonfinite import NonFinite

MAX_NAMED = 10
SAME = ("split", "path", "label", "start_seconds", "end_seconds", "size_bytes", "content_hash", "input", "input_hash")

log = logging.getLogger("videxp")


def evaluated_facts(data: VideoDataModule, split: Split) -> dict[str, Any]:
    """What the newest figures of a split were computed on."""
    videos, of = data.seen[split]
    return {"name": data.name, "root": str(data.root), "fingerprint": data.fingerprint, "videos": videos, "of": of}


class LeftOut(Callback):
    """Says on the terminal when a file is left out, and keeps all of them in status.json, and how many videos were
    evaluated."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.told: dict[str, str] = {}
        self.lost_classes: set[str] = set()

    def _tell(self, trainer: Trainer, *, aloud: bool = True) -> None:
        data = datamodule_of(trainer)
        if not isinstance(data, VideoDataModule) or len(data.quarantine.causes) == len(self.told):
            return
        new = {path: cause for path, cause in data.quarantine.causes.items() if path not in self.told}
        self.told = dict(data.quarantine.causes)
        if trainer.is_global_zero:
            self.run.note(quarantined=data.missing)
            for path, cause in new.items() if aloud else ():
                text = f"{path} is left out from now on: {cause}"
                count = f"{len(data.missing)} of at most {data.max_unreadable} files"
                note(f"{text} ({count})")
                log.warning(text)
            for text in lost_classes(data.manifest, data.missing) if aloud else ():
                if (about := text.partition(":")[0]) not in self.lost_classes:
                    self.lost_classes.add(about)
                    note(text)
                    log.warning(text)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = datamodule_of(trainer)
        self._tell(trainer, aloud=False)  # what a checkpoint brought
        if trainer.is_global_zero and isinstance(data, VideoDataModule):
            self.run.note(quarantined=data.missing)
            self.lost_classes = {text.partition(":")[0] for text in lost_classes(data.manifest, data.missing)}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._tell(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_evaluation(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_evaluation(trainer)

    def _end_evaluation(self, trainer: Trainer) -> None:
        self._tell(trainer)
        data = datamodule_of(trainer)
        if trainer.is_global_zero and isinstance(data, VideoDataModule):
            self.run.note(evaluated={split: evaluated_facts(data, split) for split in data.seen})


def left_out_lines(trainer: Trainer, data: VideoDataModule) -> list[tuple[str, str]]:
    """For the end of a run: how many samples of the test there were, and what was left out and why."""
    lines = []
    if missing := data.missing:
        read, all_samples = data.coverage("test")
        files = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
        lines.append(("read", f"{read:,} of {all_samples:,} test samples; {files} left out:"))
        lines += [("", f"{path}: {cause}") for path, cause in list(missing.items())[:MAX_NAMED]]
        if len(missing) > MAX_NAMED:
            lines.append(("", f"and {len(missing) - MAX_NAMED} more: see status.json"))
    for callback in loops.callbacks_of(trainer, NonFinite):
        if callback.skipped:
            steps = ", ".join(map(str, callback.skipped[:MAX_NAMED]))
            lines.append(("skip", f"{len(callback.skipped)} steps were NaN or infinite and left out: batches {steps}"))
    return lines


# ---- resuming where files have gone since ---------------------------------------------------------------------------


def save_manifest(manifest: Manifest, path: Path) -> None:
    """The data set as the run began with it."""
    with tempfile.TemporaryDirectory() as folder, replacing(path) as temporary:
        manifest.write(Path(folder, "manifest.tsv"))
        temporary.write_bytes(gzip.compress(Path(folder, "manifest.tsv").read_bytes(), mtime=0))


def read_manifest(path: Path) -> Manifest | None:
    """None where it is missing or damaged, which is said."""
    if not path.exists():
        return None
    try:
        if not path.is_file():
            raise OSError("no regular file")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "manifest.tsv").write_bytes(gzip.decompress(path.read_bytes()))
            return Manifest.read(Path(folder, "manifest.tsv"))
    except (OSError, EOFError, ValueError, zlib.error, BadRequest):
        warn(f"{path}: damaged: files that have gone since the training are not made up for")
        return None


def recall_data(data: VideoDataModule, run: RunFolder) -> None:
    """Where nothing has changed but files that cannot be read any more, and so many may be missing: go on with the
    samples as they were numbered. Where more has changed, the data module will refuse to resume."""
    before = read_manifest(run.manifest)
    if before is None or before.fingerprint == data.manifest.fingerprint:
        return
    then, now = _samples(before), _samples(data.manifest)
    lost = {path for _, path, *_ in then - now}
    if lost and not now - then and len({*lost, *before.unreadable}) <= data.max_unreadable:
        data.use(_with_tables_of(data.manifest, replace(before, root=data.manifest.root)))


def _with_tables_of(now: Manifest, before: Manifest) -> Manifest:
    """The tables of packets and of times lie beside the manifest of now; lost files have none."""
    row_of = {path: row for row, path in enumerate(now["path"])}
    rows = np.array([row_of.get(path, -1) for path in before["path"]])
    none = {"packets_byte": 0, "packets_size": 0, "times_byte": -1}
    columns = {name: np.where(rows < 0, value, now[name][rows]) for name, value in none.items()}
    columns = {**before.columns, **columns}
    return replace(before, columns=columns, packets_file=now.packets_file, times_file=now.times_file)


def _samples(manifest: Manifest) -> set[tuple]:
    """The readable ones."""
    readable = np.flatnonzero([not error for error in manifest["error"]])
    return {tuple(str(manifest[name][int(i)]) for name in SAME) for i in readable}
