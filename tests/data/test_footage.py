"""Layouts without labels, alone and in pairs, on miniatures of the real ones."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.films import Put, moving_bar, save_picture
from videxp.core.errors import BadRequest
from videxp.data import FrameSequences, InpaintingSet, Reds, VideoFolder, Vimeo90k, prepare
from videxp.data.layouts.base import Layout
from videxp.data.layouts.footage import counterpart
from videxp.data.manifest import Manifest
from videxp.video.frame_names import frame_files

Folder = Callable[..., None]


@pytest.fixture
def images(tmp_path: Path) -> Folder:
    """images("GT/a", "im{}.png", size=(24, 32)): a folder of images under `tmp_path/root`."""

    def images(folder: str, template: str = "{:08d}.png", *, size: tuple[int, int] = (8, 12), count: int = 3) -> None:
        (tmp_path / "root" / folder).mkdir(parents=True, exist_ok=True)
        for t, frame in enumerate(moving_bar(height=size[0], width=size[1], num_frames=count)):
            save_picture(frame, tmp_path / "root" / folder / template.format(t), mark=folder)

    return images


def prepared(layout: Layout, tmp_path: Path) -> Manifest:
    return prepare(layout, root=tmp_path / "root", cache_dir=tmp_path / "cache", name="mini", processes=1)


def samples(manifest: Manifest) -> list[tuple[str, str, str]]:
    """(split, path, input) of each sample."""
    return list(zip(manifest["split"], manifest["path"], manifest["input"]))


# ---- video files ------------------------------------------------------------------------------------------------


def test_a_folder_of_videos_has_no_labels_and_its_splits_are_made_by_hash(put: Put, tmp_path: Path) -> None:
    for i in range(10):
        put(f"day{i % 2}/{i}.mp4")
    manifest = prepared(VideoFolder(), tmp_path)
    assert manifest.classes == [] and set(manifest["label"]) == {""}
    assert manifest.counts == {"train": 7, "val": 1, "test": 2}
    assert samples(prepared(VideoFolder(), tmp_path)) == samples(manifest)
    grouped = prepared(VideoFolder(group_pattern=r"(day\d)", test_fraction=0.5), tmp_path)
    days = {(split, Path(path).parent.name) for split, path, _ in samples(grouped)}
    assert len({day for split, day in days if split != "train"} & {day for split, day in days if split == "train"}) == 0


def test_splits_by_folders_and_by_lists(put: Put, write: Callable[[str, str], Path], tmp_path: Path) -> None:
    for path in ("train/a.mp4", "train/deep/b.avi", "val/c.mp4"):
        put(path)
    assert samples(prepared(VideoFolder(), tmp_path)) == [
        ("train", "train/a.mp4", ""),
        ("train", "train/deep/b.avi", ""),
        ("val", "val/c.mp4", ""),
        ("test", "val/c.mp4", ""),
    ]
    write("mine.txt", "train/a.mp4\n\nval/c.mp4\n")
    write("test.txt", "train/deep/b.avi\n")
    listed = prepared(VideoFolder(train_list="mine.txt", test_list="test.txt", val_fraction=0.5), tmp_path)
    assert Counter(split for split, _, _ in samples(listed)) == {"train": 1, "val": 1, "test": 1}
    with pytest.raises(BadRequest, match=r"other.txt does not exist"):
        prepared(VideoFolder(train_list="other.txt"), tmp_path)


def test_a_set_for_tests_alone_needs_nothing_to_train_on(put: Put, tmp_path: Path) -> None:
    put("a.mp4")
    with pytest.raises(BadRequest, match="holds no clips"):
        prepared(VideoFolder(splits="test", extensions=[".avi"]), tmp_path)
    assert prepared(VideoFolder(splits="test"), tmp_path).counts == {"train": 0, "val": 0, "test": 1}


# ---- pairs ------------------------------------------------------------------------------------------------------


def test_pairs_are_found_by_folder_or_pattern() -> None:
    assert counterpart("LR/X4", "a/b.mp4") == "LR/X4/a/b.mp4"
    assert counterpart("LR/{parent}/{stem}x4.avi", "a/b.mp4") == "LR/a/bx4.avi"
    with pytest.raises(BadRequest, match=r"'folder' is no field: there are \{path\}, \{parent\}, \{name\}, \{stem\}"):
        VideoFolder(targets="GT", inputs="LR/{folder}")
    with pytest.raises(BadRequest, match="inputs=LR would lie among the clips"):
        VideoFolder(inputs="LR")


def test_a_pair_is_of_the_same_frames_at_a_whole_part_of_the_size(images: Folder, tmp_path: Path) -> None:
    for name in "abcd":
        images(f"GT/{name}", size=(16, 24))
    images("LR/a", size=(4, 6))
    images("LR/b", size=(4, 5))
    images("LR/c", size=(4, 6), count=2)
    layout = FrameSequences(targets="GT", inputs="LR", splits="test")
    with pytest.raises(BadRequest, match="3 of 4 files cannot be read") as caught:
        prepared(layout, tmp_path)
    for line in (
        "GT/b: it is 24x16, its input LR/b is 5x4: no whole part of it",
        "GT/c: it has 3 frames, its input LR/c has 2",
        "GT/d: its input LR/d: No such file or directory",
    ):
        assert line in str(caught.value)
    for name in "bcd":
        images(f"LR/{name}", size=(4, 6))
    manifest = prepared(layout, tmp_path)
    assert manifest.scale == 4
    assert samples(manifest)[0] == ("test", "GT/a", "LR/a")
    assert manifest.row(0)["input_width"] == 6
    images("LR/d", size=(8, 12))
    with pytest.raises(BadRequest, match=r"several scales: LR/a x4, LR/d x2"):
        _ = prepared(layout, tmp_path).scale


def test_the_fingerprint_covers_inputs_and_is_the_old_one_without(images: Folder, tmp_path: Path) -> None:
    images("GT/a", size=(16, 24))
    images("LR/a", size=(4, 6))
    alone = prepared(FrameSequences(targets="GT", splits="test"), tmp_path)
    layout = FrameSequences(targets="GT", inputs="LR", splits="test")
    pair = prepared(layout, tmp_path)
    assert alone.fingerprint != pair.fingerprint
    assert Manifest.read(next((tmp_path / "cache/manifests").glob("*.tsv"))).fingerprint in (
        alone.fingerprint,
        pair.fingerprint,
    )
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "root/LR/a/00000001.png")
    changed = prepared(layout, tmp_path)
    assert changed["content_hash"][0] == pair["content_hash"][0]
    assert changed.fingerprint != pair.fingerprint


def test_what_did_not_change_is_not_read_again(images: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        images(f"GT/{name}", size=(16, 24))
        images(f"LR/{name}", size=(4, 6))
    layout = FrameSequences(targets="GT", inputs="LR", splits="test")
    first = prepared(layout, tmp_path)
    read = []

    def note(self: FrameSequences, path: Path, **_: bool) -> None:
        read.append(f"{path.parent.name}/{path.name}")

    monkeypatch.setattr(FrameSequences, "facts", note)
    assert prepared(layout, tmp_path).fingerprint == first.fingerprint
    assert read == []


# ---- image sequences --------------------------------------------------------------------------------------------


def test_frames_are_counted_as_people_do(tmp_path: Path) -> None:
    for name in ("im10.png", "im2.png", "im1.png", "notes.txt", ".im0.png", "thumb.JPG"):
        (tmp_path / name).touch()
    names = [file.name for file in frame_files(tmp_path, template="*")]
    assert sorted(["im10.png", "im2.png", "im1.png"]) == ["im1.png", "im10.png", "im2.png"]  # the stock way
    assert names == ["im1.png", "im2.png", "im10.png", "thumb.JPG"]
    assert [file.name for file in frame_files(tmp_path, template="im*.png")] == names[:3]


def test_frame_sequences_are_read_whatever_their_names(images: Folder, tmp_path: Path) -> None:
    images("vid/calendar", "Frame {:03d}.png")
    images("vid/city", "im{}.png", count=12)
    manifest = prepared(FrameSequences(splits="test"), tmp_path)
    assert samples(manifest) == [("test", "vid/calendar", ""), ("test", "vid/city", "")]
    assert manifest["num_frames"].tolist() == [3, 12]
    assert manifest.frame_template == "*"


# ---- published sets ---------------------------------------------------------------------------------------------


def test_reds4_and_the_official_protocol(images: Folder, tmp_path: Path) -> None:
    for clip in ("000", "001", "011", "015", "020", "239"):
        images(f"train/train_sharp/{clip}", size=(8, 12), count=2)
        images(f"train/train_sharp_bicubic/X4/{clip}", size=(2, 3), count=2)
    images("val/val_sharp/000", size=(8, 12), count=2)
    images("val/val_sharp_bicubic/X4/000", size=(2, 3), count=2)
    reds4 = prepared(Reds(), tmp_path)
    test = [path for split, path, _ in samples(reds4) if split == "test"]
    assert test == [f"train/train_sharp/{clip}" for clip in ("000", "011", "015", "020")]
    assert [path for split, path, _ in samples(reds4) if split == "val"] == test
    assert [path for split, path, _ in samples(reds4) if split == "train"] == [
        "train/train_sharp/001",
        "train/train_sharp/239",
        "val/val_sharp/000",
    ]
    inputs = {"train_inputs": "train/train_sharp_bicubic/X4", "val_inputs": "val/val_sharp_bicubic/X4"}
    official = prepared(Reds(protocol="official", **inputs), tmp_path)
    assert official.counts == {"train": 6, "val": 1, "test": 1}
    assert official.scale == 4
    assert samples(official)[0] == ("train", "train/train_sharp/000", "train/train_sharp_bicubic/X4/000")
    with pytest.raises(BadRequest, match="train_inputs and val_inputs go together"):
        Reds(train_inputs="x")


def test_vimeo90k_by_its_lists_with_whole_videos_held_out(
    images: Folder, write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    train = [f"{video:05d}/{clip:04d}" for video in (1, 2, 3) for clip in (1, 2)]
    for clip in (*train, "00009/0001"):
        images(f"sequences/{clip}", "im{}.png", count=7)
        images(f"BIx4/{clip}", "im{}.png", size=(2, 3), count=7)
    write("sep_trainlist.txt", "\n".join(train) + "\n")
    write("sep_testlist.txt", "00009/0001\n\n")
    manifest = prepared(Vimeo90k(inputs="BIx4", val_fraction=0.3), tmp_path)
    assert manifest.counts == {"train": 4, "val": 2, "test": 1}
    assert len({path[:15] for split, path, _ in samples(manifest) if split == "val"}) == 1
    assert samples(manifest)[-1] == ("test", "sequences/00009/0001", "BIx4/00009/0001")
    assert manifest["num_frames"].tolist() == [7] * 7


def test_davis_and_youtube_vos_as_inpainting_has_them(tmp_path: Path):
    for name in ("bear", "bus", "camel", "goat", "kite"):
        for t in range(3):
            frame = np.full((8, 12, 3), 20 * t, dtype=np.uint8)
            places = [f"JPEGImages_432_240/{name}/{t:05d}.jpg"]
            places += [f"test_masks/{name}/{t:05d}.png"] if name in ("goat", "kite") else []
            for place in places:
                (tmp_path / "root" / place).parent.mkdir(parents=True, exist_ok=True)
                save_picture(frame, tmp_path / "root" / place, mark=place)
    lists = {"train.json": ["bear", "bus", "camel"], "test.json": ["kite", "goat"]}
    for file, names in lists.items():
        (tmp_path / "root" / file).write_text(json.dumps(dict.fromkeys(names, 3)))
    manifest = prepared(InpaintingSet(val_fraction=0.34), tmp_path)
    rows = [manifest.row(i) for i in range(len(manifest))]
    tests = {row["path"]: row["input"] for row in rows if row["split"] == "test"}
    assert tests == {f"JPEGImages_432_240/{name}": f"test_masks/{name}" for name in ("goat", "kite")}
    assert manifest.counts == {"train": 2, "val": 1, "test": 2}
    assert all(not row["input"] for row in rows if row["split"] != "test")  # drawn
    alone = prepared(InpaintingSet(train_list=None), tmp_path)
    assert alone.counts == {"train": 0, "val": 2, "test": 2}
    (tmp_path / "root" / "test.json").write_text('["goat"]')
    with pytest.raises(BadRequest, match=r"test.json: not like \{'bear': 82\}"):
        prepared(InpaintingSet(), tmp_path)
