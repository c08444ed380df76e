"""Labels for video files, with the same clips and transforms as in the test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videxp.core.errors import VidexpError
from videxp.data.module import VideoDataModule
from videxp.deploy.clips import clips_of_file
from videxp.tasks.classification import Classification
from videxp.tasks.multi_label import THRESHOLD


def label_video(
    task: Classification, datamodule: VideoDataModule, path: Path, *, top: int = 5, threshold: float = THRESHOLD
) -> dict[str, Any]:
    """The `top` classes of one video file with their probabilities, averaged over the test's views. Where videos have
    several labels, all classes, and as `labels` those whose probability is at least `threshold`."""
    (answer,) = label_videos(task, datamodule, [path], top=top, threshold=threshold)
    if isinstance(answer, VidexpError):
        raise answer
    return answer


@torch.inference_mode()
def label_videos(
    task: Classification,
    datamodule: VideoDataModule,
    paths: Sequence[Path],
    *,
    top: int = 5,
    threshold: float = THRESHOLD,
) -> list[dict[str, Any] | VidexpError]:
    """The same of each of several files, those whose clips are of one shape answered together; the error of one that
    cannot be read stands in its place."""
    answers: dict[int, dict[str, Any] | VidexpError] = {}
    batches: dict[tuple[int, ...], dict[int, dict[str, Tensor]]] = {}
    for number, path in enumerate(paths):
        try:
            batch = clips_of_file(datamodule, path, device=task.device)
            batches.setdefault(tuple(batch["video"].shape), {})[number] = batch
        except VidexpError as error:
            answers[number] = error
    for alike in batches.values():
        together = {key: torch.cat([batch[key] for batch in alike.values()]) for key in next(iter(alike.values()))}
        probabilities_BK = task.probabilities(task.answer(together).float(), videos=len(alike)).cpu()
        for number, probabilities_K in zip(alike, probabilities_BK):
            told = told_classes(task, probabilities_K, top=top, threshold=threshold)
            answers[number] = {"path": str(paths[number]), **told}
    return [answers[number] for number in range(len(paths))]


def told_classes(task: Classification, probabilities_K: Tensor, *, top: int, threshold: float) -> dict[str, Any]:
    """`label`, or `labels` where there may be several, and `probabilities` by name, the likeliest first."""
    several = "labels" in task.contract.needs
    best = probabilities_K.topk(len(task.classes) if several else min(top, len(task.classes)))
    named = {task.classes[int(i)]: round(float(p), 6) for p, i in zip(best.values, best.indices)}
    if several:
        labels = [task.classes[int(i)] for p, i in zip(best.values, best.indices) if p >= threshold]
        return {"labels": labels, "probabilities": named}
    return {"label": next(iter(named)), "probabilities": named}
