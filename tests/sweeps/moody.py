"""A network that a researcher might write: it can raise, exit, be killed, hang or become NaN."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

MOODS = {2: "hangs", 5: "raises", 8: "exits", 11: "is_killed", 13: "is_nan"}
CURED = "cured"
"""A file of this name in the current folder: whatever it was is mended."""


class Moody(nn.Module):
    """Averages the pixels; good at nothing. What it does otherwise depends on its number."""

    def __init__(self, *, num_classes: int, number: int = 0) -> None:
        super().__init__()
        self.mood: Any = MOODS.get(number)
        self.number = number
        self.classify = nn.Linear(3, num_classes)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        logits = self.classify(video.mean(dim=(1, 3, 4)))
        if Path(CURED).exists() or self.mood is None:
            return logits
        if not self.training:  # before the training, too, when its work is counted
            return logits * torch.nan if self.mood == "is_nan" else logits
        if self.mood == "raises":
            raise RuntimeError(f"cannot go on with number {self.number}")
        if self.mood == "exits":
            sys.exit(5)
        if self.mood == "is_killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mood == "hangs":
            Path("hanging").touch()
            time.sleep(1000)
        return logits
