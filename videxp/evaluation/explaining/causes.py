"""Where in a clip the thing is that its answer ought to rest on: stated boxes, or what the layout itself drew.

Shapes: T frames, H, W pixels of the clip as the network gets it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videxp.data.annotations.ragged import Ragged
from videxp.data.module import VideoDataModule
from videxp.tasks.questions import Question


def cause_of_file(
    datamodule: VideoDataModule, path: Path, frames_T: Sequence[int], question: Question
) -> Tensor | None:
    """`cause_of_path` of a file that may be one of the run's data set."""
    root = datamodule.root
    for file, folder in ((path.absolute(), root), (path.resolve(), root.resolve())):
        if file.is_relative_to(folder):
            return cause_of_path(datamodule, file.relative_to(folder).as_posix(), frames_T, question)
    return None


def cause_of_path(datamodule: VideoDataModule, path: str, frames_T: Sequence[int], question: Question) -> Tensor | None:
    """bool [T,H,W] of the question's clip; None where the layout knows nothing, or pictures are not cut by workers.

    path: beneath the data set's root. frames_T: numbers of the clip's frames in it.
    """
    known_THW = datamodule.layout.cause(path)
    cutter = datamodule.cutter("test")
    if known_THW is None or cutter is None:
        return None
    clip = torch.from_numpy(known_THW)[torch.as_tensor(list(frames_T))][..., None].expand(-1, -1, -1, 3)
    (views,) = cutter.views((clip.shape[1], clip.shape[2]), epoch=0, index=0, clips=1)
    return views[question.view % len(views)](clip.contiguous())[..., 0] > 127


def cause_of_boxes(batch: Mapping[str, Any], question: Question) -> Tensor | None:
    """bool [T,H,W] of all boxes of the question's clip; None where samples have no boxes."""
    span = question.span
    for value in batch.values():
        if isinstance(value, Ragged) and {"xyxy", "frame"} <= value.rows.keys():
            inside = torch.zeros(question.clip_THW, dtype=torch.bool)
            rows = value.of_clip(question.view)
            for frame, (x0, y0, x1, y1) in zip(rows["frame"].tolist(), rows["xyxy"].round().long().tolist()):
                if span.start <= frame < span.stop:
                    inside[frame - span.start, y0:y1, x0:x1] = True
            return inside
    return None
