"""The boxes of a film's frames, found as a run's test finds them, in pixels of the film.

Shapes: C = 3, H, W pixels of the film, h, w of what the network sees; D boxes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videxp.core.boxes import FrameBoxes
from videxp.core.errors import BadRequest
from videxp.core.windows import read_ahead
from videxp.data.loading.decoding import Decoding
from videxp.data.loading.file_clips import whole_view
from videxp.data.loading.views import View, as_tensor, scaled_size
from videxp.data.module import VideoDataModule
from videxp.tasks.detection import WINDOWS_AT_ONCE, Detection
from videxp.video import open_video
from videxp.video.placing import Placement, fitted_placement

FRAMES_AHEAD = 16  # decoded while the network works


@dataclass(frozen=True)
class BoxChoice:
    """Which boxes are told."""

    threshold: float
    """Probability, from which on."""
    labels: frozenset[int]
    """Numbers of classes."""

    def among(self, boxes: FrameBoxes) -> FrameBoxes:
        keep = (boxes.score >= self.threshold) & np.isin(boxes.label, [*self.labels])
        return FrameBoxes(*(column[keep] for column in boxes))


def choice_of(task: Detection, *, threshold: float | None = None, classes: str | None = None) -> BoxChoice:
    """threshold: None: from which the task tells its boxes apart as tracks; a lower one is also the task's from now on.
    classes: names with commas between; None: all. Raises BadRequest for one that the task does not know."""
    names = task.classes if classes is None else [name.strip() for name in classes.split(",")]
    if unknown := [name for name in names if name not in task.classes]:
        known = ", ".join(task.classes[:8]) + (", ..." if len(task.classes) > 8 else "")
        raise BadRequest(f"--classes {unknown[0]}: none of this run's {len(task.classes)} classes: {known}")
    threshold = task.track_threshold if threshold is None else threshold
    task.score_threshold = min(task.score_threshold, threshold)
    return BoxChoice(threshold, frozenset(task.classes.index(name) for name in names))


@dataclass(frozen=True)
class Seeing:
    """How a run's test brings pictures to what the network sees."""

    view: View
    placement: Placement
    scaled: tuple[int, int] | None = None
    """(height, width) that decoders are to give; None: as they are."""

    def frame(self, picture_HWC: np.ndarray) -> Tensor:
        """uint8 [H,W,C] -> float [C,h,w] in [0,1], its own memory."""
        return self.view(as_tensor(picture_HWC)[None])[0].permute(2, 0, 1).float().div_(255)

    def boxes_before(self, boxes: FrameBoxes, size: tuple[int, int]) -> FrameBoxes:
        """Boxes in pixels of what the network sees -> in pixels of pictures of (height, width), cut to them."""
        height, width = size
        xyxy = self.placement.boxes_before(torch.from_numpy(np.asarray(boxes.xyxy, np.float32))).numpy()
        xyxy = np.clip(xyxy, 0, np.array((width, height, width, height), np.float32))
        is_seen = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])  # else it lies in the black around a picture
        return FrameBoxes(*(column[is_seen] for column in boxes._replace(xyxy=xyxy)))


def seeing_of(datamodule: VideoDataModule, size: tuple[int, int]) -> Seeing:
    """Of pictures of (height, width). Raises BadRequest for a test that takes several cuts of one."""
    decoding: Decoding = datamodule.decoding
    if (cutter := datamodule.cutter("test")) is not None:
        (views,) = cutter.views(size, epoch=0, index=0, clips=1)
        (placements,) = cutter.placements(size, epoch=0, index=0, clips=1)
        if len(views) != 1:
            raise BadRequest(f"this run's test takes {len(views)} cuts of each picture: boxes are found in one")
        return Seeing(views[0], placements[0])
    if decoding.size is None:
        return Seeing(whole_view(size, decoding), Placement(size))
    placement = fitted_placement(size, decoding.size, decoding.frame_fit)
    return Seeing(whole_view(size, decoding), placement, scaled_size(size, decoding))


def find_boxes(
    task: Detection, datamodule: VideoDataModule, path: Path, *, choice: BoxChoice
) -> Iterator[tuple[int, FrameBoxes]]:
    """Number and boxes of each frame of a video file, in pixels as it is shown. Raises UnreadableVideo, DecodeError."""
    with open_video(path, decoder=datamodule.decoding.decoder) as reader:
        seeing = seeing_of(datamodule, reader.size)

        def frames() -> Iterator[Tensor]:
            due = 0
            for number, picture_HWC in reader.pictures(range(reader.num_frames), size=seeing.scaled):
                if number == due:  # some may come twice
                    yield seeing.frame(picture_HWC)
                    due += 1

        with torch.inference_mode():
            yield from boxes_of_frames(
                task, read_ahead(frames(), count=FRAMES_AHEAD), seeing, choice=choice, size=reader.size
            )


def boxes_of_frames(
    task: Detection,
    frames: Iterable[Tensor],
    seeing: Seeing,
    *,
    choice: BoxChoice,
    size: tuple[int, int],
    windows_at_once: int = WINDOWS_AT_ONCE,
) -> Iterator[tuple[int, FrameBoxes]]:
    """The same of frames as the network sees them. size: (height, width) of the film's."""
    for number, boxes in task.detect_film(frames, windows_at_once=windows_at_once):
        yield number, seeing.boxes_before(choice.among(boxes), size)
