"""Labels for video files, with the same clips and transforms as in the test."""

from pathlib import Path
from typing import Any

import torch

from videxp.data import VideoDataModule
from videxp.tasks import Classification
from videxp.tasks.classification import video_probabilities


@torch.inference_mode()
def label_video(task: Classification, datamodule: VideoDataModule, path: Path, *, top: int = 5) -> dict[str, Any]:
    """The `top` classes of one video file with their probabilities (averaged over the test's views)."""
    batch = datamodule.file_batch(path)
    batch = datamodule.eval_transform({**batch, "video": batch["video"].to(task.device)})
    probabilities_K = video_probabilities(task(batch["video"]).float(), videos=1)[0].cpu()
    best = probabilities_K.topk(min(top, len(task.classes)))
    return {
        "path": str(path),
        "label": task.classes[int(best.indices[0])],
        "probabilities": {
            task.classes[int(i)]: round(float(p), 6) for p, i in zip(best.values, best.indices, strict=True)
        },
    }
