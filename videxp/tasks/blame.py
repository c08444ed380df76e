"""Which samples were in the batch in which something went wrong: torch's words alone help nobody to find a file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from videxp.core.errors import VidexpError
from videxp.data.manifest import Split
from videxp.data.prepared import datamodule_of

MAX_NAMED = 4
# What wrong shapes, labels and types end in. Where memory or another process is at fault, the samples are not.
BATCH_ERRORS = (RuntimeError, ValueError, IndexError, TypeError)
NOT_THE_BATCHS = (torch.OutOfMemoryError, torch.distributed.DistError, NotImplementedError)


def sample_names(task: Any, indices: Sequence[int], *, split: Split) -> list[str]:
    """Paths relative to the data's root, or `train sample 3` where the data module is none of ours."""
    try:
        data = datamodule_of(task.trainer)
    except (RuntimeError, AttributeError):  # Lightning's, of a task that no trainer runs
        data = None
    if not hasattr(data, "dataset"):
        return [f"{split} sample {index}" for index in indices]
    return [data.dataset(split).file(index) for index in indices]


def listed(names: Sequence[str]) -> str:
    """`a.mp4, b.mp4, c.mp4, d.mp4 and 28 more`."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


@contextmanager
def naming_samples(task: Any, batch: dict[str, Any], *, split: Split) -> Iterator[None]:
    """Errors within become a VidexpError of two lines: what torch says; the samples, and the shapes of the batch."""
    try:
        yield
    except BATCH_ERRORS as error:
        if isinstance(error, NOT_THE_BATCHS) or "index" not in batch:
            raise
        text = " ".join(str(error).split())[:300]
        names = listed(sample_names(task, batch["index"].tolist(), split=split))
        shapes = ", ".join(f"{k} {list(v.shape)}" for k, v in batch.items() if isinstance(v, Tensor) and v.ndim)
        raise VidexpError(f"{type(error).__name__}: {text}\nIn a {split} batch of {names} ({shapes})") from error


def require_scores(scores_NK: Tensor, *, classes: int, batch: dict[str, Any], task: Any, split: Split) -> None:
    """Raises VidexpError unless there is a whole number of rows for each sample, of one score for each class.

    Looks at shapes alone, so that no GPU is waited for. With too few scores, names the samples that would lie outside.
    """
    samples = len(batch["label"])
    if scores_NK.ndim == 2 and scores_NK.shape[1] == classes and len(scores_NK) and len(scores_NK) % samples == 0:
        return
    labels, indices = _last_class(batch["label"]).tolist(), batch["index"].tolist()
    if scores_NK.ndim == 2 and len(scores_NK) % samples == 0:
        width = scores_NK.shape[1]
        outside = [index for label, index in zip(labels, indices) if label >= width]
        named = f"such as {listed(sample_names(task, outside, split=split))}" if outside else "none in this batch"
        more = f"; samples outside: {named}" if width < classes else ""
        raise VidexpError(
            f"The network gives {width} scores for a clip, the data has {classes} classes{more}\n"
            "Leave model.num_classes out, or set it to the data's number"
        )
    names = listed(sample_names(task, indices, split=split))
    raise VidexpError(
        f"The network gives {list(scores_NK.shape)} where [{samples} clips or a multiple, {classes} classes] is due\n"
        f"In a {split} batch of {names}, whose video was {list(batch['video'].shape)}"
    )


def _last_class(label: Tensor) -> Tensor:
    """int64 [B], or of several labels float [B,K] -> the greatest class of each sample [B]."""
    return label if label.ndim == 1 else (label * torch.arange(label.shape[1], device=label.device)).amax(1)
