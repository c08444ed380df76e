"""Videos with boxes in files: which video is meant, in which split, and what `prepare` finds about the boxes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.films import copy_apart, module, moving_bar
from videxp.config.composing.recipe import compose_dataset
from videxp.core.errors import BadRequest
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import AnnotatedVideo
from videxp.data.box_files.formats import Format, write_boxes
from videxp.data.layouts.annotated_videos import AnnotatedFrames, AnnotatedPictures, AnnotatedVideos
from videxp.data.layouts.base import Layout
from videxp.data.layouts.video_names import match_videos
from videxp.data.loading.dataset import collate
from videxp.data.manifest import Manifest
from videxp.data.packed_boxes import at_rate, guess_size, pack_boxes, unpack_boxes
from videxp.data.preparing.preparation import prepare

UCF24 = Path(__file__).parents[2].parent / "shared" / "data" / "ucf24"
SIZE = (32, 24)
EVERY = [BoxOnFrame(t, 2 * t, 0, 2 * t + 1, 24, "bar", track=7) for t in range(12)]
Place = Callable[..., Path]


def video(name: str, boxes: list[BoxOnFrame] = EVERY, **changes: Any) -> AnnotatedVideo:
    return replace(AnnotatedVideo(name, 12, SIZE, 12.0, list(boxes), ("bar", "shade")), **changes)


@pytest.fixture
def root(films: dict[str, Path], tmp_path: Path) -> Path:
    """Videos of 12 frames and 32x24 pixels."""
    for name in ("a", "b", "c"):
        file = tmp_path / f"root/films/{name}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        copy_apart(films["bar.mp4"], file, mark=name)
    return tmp_path / "root"


def prepared(layout: Layout, root: Path) -> Manifest:
    return prepare(layout, root=root, cache_dir=root.parent / "cache", name="mini", processes=1)


def notes_of(manifest: Manifest, about: str) -> list[str]:
    return [text for kind, text in manifest.notes if kind == about]


def test_boxes_of_a_file_lie_on_what_they_lay_on(root: Path):
    boxes = [box._replace(x0=10 * box.x0, x1=10 * box.x1, y0=10 * box.y0, y1=10 * box.y1) for box in EVERY]
    write_boxes([video(name, boxes, size=(320, 240)) for name in "abc"], root / "tubes.json", format="tubes_json")
    layout = AnnotatedVideos(boxes="tubes.json", format="tubes_json", val_fraction=0.34, test_fraction=0.34)
    data = module(root.parent, layout)
    data.prepare()
    assert (data.classes, data.counts) == (["bar", "shade"], {"train": 1, "val": 1, "test": 1})
    batch = collate(data.dataset("train").__getitems__([(0, 0)]), annotations=data.annotations)
    rows = batch["boxes"].rows
    assert len(rows["xyxy"]) == 4, "boxes of 320x240 on videos of 32x24"
    for time, (x0, _, x1, _) in zip(rows["frame"].tolist(), rows["xyxy"].tolist()):
        column = int(batch["clip"][0, time].float().mean((0, 2)).argmax())
        assert x0 - 0.75 <= column + 0.5 <= x1 + 0.75
    assert notes_of(data.manifest, "classes") == ["1 of 2 have no box: shade"]
    assert notes_of(data.manifest, "ignored") == []


def test_splits_are_those_of_the_files_and_videos_without_a_word_are_left_out(root: Path):
    write_boxes([video("films/a.mp4"), video("gone")], root / "train.json", format="coco")
    write_boxes([video("b", [])], root / "val.json", format="coco")
    layout = AnnotatedVideos(boxes={"train": "train.json", "val": "val.json"}, format="coco")
    manifest = prepared(layout, root)
    assert list(zip(manifest["split"], manifest["path"])) == [
        ("train", "films/a.mp4"), ("val", "films/b.mp4"), ("test", "films/b.mp4")
    ]  # fmt: skip
    assert set(notes_of(manifest, "ignored")) == {
        "videos of which no boxes are stated: films/c.mp4", "videos with boxes that are not there: gone"
    }  # fmt: skip
    assert notes_of(manifest, "boxes") == ["videos without a box: films/b.mp4"]


def test_the_fold_of_a_pickle_says_the_splits(root: Path):
    videos = [video("films/a", split="train"), video("films/b", split="train"), video("films/c", split="test")]
    write_boxes(videos, root / "GT.pkl", format="tubes_pickle")
    manifest = prepared(AnnotatedVideos(boxes="GT.pkl", format="tubes_pickle", options={"fold": 1}), root)
    assert list(manifest["split"]) == ["train", "val", "test"] and manifest["path"][2] == "films/c.mp4"
    with pytest.raises(BadRequest, match="fold=2 is none of 1 lists of train_videos, 1 to 1"):
        prepared(AnnotatedVideos(boxes="GT.pkl", format="tubes_pickle", options={"fold": 2}), root)


def test_boxes_beyond_the_picture_or_the_end_are_refused_with_what_cuts_them(root: Path):
    boxes = [*EVERY, BoxOnFrame(3, -4, 2, 8, 30, "bar", track=1), BoxOnFrame(12, 0, 0, 4, 4, "bar", track=1)]
    boxes.append(BoxOnFrame(4, 40, 2, 48, 9, "bar", track=1))
    write_boxes([video("a", boxes), video("b")], root / "b.json", format="coco")
    layout = AnnotatedVideos(boxes="b.json", format="coco", splits="test")
    with pytest.raises(BadRequest) as raised:
        prepared(layout, root)
    assert (
        "films/a.mp4: its boxes of frame 3, -4 2 8 30, is no box within its 32x24 pixels, as are 2 others of 15: "
        "dataset.layout.beyond=cut cuts such boxes"
    ) in str(raised.value)
    manifest = prepared(replace(layout, beyond="cut"), root)
    packed = unpack_boxes(manifest["fields.boxes"][0])
    assert packed.size == SIZE and len(packed.boxes_M7) == 13
    assert [0, 2, 8, 24] in packed.boxes_M7[:, 1:5].tolist()
    assert notes_of(manifest, "boxes") == [
        "1 of 27 go beyond their picture, by up to 16 pixels, and are cut to it; 2 lie beyond it or the last frame, "
        "and are left out, such as films/a.mp4, frame 3"
    ]


def test_boxes_that_fill_another_size_than_the_videos_are_noticed_and_the_remedy_works(root: Path):
    from videxp.video import write_video

    write_video(root / "wide/w.mp4", np.zeros((12, 256, 340, 3), np.uint8), fps=12)
    (root / "labels/bar/w").mkdir(parents=True)
    (root / "labels/bar/w/00001.txt").write_text("1 10 20 318 239\n")
    layout = AnnotatedVideos(boxes="labels", format="frame_texts", targets="wide", splits="test")
    (note,) = notes_of(prepared(layout, root), "boxes")
    remedy = "dataset.layout.size=320x240"
    assert note == (
        "they reach to 318x239 of 340x256 pixels, such as of wide/w.mp4: if they refer to pictures of 320x240, "
        + remedy
    )
    manifest = prepared(replace(layout, size=remedy.partition("=")[2]), root)
    assert notes_of(manifest, "boxes") == [] and unpack_boxes(manifest["fields.boxes"][0]).size == (320, 240)


def test_a_guess_needs_boxes_that_fill_one_size_and_not_the_own():
    assert guess_size((318, 239), own=(340, 256)) == (320, 240)
    assert guess_size((318, 239), own=(320, 240)) is None
    assert guess_size((339, 239), own=(340, 240)) is None
    assert guess_size((200, 100), own=(340, 256)) is None


def test_a_sample_for_each_annotated_frame_has_it_in_its_middle(root: Path):
    lines = [f"{name},{second},0,0,1,1,1,7" for name in "abc" for second in (900.3, 900.6)]
    (root / "ava.csv").write_text("\n".join(lines))
    (root / "classes.txt").write_text("bar\n")
    layout = AnnotatedVideos(
        boxes="ava.csv", format="ava", class_file="classes.txt", splits="test", around_frames=4,
        options={"fps": 10, "excluded": None},
    )  # fmt: skip
    rows = [row for row in layout.rows(root) if row.path == "films/a.mp4"]
    assert [(row.start_seconds, row.end_seconds) for row in rows] == [(0.05, 0.45), (0.35, 0.75)]
    data = module(root.parent, layout)
    data.prepare()
    batch = collate(data.dataset("test").__getitems__([(0, 0)]), annotations=data.annotations)
    assert batch["boxes"].rows["frame"].tolist() == [2], "frame 3 of the frames 1 to 4"


def test_frames_of_another_rate_are_those_shown_at_the_same_time():
    boxes_M7 = np.array([[frame, 0, 0, 1, 1, 0, frame] for frame in range(7)], float)
    found = at_rate(boxes_M7, fps=30, own_fps=15)
    assert found[:, [0, 6]].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6]]
    film = at_rate(np.array([[60, 0, 0, 1, 1, 0, 1], [90, 0, 0, 1, 1, 0, 1]], float), fps=30, own_fps=23.976)
    assert film[:, 0].tolist() == [48, 72], "seconds 2 and 3"


def test_packed_boxes_are_unpacked():
    rows = [[3, 0.125, 2, 30.5, 9, 1, -1], [4, 0, 0, 1, 1, 0, 5]]
    for size, fps in ((None, None), ((320, 240), None), (None, 29.97), ((1, 1), 30.0)):
        found = unpack_boxes(pack_boxes(rows, size=size, fps=fps))
        assert (found.size, found.fps, found.boxes_M7.tolist()) == (size, fps, rows)
    assert unpack_boxes("").boxes_M7.shape == (0, 7)


def test_folders_of_frames_and_single_pictures_are_videos_too(tmp_path: Path):
    for sequence in ("s1", "s2"):
        (tmp_path / "root" / sequence / "img1").mkdir(parents=True)
        for t, frame in enumerate(moving_bar(num_frames=3, level=200 + len(sequence)), start=1):
            frame[0, 0, 0] = int(sequence[1])
            Image.fromarray(frame).save(tmp_path / f"root/{sequence}/img1/{t:06d}.png")
    root, boxes = tmp_path / "root", EVERY[:3]
    write_boxes([video(name, boxes, num_frames=3) for name in ("s1", "s2")], root, format="mot")
    layout = AnnotatedFrames(
        boxes=".", format="mot", template="{:06d}.png", within="img1", splits="test",
        class_names=["bar"], class_file="classes.txt",
    )  # fmt: skip
    (root / "classes.txt").write_text("bar\nshade\n")
    manifest = prepared(layout, root)
    assert list(manifest["path"]) == ["s1/img1", "s2/img1"] and manifest.classes == ["bar"]
    assert unpack_boxes(manifest["fields.boxes"][0]).boxes_M7[:, 0].tolist() == [0, 1, 2]
    picture = video("s1/img1/000001.png", [EVERY[0]._replace(track=-1)], num_frames=1)
    write_boxes([picture], root / "coco.json", format="coco")
    manifest = prepared(AnnotatedPictures(boxes="coco.json", format="coco", splits="test"), root)
    assert list(zip(manifest["path"], manifest["num_frames"])) == [("s1/img1/000001.png", 1)]


def test_a_name_means_one_video():
    paths = ["x/a.mp4", "y/a.mp4", "b.v2.mp4"]
    assert match_videos(["x/a", "b.v2", "z"], paths, where="l") == {"x/a": "x/a.mp4", "b.v2": "b.v2.mp4"}
    with pytest.raises(BadRequest, match=r"l: a may be x/a.mp4 or y/a.mp4: name it by its path"):
        match_videos(["a"], paths, where="l")
    with pytest.raises(BadRequest, match=r"l: b.v2 and b.v2.mp4 both are b.v2.mp4: keep one"):
        match_videos(["b.v2", "b.v2.mp4"], paths, where="l")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"size": "320"}, "dataset.layout.size='320' is no WIDTHxHEIGHT, such as 320x240"),
        ({"options": {"fold": 2}}, "format coco has no option 'fold': it has none"),
        ({"boxes": {"dev": "a.json"}}, "dataset.layout.boxes: 'dev' is no split: they are train, val, test"),
    ],
)
def test_what_cannot_be_is_refused_at_once(changes: dict[str, Any], fault: str):
    format: Format = "coco"
    with pytest.raises(BadRequest, match=fault):
        AnnotatedVideos(**{"boxes": "a.json", "format": format} | changes)


def test_real_videos_have_boxes_that_lie_on_people():
    """Boxes that refer to 320x240 on videos of 340x256: they change from frame to frame where what they hold does."""
    if not UCF24.is_dir():
        pytest.skip("boxes of real videos are not read: their folder is absent")
    layout = AnnotatedVideos(boxes="tubes.json", format="tubes_json", beyond="cut")
    rows = {row.path: unpack_boxes(row.field("boxes")) for row in layout.rows(UCF24)}
    stated = json.loads((UCF24 / "tubes.json").read_text())["videos"]
    assert len(rows) == 6
    for path, packed in rows.items():
        tubes = stated[Path(path).stem]["tubes"]
        assert packed.size == (320, 240)
        assert len(packed.boxes_M7) == sum(len(tube["boxes_xywh"]) for tube in tubes)
        assert torch.tensor(packed.boxes_M7[:, 0]).max() == max(tube["end_exclusive"] for tube in tubes) - 1


SETS = [
    *("annotated_videos", "annotated_frames", "ucf24", "jhmdb", "mot", "coco_video", "coco_pictures", "cvat", "ava"),
    *("label_studio", "imagenet_vid"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_each_data_set_of_boxes_lacks_nothing_but_its_data(name: str, tmp_path: Path):
    with pytest.raises(BadRequest) as raised:
        compose_dataset(name, [f"dataset.root={tmp_path}"])
    (problem,) = str(raised.value).splitlines()
    assert problem.startswith("dataset.root=") and ("does not exist" in problem or "holds no clips" in problem)
