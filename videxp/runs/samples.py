"""What the task looks like: pictures and clips in RUN/samples and in W&B."""

from pathlib import Path

from pytorch_lightning import Callback, Trainer

from videxp.tasks import VideoTask


class Samples(Callback):
    """After a test, lets the task write its samples and hands the files to the loggers that take media."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_test_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        if not trainer.is_global_zero:
            return
        paths = pl_module.save_samples(self.folder, trainer.datamodule)  # type: ignore[attr-defined]
        for logger in trainer.loggers:
            if hasattr(logger, "log_files"):
                logger.log_files(paths, step=pl_module.batches_seen)
