"""Lists as mmaction2 and PySlowFast write them, miniatures of the real files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.films import Put, module
from videxp.core.errors import BadRequest
from videxp.data import ManifestFile, VideoLists, prepare
from videxp.tasks import Classification

Write = Callable[[str, str], Path]


def test_lists_of_mmaction2_with_a_folder_for_each_split(put: Put, write: Write, tmp_path: Path) -> None:
    write("kinetics400_train_list_videos.txt", "abseiling/a_000001_000011.mp4 0\nzumba/b c_000002_000012.mp4 10\n")
    write("kinetics400_val_list_videos.txt", "zumba/d_000003_000013.mp4 10\n")
    for path in ("train/abseiling/a_000001_000011.mp4", "train/zumba/b c_000002_000012.mp4"):
        put(f"videos_{path}")
    put("videos_val/zumba/d_000003_000013.mp4")
    lists = {"train_list": "kinetics400_train_list_videos.txt", "val_list": "kinetics400_val_list_videos.txt"}
    layout = VideoLists(**lists, train_videos="videos_train", val_videos="videos_val")
    manifest = prepare(layout, root=tmp_path / "root", cache_dir=tmp_path / "cache", name="mini", processes=1)
    assert list(zip(manifest["split"], manifest["label"], manifest["path"])) == [
        ("train", "0", "videos_train/abseiling/a_000001_000011.mp4"),
        ("train", "10", "videos_train/zumba/b c_000002_000012.mp4"),
        ("val", "10", "videos_val/zumba/d_000003_000013.mp4"),
        ("test", "10", "videos_val/zumba/d_000003_000013.mp4"),
    ]
    assert manifest.classes == [str(number) for number in range(11)]  # label 10 is output 10
    with pytest.raises(BadRequest):  # such a list is no table: it has no line of columns
        ManifestFile(train_file=lists["train_list"], val_file=lists["val_list"]).rows(tmp_path / "root")


def test_lists_of_pyslowfast_with_a_test_list_and_names(write: Write, tmp_path: Path) -> None:
    write("train.csv", "/data/k400/train/a, b.mp4 1\nk400/c.mp4,0\n")  # its separator is an option: space or comma
    write("val.csv", "k400/d.mp4 0\n")
    write("test.csv", "k400/e.mp4 1\n")
    write("classes.txt", "abseiling\nair drumming\n")
    layout = VideoLists(test_list="test.csv", class_file="classes.txt")
    root = tmp_path / "root"
    assert [(row.split, "|".join(row.labels), row.path) for row in layout.rows(root)] == [
        ("train", "air drumming", "/data/k400/train/a, b.mp4"),
        ("train", "abseiling", "k400/c.mp4"),
        ("val", "abseiling", "k400/d.mp4"),
        ("test", "air drumming", "k400/e.mp4"),
    ]
    assert layout.classes(root, ()) == ["abseiling", "air drumming"]
    write("val.csv", "k400/d.mp4 2\n")
    with pytest.raises(BadRequest, match=r"val.csv, line 1: label 2, but 2 classes are named"):
        layout.rows(root)


def test_without_a_val_list_some_of_train_is_held_out_and_a_bad_line_is_named(write: Write, tmp_path: Path) -> None:
    root = tmp_path / "root"
    write("train.csv", "".join(f"{i}.mp4 {i % 2}\n" for i in range(40)))
    write("test.csv", "x.mp4 1\n")
    splits = [row.split for row in VideoLists(val_list=None, test_list="test.csv", val_fraction=0.1).rows(root)]
    assert [splits.count(split) for split in ("train", "val", "test")] == [36, 4, 1]
    write("train.csv", "1.mp4 1\nalone.mp4\n")
    with pytest.raises(BadRequest, match=r"train.csv, line 2: 'alone.mp4' is not a path and a label"):
        VideoLists(val_list=None, test_list="test.csv").rows(root)
    assert VideoLists(test_list="none.csv").missing(root) == [
        f"{root / name} does not exist: put it there, or name it in dataset.layout" for name in ("val.csv", "none.csv")
    ]


def test_videos_that_lie_elsewhere_are_read_and_named_where_they_lie(
    films: dict[str, Path], write: Write, tmp_path: Path
) -> None:
    elsewhere = films["bar.mp4"]
    write("train.csv", f"{elsewhere} 0\n{films['wide.mp4']} 1\n")
    write("val.csv", f"{films['ntsc.mp4']} 1\n")
    data = module(tmp_path, VideoLists(train_videos=".", val_videos="."), frame_size=(24, 24))
    data.prepare()
    assert data.read("train", [0])["clip"].shape == (1, 4, 24, 24, 3)
    assert not data.dataset("test").path(0).is_relative_to(data.root)  # a path relative to root cannot be had
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 3 * 24 * 24, 2))
    task = Classification(network=network, optimizer=None, scheduler=None, monitor="val/loss", classes=data.classes)
    task.on_test_epoch_start()
    with torch.no_grad():
        task.evaluation_step(data.transformed(data.read("test", [0]), "test", device=torch.device("cpu")), "test")
    assert [row["path"] for row in task.prediction_rows(data)] == [str(films["ntsc.mp4"])]
