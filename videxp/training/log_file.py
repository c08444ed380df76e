"""log.txt: what videxp and its libraries log, without secrets; a full disk is one line on the terminal, not pages."""

import logging
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from videxp.core.errors import VidexpError
from videxp.core.lines import warn
from videxp.core.secrets import ScrubbingFormatter


class LogFile(logging.FileHandler):
    """In force within `with LogFile(path):`, of all loggers. Raises OSError where the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(ScrubbingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.problem: str | None = None

    def __enter__(self) -> "LogFile":
        logging.getLogger().addHandler(self)
        logging.getLogger("videxp").setLevel(logging.INFO)
        logging.captureWarnings(True)
        return self

    def __exit__(self, *_: Any) -> None:
        logging.getLogger().removeHandler(self)
        try:
            self.close()
        except OSError:
            pass  # said already, when the line was written

    def handleError(self, record: logging.LogRecord) -> None:
        """logging would print a traceback for each line."""
        error = sys.exc_info()[1]
        if self.problem is None and error is not None:
            self.problem = getattr(error, "strerror", None) or str(error)
            warn(f"{self.baseFilename} could not be written: {self.problem}")

    def refuse_if_incomplete(self) -> None:
        """Raises VidexpError."""
        if self.problem is not None:
            raise VidexpError(
                f"{self.baseFilename} is incomplete: {self.problem}\nMetrics and checkpoints are whole: training ended"
            )


def quiet_libraries() -> None:
    """Lightning's tips and hardware lines say less than our own; its warnings go to log.txt."""
    import_module("pytorch_lightning")  # which sets the levels itself
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|torchmetrics)\b.*")
