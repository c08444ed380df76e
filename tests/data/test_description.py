"""What is said of a data set's videos, and that what it says to type does what it says."""

from pathlib import Path
from statistics import median

import numpy as np
import pytest

from tests.films import Plain, copy_apart, module, moving_bar
from tests.timed_films import timed_film
from videxp.data import FolderPerClass, ManifestFile, VideoDataModule, VideoFolder
from videxp.video import write_video

LENGTHS = {"run": [3, 5, 8, 8, 9], "sit": [12]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val", "test"):
        for name, lengths in LENGTHS.items():
            for i, length in enumerate(lengths if split == "train" else [4]):
                path = tmp_path / "root" / split / name / f"{i}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, moving_bar(num_frames=length, level=100 + 10 * length), fps=10, crf=5)
                copy_apart(path, path, mark=str(path))
    return tmp_path / "root"


def prepared(tmp_path: Path, **changes: object) -> VideoDataModule:
    data = module(tmp_path, FolderPerClass(), **changes)
    data.prepare()
    return data


def test_lengths_rates_sizes_classes_and_pixels_are_told(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, num_frames=8)
    lengths = [*LENGTHS["run"], *LENGTHS["sit"]]
    told = dict(data.videos.lines())
    assert told["videos"] == f"3-12 frames (median {median(lengths):g}), 0.3-1.2 s (median {median(lengths) / 10:g})"
    assert told["frames"] == "10 fps, 32x24"
    assert told["balance"] == "1-5 training videos of each class"
    assert data.manifest.pixels is not None
    pictures = [np.full((24, 32), 40.0) for _ in range(10)]
    mean, deviation = data.manifest.pixels
    level = 100 + 10 * np.mean([*lengths, 4, 4, 4, 4])  # of one column of 32
    assert mean == pytest.approx([(31 * np.mean(pictures) + level) / 32 / 255] * 3, abs=0.02)
    assert 0.02 < deviation[0] < 0.15


def test_short_videos_are_told_and_the_remedy_reads_each_whole(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, num_frames=8, test_clips=3)
    assert data.videos.notes() == [
        "33 % of the videos are shorter than a clip (8 frames) and start again: "
        "dataset.clips.sampling=segments dataset.protocol=1x1 reads each whole",
        "run has 5 videos, sit has 1: dataset.loading.shuffle=class_balanced meets each class equally often",
    ]
    remedied = prepared(tmp_path, num_frames=8, sampling="segments", test_clips=1, shuffle="class_balanced")
    frames = remedied.dataset("train").frames(5, rng=np.random.default_rng(0))[0]
    assert frames[0] < 2 and frames[-1] >= 10  # of 12
    assert prepared(tmp_path, num_frames=8, stride_frames=2).videos.short_share == 1.0
    assert prepared(tmp_path, num_frames=8, clip_fps=20.0).videos.short_share == pytest.approx(1 / 6)  # 0.35 s
    assert prepared(tmp_path, num_frames=3).videos.notes()[0].startswith("run has 5 videos")
    assert (
        prepared(tmp_path, num_frames=4, short="clamp")
        .videos.notes()[0]
        .startswith("17 % of the videos are shorter than a clip (4 frames) and hold their last frame")
    )


def test_footage_without_labels_has_no_classes_and_no_segments(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, VideoFolder(), num_frames=8)
    data.prepare()
    assert "balance" not in dict(data.videos.lines())
    assert data.videos.notes() == ["33 % of the videos are shorter than a clip (8 frames) and start again"]


def test_parts_and_variable_rates_are_told_by_their_times(tmp_path: Path) -> None:
    timed_film(tmp_path / "root/a.mp4", [0, 0.1, 0.2, 2.0, 3.0, 3.1], until=4.0)
    lines = "path,label,split,start_seconds,end_seconds\na.mp4,x,train,0,2.5\na.mp4,x,train,2.5,\n"
    (tmp_path / "root/list.csv").write_text(lines + "a.mp4,x,val,0.05,0.15\na.mp4,x,test,0.15,0.3\n")
    data = module(tmp_path, ManifestFile(file="list.csv"), num_frames=2, eval_transform=Plain(), allow_copies=True)
    data.prepare()
    told = dict(data.videos.lines())
    assert told["videos"] == "2-4 frames (median 3), 1-3 s (median 2)"
    assert told["frames"] == "1.33-2 fps, 64x48; 2 of 2 at a variable rate"
    note = "frames are not equally far apart in time: dataset.clips.clip_fps=1.7 makes all clips equally fast"
    assert data.videos.notes() == [note]
    assert module(tmp_path, ManifestFile(file="list.csv"), clip_fps=1.7).clips.clip_fps == 1.7


def test_rows_fit_a_narrow_terminal_and_keep_what_is_to_be_typed_whole(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, num_frames=8, test_clips=3)
    rows = data.videos.rows(columns=68)
    assert all(len(text) <= 68 for _, text in rows)
    assert [name for name, _ in rows if name] == ["videos", "frames", "balance", "pixels", "note", "note"]
    assert any("dataset.clips.sampling=segments" in text for _, text in rows)
