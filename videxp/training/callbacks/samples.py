"""What the task looks like: pictures and clips in RUN/samples and in W&B."""

import logging
from pathlib import Path
from typing import Literal

from pytorch_lightning import Callback, Trainer

from videxp.core.errors import VidexpError, system_words
from videxp.core.lines import warn
from videxp.data.prepared import datamodule_of
from videxp.tasks import VideoTask
from videxp.training.callbacks.checkpoint import Checkpoint
from videxp.training.loops import callbacks_of

log = logging.getLogger("videxp")


class SaveSamples(Callback):
    """Lets the task write its samples, after each validation and after the test, and hands the files to the loggers
    that take media.

    Of a validation they lie in samples/val/<batches seen>; their log names stay, so that W&B shows them over time. It
    must come before a callback that averages weights, which puts them in place only until its own
    `on_validation_epoch_end`.

    Nothing is computed from them: where they cannot be written (a full disk), that is said and training goes on, or
    stops, as `on_failed_write` of `Checkpoint` has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._save(trainer, pl_module, split="val", folder=self.folder / "val" / f"{pl_module.batches_seen:07d}")

    def on_test_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._save(trainer, pl_module, split="test", folder=self.folder)

    def _save(self, trainer: Trainer, task: VideoTask, *, split: Literal["val", "test"], folder: Path) -> None:
        if not trainer.is_global_zero:
            return
        try:
            paths = task.save_samples(folder, datamodule_of(trainer), split)
        except OSError as error:
            if (words := system_words(error)) is None:
                raise
            self._say_unwritten(trainer, words)
            return
        names = {f"{'samples' if split == 'test' else 'val'}/{path.stem}": path for path in paths}
        for logger in trainer.loggers:
            if names and hasattr(logger, "log_files"):
                logger.log_files(names, step=task.batches_seen)

    def _say_unwritten(self, trainer: Trainer, words: str) -> None:
        if any(callback.on_failed_write == "stop" for callback in callbacks_of(trainer, Checkpoint)):
            raise VidexpError(f"samples could not be written: {words}\nMake room and go on with `videxp resume`")
        message = f"samples could not be written: {words}"
        warn(f"{message}; training goes on without them")
        log.warning(message)
