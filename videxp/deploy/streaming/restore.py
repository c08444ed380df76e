"""A stream restored: frame by frame where the network is a streaming one, else by windows, some frames late.

Windows, tiles and what a network is told are those of `videxp predict`.

Shapes: B = 1 clip, H, W pixels, C = 3, s = the network's enlargement.
"""

import argparse
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from torch import Tensor

    from videxp.deploy.restore import Condition, RestorePlan, Restorer
    from videxp.deploy.streaming.streamer import Answer
    from videxp.video.live.capture import LiveFrame

STREAM = Path("stream")  # in messages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN and SOURCE."""
    from videxp.deploy.restore_files import add_network_arguments

    add_network_arguments(parser)


def open_streamer(task: Any, datamodule: Any, options: argparse.Namespace) -> "RestoreStreamer":
    """Raises BadRequest for what the network is not told or cannot do."""
    from videxp.deploy.restore import Restorer
    from videxp.deploy.restore_files import condition_of

    network = Restorer(task)
    condition = condition_of(network, sigma=options.sigma, exemplar=options.exemplar)
    sizes = {name: getattr(options, name) for name in ("window", "overlap", "tile", "tile_overlap")}
    return RestoreStreamer(network, condition=condition, device=task.device, sizes=sizes)


class RestoreStreamer:
    """sizes: of windows and tiles, as `videxp.deploy.restore.plan_for` takes them; None: what suits the network."""

    is_accurate = True
    remedy = "a smaller --window and --overlap wait for fewer frames"

    def __init__(
        self,
        network: "Restorer",
        *,
        condition: "Condition | None" = None,
        device: Any = "cpu",
        sizes: dict[str, int | None] | None = None,
    ) -> None:
        from videxp.deploy.exporting.network import FileNetwork, takes_frames

        self.network, self.condition, self.device = network.to(device).eval(), condition, device
        self.sizes = sizes or {}
        inner = network.network
        self.steps = inner if takes_frames(inner) else None
        self.is_pipeline = hasattr(inner, "stream") and not isinstance(
            inner, FileNetwork
        )  # BSVD's, of frames one after the other
        if self.steps or self.is_pipeline:
            if given := [f"--{name.replace('_', '-')} {value}" for name, value in self.sizes.items() if value]:
                raise BadRequest(f"{given[0]}: this network goes frame by frame over whole frames: leave it out")
            late = self.steps.delay_frames if self.steps else network.radius
            self.about: dict[str, Any] = {"mode": "frame by frame", "latency_frames": late, "scale": network.scale}
        else:
            plan = self.plan((1, 1))
            mode = f"windows of {plan.window} frames, overlap {plan.overlap}"
            late = plan.window if plan.overlap else plan.window - 1
            self.about = {"mode": mode, "latency_frames": late, "scale": network.scale}
            if network.radius is None:
                self.remedy = "it looks ahead: train model=basicvsr_forward, which needs no later frame"
                self.about["note"] = f"{type(inner).__name__} looks ahead: every frame waits for its window"

    def plan(self, size: tuple[int, int]) -> "RestorePlan":
        """Of a network of which a frame depends on no other, windows are single frames: nothing has to wait."""
        from videxp.deploy.restore import plan_for

        window = self.sizes.get("window") or (1 if self.network.radius == 0 else None)
        return plan_for(self.network, size, **{**self.sizes, "window": window})

    def picture_size(self, size: tuple[int, int]) -> None:
        return None

    def answers(self, frames: "Iterator[LiveFrame]", *, draw: bool) -> "Iterator[Answer]":
        from videxp.deploy.streaming.streamer import Answer

        first = next(frames, None)
        if first is None:
            return
        whole = chain([first], frames)
        made = self._by_frames(whole) if self.steps or self.is_pipeline else self._by_windows(first, whole)
        for frame, picture_HWC in made:
            yield Answer(frame, {}, picture_HWC)

    def _by_windows(self, first: "LiveFrame", frames: "Iterable[LiveFrame]") -> "Iterator[tuple[LiveFrame, Any]]":
        from videxp.deploy.restore import restored

        plan = self.plan(first.pixels_HWC.shape[:2])
        waiting: deque[LiveFrame] = deque()
        pictures = StreamPictures(STREAM, frames, waiting)
        for picture in restored(self.network, pictures, plan=plan, device=self.device, condition=self.condition):
            yield waiting.popleft(), picture.pixels_HWC

    def _by_frames(self, frames: "Iterable[LiveFrame]") -> "Iterator[tuple[LiveFrame, Any]]":
        """Frames wait until the network's answer to them comes out."""
        waiting: deque[LiveFrame] = deque()

        def videos() -> "Iterator[Tensor]":
            for number, frame in enumerate(frames):
                waiting.append(frame)
                yield self._video(number, frame)

        made = self._stepped(videos()) if self.steps else self.network.network.stream(videos())
        for made_BCHW in made:
            yield waiting.popleft(), _picture(made_BCHW)

    def _stepped(self, videos: "Iterator[Tensor]") -> "Iterator[Tensor]":
        """Float [B,C,H,W] each -> as many [B,C,sH,sW]; behind the last frame it is held until its answer is out."""
        assert self.steps is not None
        state: tuple[Tensor, ...] | None = None
        for count, video in enumerate(_held_at_end(videos, self.steps.delay_frames)):
            if state is None:
                size = video.shape[-2], video.shape[-1]
                state = self.steps.initial_state(len(video), size, device=video.device, dtype=video.dtype)
            made, state = self.steps.step(video[:, None], state)
            if count >= self.steps.delay_frames:  # what comes before is of no frame
                yield made[:, -1]

    def _video(self, number: int, frame: "LiveFrame") -> "Tensor":
        """Float [1,C,H,W] in [0,1]; what the network is told of the frame follows its colors."""
        import torch

        clip_THWC = torch.from_numpy(frame.pixels_HWC)[None]
        video = clip_THWC.to(self.device).permute(0, 3, 1, 2).float().div_(255)
        if self.condition is None:
            return video
        return torch.cat([video, self.condition(range(number, number + 1), clip_THWC).to(self.device)], dim=1)


@dataclass(frozen=True)
class StreamPictures:
    """Frames of a stream as `videxp.deploy.restore.restored` takes them; each waits in `waiting` for its answer."""

    path: Path
    frames: "Iterable[LiveFrame]"
    waiting: "deque[LiveFrame]"

    def __iter__(self) -> Iterator[Any]:
        from videxp.video.sequence import Picture

        for frame in self.frames:
            self.waiting.append(frame)
            yield Picture(frame.pixels_HWC)


def _picture(made_BCHW: "Tensor") -> Any:
    """uint8 [sH,sW,C]. Raises VidexpError for pixels that are not finite."""
    import torch

    from videxp.deploy.restore import require_finite

    require_finite(made_BCHW)
    pixels = made_BCHW[0].float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return pixels.permute(1, 2, 0).contiguous().cpu().numpy()


def _held_at_end(videos: "Iterator[Tensor]", count: int) -> "Iterator[Tensor]":
    """And the last one `count` times more."""
    video = None
    for video in videos:
        yield video
    if video is not None:
        yield from repeat(video, count)
