"""How bright each sample of a test is and how much moves in it, taken from the clips that the network is given."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Callback
from torch import Tensor

FRAMES_AT_ONCE = 8


def level_and_motion(video: Tensor) -> Tensor:
    """float32 [N,2,C]: mean level, and mean absolute difference of neighboring frames (0 of a single one), of clips
    [N,T,C,H,W] in their own unit. A few frames at a time: a film is long, a batch large."""
    num_frames = video.shape[1]
    found = torch.zeros(len(video), 2, video.shape[2], device=video.device)
    for start in range(0, num_frames, FRAMES_AT_ONCE):
        frames = video[:, start : start + FRAMES_AT_ONCE + 1].float()
        found[:, 0] += frames[:, :FRAMES_AT_ONCE].mean((3, 4)).sum(1) / num_frames
        if frames.shape[1] > 1:
            found[:, 1] += (frames[:, 1:] - frames[:, :-1]).abs_().mean((3, 4)).sum(1) / (num_frames - 1)
    return found


class ClipStatistics(Callback):
    """Looks at each batch of a test; `rows` has what it saw in [0,1], whatever the transform subtracts and divides by.
    A sample's is the mean over its views."""

    def __init__(self, transform: Any) -> None:
        """transform: of the test; its `mean` and `std`, where it has any, are those of its clips."""
        self.mean, self.std = (getattr(transform, name, None) for name in ("mean", "std"))
        self.index: list[Tensor] = []
        self.found: list[Tensor] = []

    def on_test_epoch_start(self, *_: Any) -> None:
        self.index, self.found = [], []

    def on_test_batch_end(self, trainer: Any, task: Any, outputs: Any, batch: Mapping[str, Any], *_: Any) -> None:
        video, index = batch.get("video"), batch.get("index")
        if video is None or index is None:
            return
        found = level_and_motion(video) / (255 if video.dtype == torch.uint8 else 1)
        self.index.append(index)
        self.found.append(found.unflatten(0, (len(index), -1)).mean(1))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """`index`, `brightness` and `motion` of each sample that this process tested."""
        if not self.index:
            return []
        found_B2C = torch.cat([part.cpu() for part in self.found]).double()
        if self.std is not None:
            found_B2C *= torch.tensor(self.std, dtype=torch.float64)
        if self.mean is not None:
            found_B2C[:, 0] += torch.tensor(self.mean, dtype=torch.float64)
        values = found_B2C.mean(2).tolist()
        return [
            {"index": index, "brightness": brightness, "motion": motion}
            for index, (brightness, motion) in zip(torch.cat(self.index).tolist(), values, strict=True)
        ]
