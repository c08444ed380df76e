"""Labels for video files, with the same clips and transforms as in the test."""

from pathlib import Path
from typing import Any

import torch

from videxp.data.file_clips import read_clips
from videxp.data.module import VideoDataModule
from videxp.tasks.classification import Classification, video_probabilities


@torch.inference_mode()
def label_video(task: Classification, datamodule: VideoDataModule, path: Path, *, top: int = 5) -> dict[str, Any]:
    """The `top` classes of one video file with their probabilities, averaged over the test's views."""
    video_KTHWC = read_clips(
        path,
        choice=datamodule.choice.with_clips(datamodule.test_clips),
        frame_size=datamodule.frame_size,
        fit=datamodule.frame_fit,
        decoder=datamodule.decoder,
    )
    batch = {"video": video_KTHWC.to(task.device), "index": torch.zeros(1).long(), "epoch": torch.zeros(1).long()}
    views = datamodule.test_transform(batch)["video"]  # float [V,T,C,H,W]
    probabilities_K = video_probabilities(task(views).float(), videos=1)[0].cpu()
    best = probabilities_K.topk(min(top, len(task.classes)))
    return {
        "path": str(path),
        "label": task.classes[int(best.indices[0])],
        "probabilities": {task.classes[int(i)]: round(float(p), 6) for p, i in zip(best.values, best.indices)},
    }
