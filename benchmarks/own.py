"""The cases that benchmarks measure, and our data module for them."""

from pathlib import Path
from typing import Any

from videxp.data import Clips, FolderPerClass, Loading, Preparing, VideoDataModule
from videxp.transforms import EvalTransform, TrainTransform

BATCH = 8
# name: (footage, frames of a clip, stride, pixels)
CASES = {
    "8x112": ("340x256", 8, 2, 112),
    "16x112": ("340x256", 16, 4, 112),
    "16x224": ("340x256", 16, 4, 224),
    "32x224": ("340x256", 32, 2, 224),
    "16x224 of 720p": ("1280x720", 16, 4, 224),
}


def ours(
    root: Path, case: str, folder: Path, *, workers: int, clips_per_video: int = 1, **more: Any
) -> VideoDataModule:
    _, frames, stride, size = CASES[case]
    data = VideoDataModule(
        name=f"footage{clips_per_video}",
        root=str(root),
        layout=FolderPerClass(),
        num_frames=frames,
        size=size,
        batch_size=BATCH // clips_per_video,
        train_transform=TrainTransform(size=size, seed=0),
        eval_transform=EvalTransform(size=size),
        stride_frames=stride,
        clips=Clips(clips_per_video=clips_per_video, train_repeats=2000),
        loading=Loading(num_workers=workers),
        preparing=Preparing(cache_dir=str(folder / "cache")),
        **more,
    )
    data.prepare()
    return data
