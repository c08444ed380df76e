"""Seconds of a table, clips by rate and copies of videos whose frames come at any times, against PyAV's time stamps."""

from pathlib import Path

import numpy as np
import pytest

from tests.deploy.networks import Identity
from tests.films import module
from tests.timed_films import avi_with_empty_packets, number_of, seconds_by_pyav, timed_film
from videxp.core.errors import BadRequest
from videxp.data import ManifestFile, VideoDataModule
from videxp.data.loading.file_clips import read_clips
from videxp.data.preparing.cache import make_cache
from videxp.data.preparing.shards import Making
from videxp.deploy.restore import restore_video
from videxp.runs.folder import RunFolder
from videxp.training.callbacks.left_out import recall_data, save_manifest

VARIABLE = [*(i / 30 for i in range(30)), *(1 + i / 5 for i in range(10))]  # 1 s at 30 fps, 2 s at 5 fps
PARTS = {"variable.mp4": (0.5, 2.1), "late.mkv": (1.55, 2.0), "dropped.avi": (0.75, 1.6), "constant.mp4": (0.5, 1.0)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    timed_film(root / "variable.mp4", VARIABLE, b_frames=2)
    timed_film(root / "late.mkv", [1 + i / 10 for i in range(20)], sound_from=0)
    avi_with_empty_packets(root / "dropped.avi", slots=[*range(8), *range(11, 20)], fps=10)
    timed_film(root / "constant.mp4", [i / 10 for i in range(20)])
    lines = [f"{path},x,test,{start},{end}" for path, (start, end) in PARTS.items()]
    lines += [f"{path},x,{split},," for path, split in (("variable.mp4", "train"), ("constant.mp4", "val"))]
    (root / "list.csv").write_text("path,label,split,start_seconds,end_seconds\n" + "\n".join(lines) + "\n")
    return root


def prepared(tmp_path: Path, **changes: object) -> VideoDataModule:
    changes = (
        {"num_frames": "all", "test_frames": "all", "eval_batch_size": 1, "frame_size": [48, 64]}
        | changes
        | {"allow_copies": True}
    )
    data = module(tmp_path, ManifestFile(file="list.csv"), **{**changes, "num_frames": 4})
    data.prepare()
    return data


def numbers_read(data: VideoDataModule) -> dict[str, list[int]]:
    """Which frames the test's clips show, by their pictures."""
    dataset = data.dataset("test")
    samples = {dataset.file(index): dataset[0, index]["clip"][0].numpy() for index in range(len(dataset))}
    return {path: [number_of(picture) for picture in clip] for path, clip in samples.items()}


def numbers_due(root: Path) -> dict[str, list[int]]:
    shown = {path: seconds_by_pyav(root / path) for path in PARTS}
    return {
        path: [i for i, seconds in enumerate(shown[path]) if start - 1e-6 <= seconds < end - 1e-6]
        for path, (start, end) in PARTS.items()
    }


def test_a_part_in_seconds_is_what_is_shown_then_from_files_and_from_copies(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path)
    due = numbers_due(root)
    assert numbers_read(data) == due
    manifest = data.manifest
    variable = {path for path, is_variable in zip(manifest["path"], manifest["variable_rate"]) if is_variable}
    assert variable == {"variable.mp4", "dropped.avi"}
    stock = {
        p: [i for i in range(40) if PARTS[p][0] <= i / float(f) < PARTS[p][1]]
        for p, f in zip(manifest["path"], manifest["fps"])
    }
    assert all(stock[path] != due[path] for path in ("variable.mp4", "late.mkv", "dropped.avi"))
    make_cache(manifest, tmp_path / "copies", making=Making("raw", None, 1, 21.0), processes=1)
    assert numbers_read(prepared(tmp_path, cache=str(tmp_path / "copies"))) == due


def test_preparing_again_keeps_the_times_of_files_that_are_the_same(root: Path, tmp_path: Path) -> None:
    before = prepared(tmp_path)
    timed_film(root / "new.mp4", [i / 10 for i in range(20)])
    with (root / "list.csv").open("a") as table:
        table.write("new.mp4,x,val,,\n")
    assert numbers_read(prepared(tmp_path)) == numbers_due(root)
    old = module(tmp_path, ManifestFile(file="list.csv"), frame_size=[48, 64], allow_copies=True)
    with pytest.raises(BadRequest, match="prepared anew meanwhile"):  # its table of times has gone
        old.use(before.manifest)
        old.dataset("train")[0, 0]


def test_a_resumed_run_that_has_lost_a_file_keeps_the_times_of_the_others(root: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    save_manifest(prepared(tmp_path, max_unreadable=1).manifest, run.manifest)
    due = numbers_due(root)
    (root / "late.mkv").unlink()
    again = prepared(tmp_path, max_unreadable=1)
    fingerprint = again.fingerprint
    recall_data(again, run)
    assert again.fingerprint != fingerprint  # as the run began
    dataset = again.dataset("test")
    for index in range(len(dataset)):
        if (path := dataset.file(index)) != "late.mkv":
            clip = dataset[0, index]["clip"][0].numpy()
            assert [number_of(picture) for picture in clip] == due[path]


def test_clips_of_a_rate_are_the_same_in_a_test_and_in_a_prediction(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, clip_fps=5.0, test_frames=None, test_clips=2)
    shown = np.array(seconds_by_pyav(root / "variable.mp4"))
    clips = read_clips(root / "variable.mp4", choice=data.choice_of("train").with_clips(2))
    found = [[number_of(picture) for picture in clip] for clip in clips.numpy()]
    for clip, begin in zip(found, (0.0, shown[-1] - 3 / 5)):
        assert clip == [max(np.flatnonzero(shown <= begin + k / 5 + 1e-6)) for k in range(4)]
    assert found != [[0, 3, 6, 9], [30, 33, 36, 39]]  # by the average of 13.3 fps: (0, 2.67, 5.33, 8)
    (root / "list.csv").write_text("path,label,split\nvariable.mp4,x,test\nconstant.mp4,x,train\ndropped.avi,x,val\n")
    again = prepared(tmp_path, clip_fps=5.0, test_frames=None, test_clips=2)
    read = again.dataset("test")[0, 0]["clip"].numpy()
    assert [[number_of(picture) for picture in clip] for clip in read] == found


def test_what_is_shown_of_a_clip_plays_as_fast_as_its_part(root: Path, tmp_path: Path) -> None:
    dataset = prepared(tmp_path, stride_frames=2).dataset("test")
    assert dataset.part(0) == {"start_seconds": 0.5, "end_seconds": 1.0}  # constant.mp4's
    rates = {dataset.file(index): dataset.clip_fps(index) for index in range(len(dataset))}
    inside = [seconds for seconds in VARIABLE if 0.5 <= seconds < 2.1] + [2.2]
    assert rates["variable.mp4"] == pytest.approx((len(inside) - 1) / (inside[-1] - inside[0]) / 2)
    assert rates["constant.mp4"] == 5.0
    assert dataset.typical_clip_fps == pytest.approx(float(np.median(list(rates.values()))))


def test_a_restored_video_whose_frames_are_counted_keeps_their_times(tmp_path: Path) -> None:
    half_rate = avi_with_empty_packets(tmp_path / "half.avi", slots=range(0, 40, 2), fps=50)
    restore_video(Identity(), half_rate, tmp_path / "half.mp4", say=lambda _: None)
    assert np.allclose(seconds_by_pyav(tmp_path / "half.mp4"), np.arange(20) / 25)  # at its header's rate: / 50
