"""A run's weights into its task."""

from pathlib import Path
from typing import Any

import torch

from videxp.core.errors import BadRequest
from videxp.runs.weights import read_checkpoint
from videxp.tasks.base import VideoTask


def load_weights(task: VideoTask, path: Any) -> None:
    """The weights that a checkpoint of a run would be used with (the average, where there is an EMA).

    Not through `Trainer.test(ckpt_path=...)`: after a fit, Lightning's EMA callback answers that by loading the
    unaveraged weights.
    """
    set_weights(task, read_checkpoint(Path(path))["state_dict"], path=path)


def set_weights(task: VideoTask, state: dict[str, torch.Tensor], *, path: Any) -> None:
    """The same for weights that were read already; `path` is for the message where they do not fit."""
    try:
        task.load_state_dict(state)
    except RuntimeError as error:
        first = " ".join(str(error).split(":", 1)[-1].split())[:200]
        raise BadRequest(f"{path}: does not fit the network that config.yaml describes: {first}") from error
