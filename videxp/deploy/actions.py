"""The actions of given boxes of a film, frame by frame, in memory for one window of it.

Legend: T frames of a clip, M boxes of a frame, K classes.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videxp.core.boxes import FrameBoxes
from videxp.core.errors import BadRequest
from videxp.core.windows import windows_of_each
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import AnnotatedVideo
from videxp.data.loading.views import as_tensor
from videxp.data.module import VideoDataModule
from videxp.tasks.action_detection import ActionDetection
from videxp.tasks.given_boxes import WINDOWS_AT_ONCE, key_frame
from videxp.video import open_video
from videxp.video.reader import VideoReader

Answered = tuple[int, float, list[BoxOnFrame], Tensor]
"""A frame that has boxes: its number, its second, the boxes in pixels of the film, and their probabilities [M,K]."""


def answer_film(
    task: ActionDetection, datamodule: VideoDataModule, path: Path, video: AnnotatedVideo
) -> Iterator[Answered]:
    """The frames of a film that have boxes, in their order.

    Raises UnreadableVideo, DecodeError, and BadRequest for boxes of frames that the film has not.
    """
    with open_video(path, decoder=datamodule.decoding.decoder) as reader:
        boxes = boxes_by_frame(video, reader, path)
        for frame, answers_MK in _answers(task, datamodule, reader, boxes):
            yield frame, reader.times.first_seconds + reader.times.since_first(frame), boxes[frame], answers_MK


def told_actions(task: ActionDetection, answered: Answered, *, threshold: float) -> list[dict[str, Any]]:
    """Each box with its frame, second, corners, track, and its actions with their probabilities, the likeliest first:
    of exclusive classes the likeliest, else those of at least `threshold`."""
    frame, seconds, boxes, answers_MK = answered
    return [
        {
            "frame": frame,
            "seconds": round(seconds, 4),
            "box": [round(side, 2) for side in (box.x0, box.y0, box.x1, box.y1)],
            "track": box.track,
            "actions": _named(task, probability_K, threshold),
        }
        for box, probability_K in zip(boxes, answers_MK)
    ]


def drawn_actions(told: list[dict[str, Any]], classes: list[str]) -> FrameBoxes:
    """What is drawn on a frame: a box once for each of its actions."""
    rows = [
        (box["box"], classes.index(name), probability, box["track"])
        for box in told
        for name, probability in box["actions"].items()
    ]
    xyxy, label, score, track = zip(*rows) if rows else ((), (), (), ())
    return FrameBoxes(
        np.asarray(xyxy, np.float32).reshape(-1, 4), np.array(label, int), np.array(score, float), np.array(track, int)
    )


def boxes_by_frame(video: AnnotatedVideo, reader: VideoReader, path: Path) -> dict[int, list[BoxOnFrame]]:
    """In pixels of the film; rows of one box with several labels are one."""
    height, width = reader.size
    of_width, of_height = (1.0, 1.0) if video.size is None else (width / video.size[0], height / video.size[1])
    rate = reader.fps / video.fps if video.timed and video.fps else 1.0
    found: dict[int, dict[tuple[float, ...], BoxOnFrame]] = defaultdict(dict)
    for box in video.boxes:
        frame = round(box.frame * rate)
        if frame >= reader.num_frames:
            raise BadRequest(f"{path}: it has {reader.num_frames} frames, and a box is on frame {frame}")
        corners = (box.x0 * of_width, box.y0 * of_height, box.x1 * of_width, box.y1 * of_height)
        found[frame][(*corners, box.track)] = BoxOnFrame(frame, *corners, box.label, box.track)
    return {frame: list(found[frame].values()) for frame in sorted(found)}


@torch.inference_mode()
def _answers(
    task: ActionDetection, datamodule: VideoDataModule, reader: VideoReader, boxes: dict[int, list[BoxOnFrame]]
) -> Iterator[tuple[int, Tensor]]:
    """Number of each frame with boxes, and their probabilities [M,K]."""
    cutter = datamodule.cutter("test")
    if cutter is None or datamodule.clips.clip_fps is not None:
        raise BadRequest(
            "this run's frames are made by dataset.decoding.frame_size or dataset.clips.clip_fps: predict goes by "
            "dataset.test_transform and stride_frames alone"
        )
    (views,) = cutter.views(reader.size, epoch=0, index=0, clips=1)
    (placements,) = cutter.placements(reader.size, epoch=0, index=0, clips=1)
    if len(views) != 1:
        raise BadRequest(f"this run's test takes {len(views)} cuts of each picture: boxes are read in one")
    mean, std = (torch.tensor(getattr(cutter, name)).reshape(3, 1, 1) for name in ("mean", "std"))

    def frames() -> Iterator[Tensor]:
        due = 0
        for number, picture_HWC in reader.pictures(range(reader.num_frames)):
            if number == due:  # some may come twice
                yield (views[0](as_tensor(picture_HWC)[None])[0].permute(2, 0, 1).float() / 255 - mean) / std
                due += 1

    step, length = datamodule.stride_frames, task.num_frames
    windows = windows_of_each(frames(), length=(length - 1) * step + 1, place=key_frame(length) * step)
    asked = ((frame, window[::step]) for frame, window in enumerate(windows) if frame in boxes)
    while group := list(islice(asked, WINDOWS_AT_ONCE)):
        given = [
            placements[0].boxes(torch.tensor([(box.x0, box.y0, box.x1, box.y1) for box in boxes[frame]]))
            for frame, _ in group
        ]
        clip = torch.arange(len(group)).repeat_interleave(torch.tensor([len(one) for one in given]))
        video = torch.stack([torch.stack(window) for _, window in group]).to(task.device)
        logits_MK = task(video, torch.cat(given).to(task.device), clip.to(task.device))
        parts = task.probabilities(logits_MK).cpu().split([len(one) for one in given])
        yield from zip((frame for frame, _ in group), parts)


def _named(task: ActionDetection, probability_K: Tensor, threshold: float) -> dict[str, float]:
    order = probability_K.argsort(descending=True).tolist()
    chosen = order[:1] if task.exclusive else [number for number in order if probability_K[number] >= threshold]
    return {task.classes[number]: round(float(probability_K[number]), 6) for number in chosen}
