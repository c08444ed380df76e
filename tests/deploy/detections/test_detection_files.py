"""What `videxp predict` writes of a detector's boxes: lists, and the film with boxes drawn."""

import argparse
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.films import module
from tests.timed_films import seconds_by_pyav, timed_film
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, VideoDataModule
from videxp.data.box_files.formats import read_boxes
from videxp.deploy.detection_files import add_arguments, check, parts, predict
from videxp.deploy.detections.film import choice_of, seeing_of
from videxp.deploy.streaming.detection import BoxStreamer
from videxp.models.detection.interface import BoxTargets, DetectedBoxes
from videxp.tasks.detection import Detection
from videxp.tasks.drawn_boxes import track_color
from videxp.transforms import EvalTransform
from videxp.video import open_video
from videxp.video.live.capture import LiveFrame

CLASSES = ["bright", "dark"]
TIMES = (0.0, 0.04, 0.1, 0.3, 0.32, 0.4, 0.6)
"""Of a film whose frame n has a bright stripe 8 pixels wide for each bit of n; the first has none."""


class Bright(torch.nn.Module):
    """Finds what is bright on the last of 3 frames: one box, surer of the first class."""

    clip_frames, key_frame, num_classes = 3, 2, 2

    def forward(self, video: Tensor, targets: BoxTargets | None = None) -> DetectedBoxes:
        xyxy, scores = torch.zeros(len(video), 1, 4), torch.zeros(len(video), 1, 2)
        for number, picture in enumerate(video[:, -1].mean(1)):
            rows, columns = (picture > 0.5).nonzero().unbind(1)
            if len(rows):
                xyxy[number, 0] = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                scores[number, 0] = torch.tensor([0.9, 0.3])
        return DetectedBoxes(xyxy, scores)


def detector(**changes: Any) -> Detection:
    return Detection(network=Bright(), optimizer=None, scheduler=None, classes=CLASSES, **changes)


def data(place: Path, transform: EvalTransform | None = None, **changes: Any) -> VideoDataModule:
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    return module(
        place, FolderPerClass(), eval_transform=transform or EvalTransform(size=64, fit="pad", **plain), **changes
    )


def run(place: Path, *arguments: object, task: Detection | None = None, **changes: Any) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([str(one) for one in arguments])
    check(options)
    return predict(task or detector(), data(place, **changes), options)


def expected(number: int) -> list[float]:
    """x, y, width, height of the stripes of a frame."""
    bits = [bit for bit in range(8) if number >> bit & 1]
    return [8 * bits[0], 0, 8 * (bits[-1] - bits[0] + 1), 48]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return timed_film(tmp_path_factory.mktemp("film") / "stripes.mp4", TIMES, sound_from=0.02, until=0.7)


@pytest.fixture(scope="module")
def written(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("written") / "out"
    assert run(out.parent, film, "-o", out) == 0
    return out


def test_a_folder_holds_two_lists_and_the_film(written: Path):
    assert sorted(path.name for path in written.iterdir()) == ["boxes.csv", "boxes.json", "boxes.mp4"]


def test_boxes_are_where_the_film_has_them_at_the_times_it_shows_them(written: Path):
    told = json.loads((written / "boxes.json").read_text())
    assert told["categories"] == [{"id": 1, "name": "bright"}, {"id": 2, "name": "dark"}]
    assert [image["seconds"] for image in told["images"]] == pytest.approx(TIMES, abs=1e-4)
    assert {image["width"] for image in told["images"]} == {64} and told["videos"][0]["num_frames"] == len(TIMES)
    found = {one["image_id"] - 1: one for one in told["annotations"]}
    assert [*found] == [1, 2, 3, 4, 5, 6]  # the first frame has no stripe
    for number, one in found.items():
        assert one["bbox"] == pytest.approx(expected(number), abs=0.1)
        assert one["score"] == pytest.approx(0.9) and one["category_id"] == 1 and one["instance_id"] >= 0


def test_the_list_for_trackers_counts_from_one(written: Path):
    rows = np.loadtxt(written / "boxes.csv", delimiter=",")
    (again,) = read_boxes(written / "boxes.csv", format="mot", classes=dict(enumerate(CLASSES, start=1)))
    (other,) = read_boxes(written / "boxes.json", format="coco")
    assert again.boxes == other.boxes and len(other.boxes) == 6 and other.num_frames == len(TIMES)
    assert rows[:, 0].tolist() == [2, 3, 4, 5, 6, 7]
    assert rows[:, 2:6].tolist() == [[x + 1, y + 1, w, h] for x, y, w, h in map(expected, range(1, 7))]
    assert rows[:, 7].tolist() == [1] * 6


def test_the_film_keeps_times_and_sound_and_shows_boxes(written: Path, film: Path):
    drawn = written / "boxes.mp4"
    assert seconds_by_pyav(drawn) == pytest.approx(seconds_by_pyav(film))
    assert sound_of(drawn) == sound_of(film)
    tracks = {
        one["image_id"] - 1: one["instance_id"]
        for one in json.loads((written / "boxes.json").read_text())["annotations"]
    }
    with open_video(drawn) as video:
        assert video.size == (192, 256)  # enlarged four times, so that a name can be read
        pictures = video.frames(range(len(TIMES))).numpy().astype(int)
    with open_video(film) as video:
        plain = video.frames([0]).numpy().astype(int)[0].repeat(4, 0).repeat(4, 1)
    assert np.abs(pictures[0] - plain).max() < 12  # nothing is found, nothing is drawn
    for number in range(1, len(TIMES)):
        x, _, width, _ = expected(number)
        inner = pictures[number, 60:150, 4 * x], pictures[number, 60:150, 4 * (x + width) - 1]
        for line in inner:
            assert np.abs(line.mean(0) - track_color(tracks[number])).max() < 60, number


def sound_of(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))


def test_boxes_that_are_not_asked_for_are_left_out(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    task = detector(exclusive=False)
    assert run(tmp_path, film, "-o", tmp_path / "all.json", "--threshold", 0.2, "--json", task=task) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["boxes"] == {"bright": 6, "dark": 6} and told["frames"] == 7
    assert run(tmp_path, film, "-o", tmp_path / "dark.json", "--threshold", 0.2, "--classes", "dark", task=task) == 0
    assert {one["category_id"] for one in json.loads((tmp_path / "dark.json").read_text())["annotations"]} == {2}
    assert run(tmp_path, film, "-o", tmp_path / "none.csv", "--threshold", 0.95) == 0
    assert (tmp_path / "none.csv").read_text() == ""
    with pytest.raises(BadRequest, match="--classes dim: none of this run's 2 classes: bright, dark"):
        run(tmp_path, film, "-o", tmp_path / "x.csv", "--classes", "dark,dim")


def test_several_films_have_a_folder_each_and_one_that_fails_costs_no_other(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "bad.mp4").write_bytes(film.read_bytes()[:300])
    assert run(tmp_path, film, tmp_path / "bad.mp4", "-o", tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert f"{film}: 6 boxes of 3 tracks on 7 frames -> {tmp_path}/out/stripes/boxes.json, boxes.csv" in printed.out
    assert "bad.mp4: unreadable video" in printed.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["stripes"]


def test_nothing_is_lost(film: Path, written: Path, tmp_path: Path):
    with pytest.raises(BadRequest, match=r"boxes\.json is there already: choose another name, or add --overwrite"):
        run(tmp_path, film, "-o", written)
    with pytest.raises(BadRequest, match="is the input itself"):
        run(tmp_path, film, "-o", film, "--overwrite")
    with pytest.raises(BadRequest, match=f"2 videos need a folder: -o {tmp_path}/a$"):
        run(tmp_path, film, written / "boxes.mp4", "-o", tmp_path / "a.json")
    with pytest.raises(BadRequest, match="one after the other"):
        copy = tmp_path / "other/stripes.mp4"
        copy.parent.mkdir()
        copy.write_bytes(film.read_bytes())
        run(tmp_path, film, copy, "-o", tmp_path / "out")
    with pytest.raises(BadRequest, match="some frames of a film"):
        run(tmp_path, film, "-o", tmp_path / "b.json", stride_frames=2)
    assert not (tmp_path / "b.json").exists()


def test_parts_write_what_the_whole_does(film: Path, written: Path):
    options = argparse.Namespace(inputs=[film, written / "boxes.mp4"], output=Path("out"))
    of = parts(options)
    assert [part.settings for part in of] == [{"output": "out/stripes"}, {"output": "out/boxes"}]
    assert of[0].files[0] == Path("out/stripes/boxes.json")


@pytest.mark.parametrize("changes", [{}, {"frame_size": [40, 56], "frame_fit": "stretch"}])
def test_boxes_go_to_what_the_network_sees_and_back(tmp_path: Path, changes: dict[str, Any]):
    transform = EvalTransform(size=50, resize=80)
    seeing = seeing_of(data(tmp_path, transform, **changes), (120, 160))
    xyxy = torch.tensor([[41.0, 30, 80, 66]])
    assert torch.allclose(seeing.placement.boxes_before(seeing.placement.boxes(xyxy)), xyxy)
    assert seeing.frame(np.zeros((120, 160, 3), np.uint8)).shape == ((3, 50, 50) if not changes else (3, 40, 56))
    with pytest.raises(BadRequest, match="takes 3 cuts of each picture"):
        seeing_of(data(tmp_path, EvalTransform(size=50, crops=3)), (120, 160))


def test_a_stream_has_the_same_boxes_frame_by_frame(film: Path, written: Path, tmp_path: Path):
    task = detector()
    with open_video(film) as video:
        pictures = [picture.numpy() for picture in video.frames(range(len(TIMES)))]
    frames = (LiveFrame(one, number, TIMES[number], 0.0) for number, one in enumerate(pictures))
    streamer = BoxStreamer(task, data(tmp_path), choice=choice_of(task))
    assert streamer.about["latency_frames"] == 0
    answers = []
    for number, answer in enumerate(streamer.answers(frames, draw=True)):
        assert answer.frame.number == number
        answers.append(answer)
    told = json.loads((written / "boxes.json").read_text())["annotations"]
    assert [len(answer.told["boxes"]) for answer in answers] == [0, 1, 1, 1, 1, 1, 1]
    for one, answer in zip(told, answers[1:]):
        (box,) = answer.told["boxes"]
        x0, y0, x1, y1 = box["xyxy"]
        assert [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)] == one["bbox"]
        assert (box["label"], box["track"]) == ("bright", one["instance_id"])
    assert answers[1].picture_HWC.shape == (192, 256, 3)
