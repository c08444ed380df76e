"""Classes of a stream: after every frame where the network is a streaming one, else of windows of the run's clip.

Frames are chosen, cut and transformed as those of the test's clips.

Shapes: V views of a picture (crops), T frames of a clip, K classes.
"""

import argparse
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest
from videxp.core.ranges import real_number, whole_number

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from torch import Tensor

    from videxp.data.loading.views import View
    from videxp.data.module import VideoDataModule
    from videxp.deploy.streaming.streamer import Answer
    from videxp.models.layers.streaming import Streaming
    from videxp.tasks.classification import Classification
    from videxp.video.live.capture import LiveFrame

TOP = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN and SOURCE."""
    parser.add_argument(
        "--hop",
        type=whole_number(1),
        metavar="N",
        help="frames of the clip from one answer to the next; default: a clip's length, of a streaming network 1",
    )
    parser.add_argument(
        "--window",
        type=whole_number(1),
        metavar="N",
        help="frames of the stream that a clip is spread over, of a run with dataset.clips.sampling=segments",
    )
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=real_number(0, 1, above=True),
        help="where videos have several labels: of what probability; 0.5",
    )


def open_streamer(task: "Classification", datamodule: "VideoDataModule", options: argparse.Namespace) -> "LabelStreamer":
    """Raises BadRequest for windows that the run's clips do not have."""
    from videxp.deploy.label_files import threshold_of

    threshold = threshold_of(task, options.threshold)
    return LabelStreamer(task, datamodule, hop=options.hop, window=options.window, threshold=threshold)


class LabelStreamer:
    """hop: frames of the clip between two answers; None: T, or 1 of a streaming network."""

    is_accurate = False

    def __init__(
        self,
        task: "Classification",
        datamodule: "VideoDataModule",
        *,
        hop: int | None = None,
        window: int | None = None,
        threshold: float,
    ) -> None:
        from videxp.models.layers.streaming import Streaming

        self.task, self.data, self.threshold = task, datamodule, threshold
        choice = datamodule.choice_of("test")
        self.short, self.clip_fps = choice.short, choice.clip_fps
        self.length = datamodule.num_frames if choice.num_frames == "all" else choice.num_frames
        self.stride, self.places = _stride(choice.sampling, choice.stride_frames, self.length, window)
        self.network: Streaming | None = task.deployed if isinstance(task.deployed, Streaming) else None
        self.hop = hop or (1 if self.network else self.length)
        every = f"{self.clip_fps:g} frames a second" if self.clip_fps else f"every {self.stride}. frame"
        if self.network:
            how = {"mode": "frame by frame", "latency_frames": self.network.delay_frames * self.stride}
        else:
            span = (self.length - 1) * self.stride + 1
            how = {"mode": f"windows of {self.length} frames", "latency_frames": window or span - 1}
        self.about: dict[str, Any] = {**how, "frames": every, "hop": self.hop, "classes": len(task.classes)}

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        from videxp.data.loading.views import scaled_size

        return scaled_size(size, self.data.decoding)

    def answers(self, frames: "Iterator[LiveFrame]", *, draw: bool) -> "Iterator[Answer]":
        from videxp.deploy.streaming.drawing import draw_label
        from videxp.deploy.streaming.streamer import Answer

        answer = self._step_by_step() if self.network else self._by_windows()
        sampler = Sampler(stride=self.stride, fps=self.clip_fps)
        views: list[View] = []
        told: dict[str, Any] | None = None
        last: LiveFrame | None = None
        for last in frames:
            views = views or self._views(last)
            for sampled in sampler.take(last):
                probabilities_K = answer(sampled, [view(_tensor(sampled))[0] for view in views])
                if probabilities_K is not None:
                    told = self._told(probabilities_K)
                    yield Answer(last, told={**told, **self._span(sampled)})
            if draw:
                yield Answer(last, picture_HWC=draw_label(last.pixels_HWC, told))
        if last is not None and told is None and (probabilities_K := self._short_answer(answer)) is not None:
            yield Answer(last, told={**self._told(probabilities_K), "short": True})
