"""Actions of given boxes from the command line: a run, its figures on every axis, and on two processes."""

import json
from pathlib import Path

import pytest

from tests.conftest import train, videxp
from tests.evaluation.all_axes import evaluate_on_all
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import AnnotatedVideo
from videxp.data.box_files.formats import write_boxes

RECIPE = "action_detection/moving_digits"
SMALL = ["logger=csv", "trainer.max_epochs=1", "dataset.layout.train_videos=16", "dataset.layout.test_videos=7",
         "dataset.layout.val_videos=4", "++model.width=4"]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("actions")
    train(*SMALL, cwd=here, recipe=RECIPE)
    return here


@pytest.mark.slow
def test_actions_have_figures_on_every_axis(place: Path) -> None:
    result = evaluate_on_all("run", cwd=place)
    assert result["protocol"] == "mAP at IoU 0.5, all-point; true boxes"
    assert result["metrics"].keys() >= {"test/frame_map_50", "test/video_map_50", "test/accuracy", "test/loss"}
    assert result["speed"]["scalars"]["speed/latency_ms"] > 0
    assert result["explanation"]["scalars"]


@pytest.mark.slow
def test_two_processes_count_each_film_once(place: Path) -> None:
    figures = []
    for words in ([], ["hardware=ddp_cpu"]):
        done = videxp("evaluate", "run", "--json", *words, cwd=place, WANDB_MODE="disabled")
        assert done.returncode == 0, done.stderr
        figures.append(json.loads(done.stdout)["metrics"])
    assert figures[0] == pytest.approx(figures[1], abs=1e-6) and 0 < figures[0]["test/frame_map_50"] < 1


@pytest.mark.slow
def test_a_file_tells_what_the_run_tells(place: Path) -> None:
    film = next(place.glob("data/moving_digit_boxes/*/test/00000.mp4"))
    boxes = [BoxOnFrame(frame, 8.0 + frame, 20, 30.0 + frame, 44, "digit", 1) for frame in range(0, 10, 4)]
    write_boxes([AnnotatedVideo(film.name, boxes=boxes)], place / "boxes.json", format="coco")
    done = videxp("export", "run", "--format", "onnx", "--clips", "1", "-o", "actions.onnx", cwd=place)
    assert done.returncode == 0, done.stderr
    takes = "clip uint8 [batch, frames, height, width, 3], boxes float32 [boxes, 4], of_clip int64 [boxes]"
    assert f"takes {takes}" in done.stdout
    told = []
    for model in ("run", "actions.onnx"):
        done = videxp("predict", model, str(film), "--boxes", "boxes.json", cwd=place)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout)[0]["boxes"])
    assert [box["frame"] for box in told[0]] == [0, 4, 8]
    for ours, theirs in zip(*told, strict=True):
        assert ours.pop("actions") == pytest.approx(theirs.pop("actions"), abs=1e-4) and ours == theirs


@pytest.mark.slow
def test_boxes_come_from_a_detectors_run(place: Path) -> None:
    words = ["logger=csv", "trainer.max_epochs=1", "task.track_threshold=0.01", "task.score_threshold=0.01"]
    train(*words, cwd=place, recipe="detection/moving_digits", run="detector")
    film = str(next(place.glob("data/moving_digit_boxes/*/test/00000.mp4")))
    done = videxp("predict", "detector", film, "-o", "found.json", cwd=place)
    assert done.returncode == 0, done.stderr
    told = []
    for boxes, output in (("detector", "at_once"), ("found.json", "after")):
        done = videxp("predict", "run", film, "--boxes", boxes, "-o", output, cwd=place)
        assert done.returncode == 0, done.stderr
        told.append(json.loads((place / output / "actions.json").read_text())[0]["boxes"])
    assert told[0] == told[1] and len(told[0]) > 10
    assert (place / "at_once" / Path(film).name).is_file()
