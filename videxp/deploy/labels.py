"""Labels for video files, with the same clips and transforms as in the test."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videxp.data.module import VideoDataModule
from videxp.deploy.clips import clips_of_file
from videxp.tasks.classification import Classification
from videxp.tasks.multi_label import THRESHOLD


@torch.inference_mode()
def label_video(
    task: Classification, datamodule: VideoDataModule, path: Path, *, top: int = 5, threshold: float = THRESHOLD
) -> dict[str, Any]:
    """The `top` classes of one video file with their probabilities, averaged over the test's views. Where videos have
    several labels, all classes, and as `labels` those whose probability is at least `threshold`."""
    batch = clips_of_file(datamodule, path, device=task.device)
    probabilities_K = task.probabilities(task.answer(batch).float(), videos=1)[0].cpu()
    return {"path": str(path), **told_classes(task, probabilities_K, top=top, threshold=threshold)}


def told_classes(task: Classification, probabilities_K: Tensor, *, top: int, threshold: float) -> dict[str, Any]:
    """`label`, or `labels` where there may be several, and `probabilities` by name, the likeliest first."""
    several = "labels" in task.contract.needs
    best = probabilities_K.topk(len(task.classes) if several else min(top, len(task.classes)))
    named = {task.classes[int(i)]: round(float(p), 6) for p, i in zip(best.values, best.indices)}
    if several:
        labels = [task.classes[int(i)] for p, i in zip(best.values, best.indices) if p >= threshold]
        return {"labels": labels, "probabilities": named}
    return {"label": next(iter(named)), "probabilities": named}
