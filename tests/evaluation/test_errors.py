"""What slices and views are made of: how bright clips are, what moves, which recording they are from, who agrees."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import videxp
from videxp.data import FolderPerClass, ManifestFile, VideoDataModule
from videxp.data.layouts.published import UCF101
from videxp.data.manifest import Row
from videxp.data.preparing.options import Preparing
from videxp.evaluation.clip_statistics import ClipStatistics
from videxp.evaluation.errors import attributes_of, confusions, describe_views, error_lines, name_recordings
from videxp.tasks import Classification, MultiLabelClassification
from videxp.transforms import EvalTransform


@pytest.mark.parametrize("num_frames", [1, 8, 9, 19])
def test_brightness_and_motion_are_those_of_the_pixels_whatever_the_transform_subtracts(num_frames: int):
    clips = torch.randint(0, 256, (4, num_frames, 12, 12, 3), dtype=torch.uint8)  # two views of two videos
    transform = EvalTransform(size=12)
    statistics = ClipStatistics(transform)
    statistics.on_test_epoch_start()
    statistics.on_test_batch_end(None, None, None, {**transform({"clip": clips}), "index": torch.tensor([3, 1])})
    whole = ClipStatistics(None)  # a film: uint8, as it is
    whole.on_test_batch_end(None, None, None, {"video": clips.permute(0, 1, 4, 2, 3), "index": torch.arange(4)})
    pixels = clips.numpy().astype(float) / 255
    level = pixels.mean((1, 2, 3, 4))
    motion = np.abs(np.diff(pixels, axis=1)).mean((1, 2, 3, 4)) if num_frames > 1 else np.zeros(4)
    assert [row["index"] for row in statistics.rows] == [3, 1]
    assert [row["brightness"] for row in statistics.rows] == pytest.approx(level.reshape(2, 2).mean(1), abs=1e-5)
    assert [row["motion"] for row in statistics.rows] == pytest.approx(motion.reshape(2, 2).mean(1), abs=1e-5)
    assert [row["brightness"] for row in whole.rows] == pytest.approx(level, abs=1e-5)
    assert [row["motion"] for row in whole.rows] == pytest.approx(motion, abs=1e-5)


@pytest.fixture
def walks(put: Callable[..., Path], tmp_path: Path) -> VideoDataModule:
    """Videos of two classes by three persons, one of them wide."""
    for path in (
        "train/run/amy_0.mp4",
        "train/walk/amy_1.mp4",
        "val/run/amy_2.mp4",
        "test/run/bob_0.mp4",
        "test/run/bob_1.mp4",
    ):
        put(path)
    put("test/walk/cid_0.mp4", of="wide.mp4")
    layout = FolderPerClass(group_pattern=r"([a-z]+)_\d")
    preparing = Preparing(cache_dir=str(tmp_path / "cache"))
    root = str(tmp_path / "root")
    data = VideoDataModule(root=root, num_frames=4, size=16, batch_size=1, layout=layout, preparing=preparing)
    data.prepare()
    data.test_on("test", classes=["run", "walk"])
    return data


def test_a_recording_is_what_the_layout_groups_files_by(walks: VideoDataModule, tmp_path: Path):
    assert name_recordings(walks) == ["bob", "bob", "cid"]
    assert FolderPerClass().recordings(tmp_path) is None
    group = UCF101().recordings(tmp_path)(Row("YoYo/v_YoYo_g08_c01.avi", "test", ("YoYo",)))
    assert group == "YoYo_g08"
    table = tmp_path / "root/list.csv"
    table.write_text("path,label,who\ntest/run/bob_0.mp4,run,Bob\ntest/walk/cid_0.mp4,walk,Cid\n")
    by_column = ManifestFile(file="list.csv", group_column="who").recordings(tmp_path / "root")
    assert by_column is not None and by_column(Row("test/walk/cid_0.mp4", "test", ("walk",))) == "Cid"


def test_samples_go_by_what_their_files_are(walks: VideoDataModule):
    rows = [{"index": index} for index in (0, 1, 2)]
    found = attributes_of(rows, walks, [{"index": 2, "brightness": 0.5, "motion": 0.1}])
    assert found["class"] == [("run",), ("run",), ("walk",)]
    assert found["folder"][2] == ("test", "walk")
    assert found["codec"] == [("h264",)] * 3
    probed = [walks.manifest.row(index) for index in range(3)]
    assert list(found["seconds"]) == [row["num_frames"] / row["fps"] for row in probed]
    assert list(found["short side"]) == [min(row["width"], row["height"]) for row in probed]
    assert np.isnan(found["brightness"][:2]).all() and found["brightness"][2] == 0.5


def test_views_agree_where_they_say_what_their_video_says():
    views = torch.tensor([[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]])
    one = Classification.agreement(views, views.mean(1))
    assert one.tolist() == pytest.approx([2 / 3, 1])
    several = MultiLabelClassification.agreement(views, views.mean(1))
    assert several.tolist() == pytest.approx([4 / 6, 1])
    section = describe_views([{"index": i, "path": f"{i}", "agreement": a} for i, a in enumerate([1.0, 0.4, 0.8])])
    assert section["mean"] == pytest.approx(2.2 / 3) and section["below_half"] == 1
    assert section["least"][0] == {"path": "1", "agreement": 0.4}
    assert describe_views([{"index": 0, "path": "0"}]) == {}


def test_pairs_that_are_confused_and_the_lines_that_are_printed():
    pairs = [("a", "b")] * 3 + [("b", "c")] * 2 + [("c", "a"), ("a", "a"), ("b", "b")]
    found = confusions([{"label": true, "predicted": predicted} for true, predicted in pairs])
    assert found[0] == {"true": "a", "predicted": "b", "videos": 3, "of": 4}
    assert [pair["videos"] for pair in found] == [3, 2, 1]
    calibration = {"ece": 0.2, "ece_if_calibrated": {"p95": 0.1}, "bins": 15, "brier": 0.3}
    sections = {"calibration": calibration, "confusions": found, "views": {}, "slices": {"does_not_apply": ""}}
    assert error_lines(sections) == [
        "calibration: ECE 0.200 (15 bins; chance alone: up to 0.100), Brier 0.300",
        "most confused: a -> b 3 of 4, b -> c 2 of 3",
    ]
    nothing = {"calibration": {"does_not_apply": ""}, "confusions": found[2:], "views": {}, "slices": {"looked_at": 0}}
    assert error_lines(nothing) == []


@pytest.mark.slow
def test_a_temperature_is_fitted_on_validation_alone(finished, workplace: Path):
    run, _ = finished
    done = videxp("evaluate", str(run), "--temperature", "dataset.protocol=2x3", "--json", cwd=workplace)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    found = result["calibration"]["temperature"]
    assert found["fitted_on"] == {"split": "val", "videos": 20}
    assert found["val"]["after"]["nll"] <= found["val"]["before"]["nll"]
    assert found["test"]["before"] == {"ece": result["calibration"]["ece"], "nll": result["calibration"]["nll"]}
    assert result["calibration"]["nll"] == pytest.approx(result["metrics"]["test/loss"], rel=1e-5)
    assert result["calibration"]["accuracy"] == pytest.approx(result["metrics"]["test/accuracy"])
    assert result["views"]["videos"] == 31 and (run / "samples/reliability_2x3.png").exists()
    refused = videxp("evaluate", str(run), "--temperature", "--split", "val", cwd=workplace)
    assert refused.returncode == 2 and "20 of the val videos are validation videos" in refused.stderr
