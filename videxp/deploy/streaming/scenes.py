"""Where a stream goes over from one shot into the next: a network that looks ahead, by windows, some seconds late.

Frames are read as `videxp predict` reads a film's, so the same transitions are found.

Shapes: C = 3, h, w pixels.
"""

import argparse
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from torch import Tensor

    from videxp.data.module import VideoDataModule
    from videxp.deploy.streaming.streamer import Answer
    from videxp.models.scenes.interface import SceneNetwork
    from videxp.tasks.scenes import Scenes
    from videxp.video.live.capture import LiveFrame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN and SOURCE."""
    from videxp.deploy.scene_files import add_threshold

    add_threshold(parser)


def open_streamer(task: "Scenes", datamodule: "VideoDataModule", options: argparse.Namespace) -> "SceneStreamer":
    """Raises BadRequest for a run that looks at some frames of a film only."""
    from videxp.deploy.scene_files import require_all_frames

    require_all_frames(datamodule)
    return SceneStreamer(task, datamodule, threshold=options.threshold)


class SceneStreamer:
    """threshold: None: the task's own."""

    is_accurate = False
    remedy = "scenes are told by what follows: allow as many, or leave --max-latency out"

    def __init__(self, task: "Scenes", datamodule: "VideoDataModule", *, threshold: float | None = None) -> None:
        self.task, self.decoding = task, datamodule.decoding
        self.threshold = float(task.threshold) if threshold is None else threshold
        length, margin = task.window_frames, task.margin_frames
        self.about: dict[str, Any] = {
            "mode": f"windows of {length} frames, {length - 2 * margin} apart",
            "latency_frames": cast("SceneNetwork", task.network).latency_frames[1],
            "threshold": round(self.threshold, 6),
        }

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        from videxp.data.loading.views import scaled_size

        return scaled_size(size, self.decoding)

    def answers(self, frames: "Iterator[LiveFrame]", *, draw: bool) -> "Iterator[Answer]":
        """`probability` of each frame of being a transition, and `transition` once one is over: the last frame of the
        shot before it and the first of the shot after it. One that the stream begins or ends with separates nothing."""
        from videxp.deploy.streaming.drawing import draw_line
        from videxp.deploy.streaming.streamer import Answer

        waiting: deque[LiveFrame] = deque()

        def small() -> "Iterator[Tensor]":
            for frame in frames:
                waiting.append(frame)
                yield self._small(frame)

        found = self.task.frame_logits(small(), windows_at_once=1)
        before: LiveFrame | None = None  # the last frame of the shot that goes over into another
        is_first = True
        for logits in found:
            frame, probability = waiting.popleft(), float(logits[0].sigmoid())
            told: dict[str, Any] = {"probability": round(probability, 6)}
            is_above = probability > self.threshold
            if not is_above and before is not None:
                told["transition"] = [before.number, frame.number]
                told["transition_seconds"] = [round(before.seconds, 6), round(frame.seconds, 6)]
            if is_above:
                before = before if before is not None or is_first else frame
            else:
                before, is_first = None, False
            picture = None
            if draw:
                text = f"{'transition ' if is_above else ''}{probability:.2f}"
                picture = draw_line(frame.pixels_HWC, text, share=probability, is_alarm=is_above)
            yield Answer(frame, told, picture)

    def _small(self, frame: "LiveFrame") -> "Tensor":
        """uint8 [C,h,w], as a run's test reads it."""
        from videxp.data.loading.file_clips import whole_view
        from videxp.data.loading.views import as_tensor

        view = whole_view((frame.pixels_HWC.shape[0], frame.pixels_HWC.shape[1]), self.decoding)
        return view(as_tensor(frame.pixels_HWC)[None])[0].permute(2, 0, 1).clone()
