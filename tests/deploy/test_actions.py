"""Actions of given boxes of a film: each box is answered by the clip around its frame, wherever the box comes from."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.timed_films import timed_film
from videxp import config
from videxp.core.errors import BadRequest
from videxp.data import VideoDataModule
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import SHARES, AnnotatedVideo
from videxp.data.box_files.formats import write_boxes
from videxp.deploy.action_files import check_outputs, detector_config, predict_film, read_given, video_of
from videxp.deploy.actions import answer_film, told_actions
from videxp.models.classification.small import SmallCNN3D
from videxp.tasks import ActionDetection
from videxp.tasks.schedules import Constant
from videxp.transforms import EvalTransform
from videxp.video import open_video, write_video

CLASSES, FRAMES, LENGTH = ["dark", "gray", "bright"], 4, 12
SHADES = (20, 120, 220)
HEIGHT, WIDTH = 64, 96  # the middle 64 columns are seen, at half the size
BOX = (32, 8, 56, 40)


class Shade(nn.Module):
    """Says the shade in the middle of the box, in the clip's key frame."""

    def __init__(self, network: nn.Module, **_: Any) -> None:
        super().__init__()
        self.anything = nn.Parameter(torch.zeros(()))

    def forward(self, video: Tensor, boxes: Tensor, clip: Tensor) -> Tensor:
        x, y = boxes[:, 0::2].mean(1).long(), boxes[:, 1::2].mean(1).long()
        shade = video[clip, FRAMES // 2, 0, y, x] * 255
        distance = (shade[:, None] - torch.tensor(SHADES)).abs()
        return 9.0 * F.one_hot(distance.argmin(1), len(CLASSES)) - 4 + self.anything


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shade within the box changes from frame to frame."""
    frames = np.full((LENGTH, HEIGHT, WIDTH, 3), 60, np.uint8)
    for number in range(LENGTH):
        frames[number, BOX[1] : BOX[3], BOX[0] : BOX[2]] = SHADES[number % 3]
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    write_video(path, frames, fps=10)
    return path


def made(folder: Path, *, stride: int = 1) -> tuple[ActionDetection, VideoDataModule]:
    task = ActionDetection(
        network=SmallCNN3D(num_classes=3, width=4),
        optimizer=None,
        scheduler=Constant(),
        classes=CLASSES,
        head=Shade,
        num_frames=FRAMES,
        size=32,
    )
    plain = EvalTransform(size=32, mean=(0, 0, 0), std=(1, 1, 1))
    data = VideoDataModule(
        root=str(folder), num_frames=FRAMES, batch_size=1, size=32, stride_frames=stride, test_transform=plain
    )
    return task.eval(), data


def tell(film: Path, video: AnnotatedVideo, *, stride: int = 1) -> list[dict[str, Any]]:
    task, data = made(film.parent, stride=stride)
    answered = answer_film(task, data, film, video)
    return [box for one in answered for box in told_actions(task, one, threshold=0.5)]


@pytest.mark.parametrize("stride", [1, 2])
def test_each_box_is_answered_by_the_clip_around_its_frame(film: Path, stride: int) -> None:
    boxes = [BoxOnFrame(frame, *map(float, BOX), "person", 5) for frame in (0, 1, 5, 11)]
    told = tell(film, AnnotatedVideo("film", boxes=boxes), stride=stride)
    assert [(one["frame"], *one["actions"]) for one in told] == [
        (0, "dark"), (1, "gray"), (5, "bright"), (11, "bright")
    ]  # fmt: skip
    assert told[2]["seconds"] == 0.5 and told[0]["box"] == list(BOX)


def test_boxes_in_shares_and_by_time_are_brought_to_the_film(film: Path) -> None:
    shares = (BOX[0] / WIDTH, BOX[1] / HEIGHT, BOX[2] / WIDTH, BOX[3] / HEIGHT)
    rows = [BoxOnFrame(6, *shares, label, 2) for label in ("sit", "talk")]  # two labels of one box, at 20 a second
    video = AnnotatedVideo("film", size=SHARES, fps=20.0, timed=True, boxes=rows)
    (one,) = tell(film, video)
    assert (one["frame"], *one["actions"]) == (3, "dark") and one["box"] == pytest.approx(BOX)
    late = AnnotatedVideo("film", boxes=[BoxOnFrame(12, *map(float, BOX), "person")])
    with pytest.raises(BadRequest, match="it has 12 frames, and a box is on frame 12"):
        tell(film, late)


def test_a_list_of_boxes_is_found_by_its_format_and_the_films_name(film: Path, tmp_path: Path) -> None:
    boxes = [BoxOnFrame(3, *map(float, BOX), "person", 1)]
    write_boxes(
        [AnnotatedVideo("film.mp4", size=(WIDTH, HEIGHT), fps=10.0, boxes=boxes)], tmp_path / "a.json", format="coco"
    )
    stated = read_given(tmp_path / "a.json", None)
    assert video_of(film, stated, tmp_path / "a.json").boxes[0].frame == 3
    with pytest.raises(BadRequest, match="no video called other: it has film"):
        video_of(Path("other.mp4"), stated, tmp_path / "a.json")
    with pytest.raises(BadRequest, match=r"a\.npy is one of ava, coco, .*: name it"):
        read_given(tmp_path / "a.npy", None)
    with pytest.raises(BadRequest, match=r"is a run of .*Classification, which finds no boxes"):
        detector_config(classifier(tmp_path / "run"))


def classifier(run: Path) -> Path:
    run.mkdir()
    config.save_resolved(config.compose("classification/moving_digits", []).cfg, run / "config.yaml")
    return run


def test_seconds_are_those_at_which_frames_are_shown(film: Path, tmp_path: Path) -> None:
    """At a variable rate a frame's number says nothing of its second."""
    uneven = [0, 0.1, 0.2, 1.2, 1.3, 1.4]
    path = timed_film(tmp_path / "uneven.mp4", uneven)
    boxes = [BoxOnFrame(frame, *map(float, BOX), "person") for frame in (0, 2, 3, 5)]
    assert [one["seconds"] for one in tell(path, AnnotatedVideo("uneven", boxes=boxes))] == [0, 0.2, 1.2, 1.4]


def test_the_film_is_drawn_with_actions_on_the_frames_that_have_boxes(film: Path, tmp_path: Path) -> None:
    boxes = [BoxOnFrame(frame, *map(float, BOX), "person", 5) for frame in (0, 5)]
    options = request([film], tmp_path / "out")
    task, data = made(film.parent)
    told = predict_film(task, data, film, AnnotatedVideo("film", boxes=boxes), options)
    assert [box["frame"] for box in told["boxes"]] == [0, 5] and told["frames"] == LENGTH
    with open_video(film) as plain, open_video(tmp_path / "out/film.mp4") as drawn:
        factor = drawn.size[0] // plain.size[0]
        before = plain.frames(range(LENGTH)).repeat_interleave(factor, 1).repeat_interleave(factor, 2).float()
        changes = (drawn.frames(range(LENGTH)).float() - before).abs().flatten(1).quantile(0.99, dim=1)
    assert [frame for frame, change in enumerate(changes) if change > 60] == [0, 5]


def test_where_outputs_go_is_asked_before_the_work(film: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / film.name
    with pytest.raises(BadRequest, match=r"out/film.mp4 would be of .* and of .*: one after the other"):
        check_outputs(request([film, other], tmp_path / "out"))
    with pytest.raises(BadRequest, match="2 videos need a folder"):
        check_outputs(request([film, other], tmp_path / "out.mp4"))
    with pytest.raises(BadRequest, match="is the input itself"):
        check_outputs(request([film], film))


def request(films: list[Path], output: Path) -> Namespace:
    return Namespace(inputs=films, output=output, boxes=Path("boxes.json"), threshold=0.5, made_by="", overwrite=False)
