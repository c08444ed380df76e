"""Boxes on a stream's frames, with the tracks that they belong to: what is found on a frame as soon as the network has
seen what it needs around it.

Frames are read as `videxp predict` reads a film's, so the same boxes are found.
"""

import argparse
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from torch import Tensor

    from videxp.data.module import VideoDataModule
    from videxp.deploy.detections.film import BoxChoice
    from videxp.deploy.streaming.streamer import Answer
    from videxp.tasks.detection import Detection
    from videxp.video.live.capture import LiveFrame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN and SOURCE."""
    from videxp.deploy.detection_files import add_choice

    add_choice(parser)


def open_streamer(task: "Detection", datamodule: "VideoDataModule", options: argparse.Namespace) -> "BoxStreamer":
    """Raises BadRequest for a run that looks at some frames of a film only, and for a class that it does not know."""
    from videxp.deploy.detections.film import choice_of
    from videxp.deploy.scene_files import require_all_frames

    require_all_frames(datamodule)
    choice = choice_of(task, threshold=options.threshold, classes=options.classes)
    return BoxStreamer(task, datamodule, choice=choice)


class BoxStreamer:
    """choice: which boxes are told."""

    is_accurate = False
    remedy = "boxes are told by the frames around them: allow as many, or leave --max-latency out"

    def __init__(self, task: "Detection", datamodule: "VideoDataModule", *, choice: "BoxChoice") -> None:
        self.task, self.datamodule, self.choice = task, datamodule, choice
        self.about: dict[str, Any] = {
            "mode": f"windows of {task.clip_frames} frames, one for each frame",
            "latency_frames": task.clip_frames - 1 - task.key_frame,
            "threshold": round(choice.threshold, 6),
        }

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """Boxes are told in pixels of the stream, and drawn on it: frames stay as they are."""
        return None

    def answers(self, frames: "Iterator[LiveFrame]", *, draw: bool) -> "Iterator[Answer]":
        """`boxes` of each frame: class, score, corners in pixels and, once there is one, the number of the track."""
        from videxp.deploy.detections.film import boxes_of_frames, seeing_of
        from videxp.deploy.streaming.streamer import Answer
        from videxp.tasks.drawn_boxes import draw_boxes, found_boxes

        first = next(frames, None)
        if first is None:
            return
        size = first.pixels_HWC.shape[0], first.pixels_HWC.shape[1]
        seeing = seeing_of(self.datamodule, size)
        waiting: deque[LiveFrame] = deque()

        def seen() -> "Iterator[Tensor]":
            frame: LiveFrame | None = first
            while frame is not None:
                waiting.append(frame)
                yield seeing.frame(frame.pixels_HWC)
                frame = next(frames, None)

        film = boxes_of_frames(self.task, seen(), seeing, choice=self.choice, size=size, windows_at_once=1)
        for _, boxes in film:
            frame = waiting.popleft()
            told = {"boxes": [_told(self.task.classes, *row) for row in zip(*(column.tolist() for column in boxes))]}
            picture = draw_boxes(frame.pixels_HWC, found_boxes(boxes, self.task.classes)) if draw else None
            yield Answer(frame, told, picture)


def _told(classes: list[str], xyxy: list[float], label: int, score: float, track: int) -> dict[str, Any]:
    told = {"label": classes[label], "score": round(score, 6), "xyxy": [round(value, 2) for value in xyxy]}
    return told if track < 0 else {**told, "track": track}
