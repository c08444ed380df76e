"""Classes of a stream: after every frame where the network is a streaming one, else of windows of the run's clip.

Frames are chosen, cut and transformed as those of the test's clips.

Shapes: V views of a picture (crops), T frames of a clip, K classes.
"""

import argparse
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from videxp.core.errors import BadRequest
from videxp.core.ranges import whole_number

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from torch import Tensor

    from videxp.data.loading.views import View
    from videxp.data.module import VideoDataModule
    from videxp.deploy.streaming.streamer import Answer
    from videxp.tasks.classification import Classification
    from videxp.video.live.capture import LiveFrame

TOP = 5  # classes that are told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN and SOURCE."""
    from videxp.deploy.label_files import add_threshold

    parser.add_argument(
        "--hop",
        type=whole_number(1),
        metavar="N",
        help="frames from one answer to the next; default: as many as a clip has, of a streaming network 1",
    )
    parser.add_argument(
        "--span",
        type=whole_number(1),
        metavar="N",
        help="frames of the stream that a clip is spread over, of a run with dataset.clips.sampling=segments",
    )
    add_threshold(parser)


def open_streamer(
    task: "Classification", datamodule: "VideoDataModule", options: argparse.Namespace
) -> "LabelStreamer":
    """Raises BadRequest for clips that a stream does not have."""
    from videxp.deploy.label_files import threshold_of

    threshold = threshold_of(task, options.threshold)
    return LabelStreamer(task, datamodule, hop=options.hop, span=options.span, threshold=threshold)


class LabelStreamer:
    """hop: chosen frames between two answers; None: as many as a clip has, or 1 of a streaming network. span: see
    `--span`. threshold: of labels, where there are several."""

    is_accurate = False
    remedy = "train a streaming network, which answers after every frame: model=movinet_a0_stream"

    def __init__(
        self,
        task: "Classification",
        datamodule: "VideoDataModule",
        *,
        hop: int | None = None,
        span: int | None = None,
        threshold: float = 0.5,
    ) -> None:
        from videxp.deploy.exporting.network import takes_frames

        self.task, self.data, self.threshold = task, datamodule, threshold
        self.choice = choice = datamodule.choice_of("test")
        self.clip_frames = datamodule.num_frames if choice.num_frames == "all" else choice.num_frames
        self.network = task.deployed if takes_frames(task.deployed) else None
        self.stride = _require_stride(choice.sampling, choice.stride_frames, self.clip_frames, span)
        self.hop = hop or (1 if self.network else self.clip_frames)
        late = self.network.delay_frames if self.network else self.clip_frames - 1
        self.about: dict[str, Any] = {
            "mode": "frame by frame" if self.network else f"windows of {self.clip_frames} frames",
            "frames": f"{choice.clip_fps:g} a second" if choice.clip_fps else f"1 of {self.stride}",
            "hop_frames": self.hop,
            "latency_frames": late * (1 if choice.clip_fps else self.stride),
        }

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        from videxp.data.loading.views import scaled_size

        return scaled_size(size, self.data.decoding)

    def answers(self, frames: "Iterator[LiveFrame]", *, draw: bool) -> "Iterator[Answer]":
        from videxp.deploy.streaming.drawing import draw_label
        from videxp.deploy.streaming.sampler import Sampler
        from videxp.deploy.streaming.streamer import Answer

        classifier: Classifier = Steps(self) if self.network else Windows(self)
        sampler: Sampler[LiveFrame] = Sampler(stride=self.stride, fps=self.choice.clip_fps)
        views: list[View] = []
        told: dict[str, Any] | None = None
        chosen: LiveFrame | None = None
        for frame in frames:
            views = views or self._views(frame)
            for chosen in sampler.take(frame):
                probabilities_K = classifier.take([_cut(chosen, view) for view in views])
                if probabilities_K is not None:
                    told = self._told(probabilities_K)
                    yield Answer(chosen, told)
            if draw:
                yield Answer(frame, picture_HWC=draw_label(frame.pixels_HWC, told))
        probabilities_K = classifier.finish()
        if chosen is not None and probabilities_K is not None:
            yield Answer(chosen, {**self._told(probabilities_K), "is_short": True})

    def probabilities(self, logits_VK: "Tensor") -> "Tensor":
        """Float [K], on the CPU, of the views of one clip."""
        return self.task.probabilities(logits_VK.float(), videos=1)[0].cpu()

    def transformed(self, views: "list[Tensor]") -> "dict[str, Tensor]":
        """uint8 [T,h,w,C] of each view -> a batch with `video` float [V,T,C,h,w]."""
        import torch

        one = torch.zeros(1).long()
        batch = {"clip": torch.stack(views), "index": one, "epoch": one}
        return self.data.transformed(batch, "test", device=self.task.device)

    def _views(self, frame: "LiveFrame") -> "list[View]":
        """Those that a test's clip has of pictures of this size."""
        from videxp.data.loading.file_clips import whole_view

        size = frame.pixels_HWC.shape[0], frame.pixels_HWC.shape[1]
        cutter = self.data.cutter("test")
        if cutter is None:
            return [whole_view(size, self.data.decoding)]
        return list(cutter.views(size, epoch=0, index=0, clips=1)[0])

    def _told(self, probabilities_K: "Tensor") -> dict[str, Any]:
        """As `videxp predict` tells it."""
        from videxp.deploy.labels import told_classes

        return told_classes(self.task, probabilities_K, top=TOP, threshold=self.threshold)


class Classifier(Protocol):
    """Of one stream: takes the V views uint8 [h,w,C] of a chosen frame, and answers with probabilities [K] at times."""

    def take(self, views: "list[Tensor]") -> "Tensor | None": ...

    def finish(self) -> "Tensor | None":
        """Of a stream that was too short for any answer."""


class Windows:
    """The last T chosen frames, each time that `hop` more have come."""

    def __init__(self, streamer: LabelStreamer) -> None:
        self._streamer = streamer
        self._held: deque[list[Tensor]] = deque(maxlen=streamer.clip_frames)
        self._due = streamer.clip_frames
        self._is_answered = False

    def take(self, views: "list[Tensor]") -> "Tensor | None":
        self._held.append(views)
        self._due -= 1
        if self._due:
            return None
        self._due, self._is_answered = self._streamer.hop, True
        return self._answer(list(self._held))

    def finish(self) -> "Tensor | None":
        """Looped or held, as the run's clips are."""
        if self._is_answered or not self._held:
            return None
        held, last = list(self._held), len(self._held) - 1
        places = range(self._streamer.clip_frames)
        is_looped = self._streamer.choice.short == "loop"
        return self._answer([held[place % len(held) if is_looped else min(place, last)] for place in places])

    def _answer(self, held: "list[list[Tensor]]") -> "Tensor":
        import torch

        batch = self._streamer.transformed([torch.stack(view) for view in zip(*held)])
        return self._streamer.probabilities(self._streamer.task.answer(batch))


class Steps:
    """A streaming network, with its state."""

    def __init__(self, streamer: LabelStreamer) -> None:
        assert streamer.network is not None
        self._streamer, self._network = streamer, streamer.network
        self._state: tuple[Tensor, ...] | None = None
        self._count = 0

    def take(self, views: "list[Tensor]") -> "Tensor | None":
        video = self._streamer.transformed([view[None] for view in views])["video"]
        if self._state is None:
            size = video.shape[-2], video.shape[-1]
            self._state = self._network.initial_state(len(video), size, device=video.device, dtype=video.dtype)
        logits_VtK, self._state = self._network.step(video, self._state)
        self._count += 1
        return None if self._count % self._streamer.hop else self._streamer.probabilities(logits_VtK[:, -1])

    def finish(self) -> None:
        return None


def _require_stride(sampling: str, stride: int, clip_frames: int, span: int | None) -> int:
    """Frames of the stream from one of a clip to the next. Raises BadRequest."""
    if sampling != "segments":
        if span is not None:
            raise BadRequest(f"--span {span}: this run's clips have their own stride: leave --span out")
        return stride
    if span is None or span < clip_frames:
        raise BadRequest(
            f"this run's clips are spread over a whole video, and a stream has no end: --span {8 * clip_frames} "
            f"spreads the {clip_frames} frames of one over so many frames of the stream"
        )
    return span // clip_frames


def _cut(frame: "LiveFrame", view: "View") -> "Tensor":
    """uint8 [h,w,C]"""
    from videxp.data.loading.views import as_tensor

    return view(as_tensor(frame.pixels_HWC)[None])[0]
