"""Each layout on a miniature of the real one."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.films import Put, save_picture
from videxp.core.errors import BadRequest
from videxp.data import (
    HMDB51,
    UCF101,
    FolderPerClass,
    FrameFolders,
    Kinetics,
    ManifestFile,
    SomethingSomethingV2,
    prepare,
)
from videxp.data.layouts.base import Layout, check_rows
from videxp.data.manifest import Manifest, Row

Write = Callable[[str, str], Path]


def prepared(layout: Layout, tmp_path: Path) -> Manifest:
    return prepare(layout, root=tmp_path / "root", cache_dir=tmp_path / "cache", name="mini", processes=1)


def samples(manifest: Manifest) -> list[tuple[str, str, str]]:
    """(split, label, path) of each sample."""
    return list(zip(manifest["split"], manifest["label"], manifest["path"]))


# ---- a folder per class -----------------------------------------------------------------------------------------


def test_split_folders_with_a_folder_per_class(put: Put, tmp_path: Path) -> None:
    for path in (
        "train/run/a.mp4",
        "train/walk/deep/b.MP4",
        "val/run/c.mp4",
        "test/walk/d.mp4",
        "train/run/.hidden.mp4",
    ):
        put(path, of="bar.mp4")
    (tmp_path / "root/train/run/notes.txt").write_text("no video")
    assert samples(prepared(FolderPerClass(), tmp_path)) == [
        ("train", "run", "train/run/a.mp4"),
        ("train", "walk", "train/walk/deep/b.MP4"),
        ("val", "run", "val/run/c.mp4"),
        ("test", "walk", "test/walk/d.mp4"),
    ]


def test_val_is_test_where_there_is_no_test_folder(put: Put, tmp_path: Path) -> None:
    for path in ("train/run/a.mp4", "val/run/b.mp4"):
        put(path)
    assert [(s, p) for s, _, p in samples(prepared(FolderPerClass(), tmp_path))] == [
        ("train", "train/run/a.mp4"),
        ("val", "val/run/b.mp4"),
        ("test", "val/run/b.mp4"),
    ]


def touched(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_splits_are_made_from_each_class_the_same_everywhere(tmp_path: Path) -> None:
    names = [f"{label}/{i:02d}.mp4" for label in ("run", "walk") for i in range(20)]
    rows = FolderPerClass().rows(touched(tmp_path / "here", *names))
    assert Counter((row.split, "|".join(row.labels)) for row in rows) == {
        ("train", "run"): 14, ("train", "walk"): 14, ("val", "run"): 2, ("val", "walk"): 2,
        ("test", "run"): 4, ("test", "walk"): 4,
    }  # fmt: skip
    assert rows == FolderPerClass().rows(touched(tmp_path / "there", *reversed(names)))
    assert rows != FolderPerClass(split_seed=1).rows(tmp_path / "here")


def test_a_source_is_never_torn_apart(tmp_path: Path) -> None:
    names = [
        f"{label}/{who}_{i}.mp4"
        for label in ("run", "walk")
        for who in ("ann", "bob", "cy", "di", "ed")
        for i in range(4)
    ]
    layout = FolderPerClass(group_pattern=r"([a-z]+)_\d", val_fraction=0.25)
    split_of: dict[str, set[str]] = {}
    for row in layout.rows(touched(tmp_path, *names)):
        split_of.setdefault(Path(row.path).name.split("_")[0], set()).add(row.split)
    assert sorted(map(sorted, split_of.values())) == [["test"], ["train"], ["train"], ["train"], ["val"]]
    with pytest.raises(BadRequest, match=r"does not match the path 'run/x\.mp4'"):
        layout.rows(touched(tmp_path, "run/x.mp4"))


def test_what_is_missing_is_said_with_a_remedy(tmp_path: Path, write: Write) -> None:
    root = tmp_path / "root"
    assert FolderPerClass().missing(root) == [
        f"the folder {root} does not exist: put the data there, or set dataset.root"
    ]
    root.mkdir()
    assert "holds no videos" in FolderPerClass().missing(root)[0]
    assert UCF101().missing(root)[0] == (
        f"{root}/ucfTrainTestlist/classInd.txt does not exist: put it there, or name it in dataset.layout"
    )
    for layout, count in (
        (HMDB51(), 2),
        (Kinetics(), 4),
        (SomethingSomethingV2(), 4),
        (ManifestFile(), 1),
        (FrameFolders(), 1),
    ):
        assert len(layout.missing(root)) == count
    with pytest.raises(BadRequest, match=r"Data set mini: the folder .* does not exist"):
        prepare(FolderPerClass(), root=root / "no", cache_dir=tmp_path, name="mini")


# ---- a list of one's own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_a_manifest_with_parts_of_videos(ending: str, put: Put, write: Write, tmp_path: Path) -> None:
    rows = [
        ("a.mp4", "run", "train", "", ""),
        ("b.mp4", "walk", "train", "0.2", "0.9"),
        ("a b.mp4", "run, fast", "test", "", ""),
        ("c.mp4", "run, fast", "training", "", ""),
        ("d.mp4", "walk", "valid", "0", ""),
    ]
    names = ("path", "label", "split", "start_seconds", "end_seconds")
    if ending == "jsonl":
        text = "\n".join(json.dumps({n: v for n, v in zip(names, row) if v}) for row in rows)
    else:
        comma = {"csv": ",", "tsv": "\t"}[ending]
        quoted = [[f'"{v}"' if ending == "csv" and "," in v else v for v in row] for row in rows]
        text = "\n".join(comma.join(row) for row in (names, *quoted)) + "\n"
    write(f"manifest.{ending}", text)
    for path, *_ in rows:
        put(path)
    manifest = prepared(ManifestFile(file=f"manifest.{ending}"), tmp_path)
    assert samples(manifest) == [
        ("train", "run", "a.mp4"),
        ("train", "walk", "b.mp4"),
        ("train", "run, fast", "c.mp4"),
        ("val", "walk", "d.mp4"),
        ("test", "run, fast", "a b.mp4"),
    ]
    assert (manifest.row(1)["start_seconds"], manifest.row(1)["end_seconds"]) == (0.2, 0.9)


def test_any_column_can_say_the_split(write: Write) -> None:
    lines = [
        f"{label}/s{subject}.mp4\tsomewhere\t{label}\t{subject}"
        for subject in range(1, 7)
        for label in ("sit", "walk", "lie")
    ]
    file = write("MANIFEST.tsv", "\n".join(["file\tsource\tlabel\tsubject", *lines]))
    layout = ManifestFile(
        file="MANIFEST.tsv",
        path_column="file",
        split_column="subject",
        train_values=[1, 2, 3, 4],
        val_values=[5],
        test_values=["6"],
        where={"label": ["sit", "walk"]},
    )
    assert Counter((row.split, "|".join(row.labels)) for row in layout.rows(file.parent)) == {
        (split, label): count for split, count in (("train", 4), ("val", 1), ("test", 1)) for label in ("sit", "walk")
    }
    layout.values["test"] = []
    with pytest.raises(BadRequest, match=r"line 17: subject='6' belongs to no split"):
        layout.rows(file.parent)


def test_a_manifest_without_splits_is_split_by_group(write: Write) -> None:
    lines = [f"{who}{i}.mp4,{label},{who}" for who in "abcdefghij" for i, label in enumerate(("x", "y"))]
    file = write("manifest.csv", "\n".join(["path,label,speaker", *lines]))
    rows = ManifestFile(file="manifest.csv", group_column="speaker").rows(file.parent)
    assert Counter(row.split for row in rows) == {"train": 14, "val": 2, "test": 4}
    assert all(len({row.split for row in rows if row.path[0] == who}) == 1 for who in "abcdefghij")


def test_one_file_per_split_relative_to_itself(write: Write, tmp_path: Path) -> None:
    write("lists/train.csv", "path,label\n../a.mp4,x\n")
    write("lists/held.csv", "path,label\n../b.mp4,x\n")
    layout = ManifestFile(
        train_file="lists/train.csv", val_file="lists/held.csv", test_file="lists/held.csv", relative_to_file=True
    )
    assert [(row.split, row.path) for row in layout.rows(tmp_path / "root")] == [
        ("train", "a.mp4"),
        ("val", "b.mp4"),
        ("test", "b.mp4"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "path,lable\na.mp4,x\n", "line 2: no column 'label' among path, lable"),
        ("m.csv", "path,label\na.mp4,\n", "line 2: the column 'label' is empty"),
        ("m.csv", "path,label\na.mp4\n", "line 2: not 2 columns"),
        ("m.csv", "path,label,start_seconds\na.mp4,x,soon\n", "line 2: start_seconds='soon' is no number"),
        ("m.csv", "", "m.csv is empty: its first line must name the columns"),
        ("m.csv", "path,label,split\na.mp4,x,train\na.mp4,x,train\n", "lists a.mp4 twice in train"),
        ("m.csv", "path,label,split\na.mp4,x,train\na.mp4,x,test\n", "has a.mp4 both in train and in test"),
        ("m.csv", "path,label,split\na.mp4,x,train\nb.mp4,y,test\n", "class 'y' is in test .b.mp4. but in no training"),
        ("m.jsonl", '{"path": "a.mp4"\n', "line 1: no JSON object"),
        ("m.xlsx", "", "cannot tell how it is written"),
    ],
)  # fmt: skip
def test_a_bad_manifest_is_refused_with_its_line(name: str, text: str, message: str, write: Write) -> None:
    file = write(name, text)
    with pytest.raises(BadRequest, match=message):
        check_rows(ManifestFile(file=name).rows(file.parent), name="mini")


def test_partly_shared_val_and_test_are_refused() -> None:
    rows = [Row("a", "train", ("x",)), Row("b", "val", ("x",)), Row("c", "val", ("x",)), Row("b", "test", ("x",))]
    with pytest.raises(BadRequest, match=r"1 samples both in val and in test, such as b"):
        check_rows(rows, name="mini")
    check_rows([*rows, Row("c", "test", ("x",))], name="mini")  # wholly the same: meant so
    with pytest.raises(BadRequest, match="labels a both 'x' and 'y'"):
        check_rows(
            [Row("a", "val", ("x",)), Row("a", "test", ("y",)), Row("t", "train", ("x",)), Row("u", "train", ("y",))],
            name="mini",
        )


# ---- published data sets ----------------------------------------------------------------------------------------


def ucf101(put: Put, write: Write) -> None:
    write("ucfTrainTestlist/classInd.txt", "1 YoYo\r\n2 Archery\r\n")
    train = [
        f"{label}/v_{label}_g{g:02d}_c0{c}.avi" for label in ("YoYo", "Archery") for g in (8, 9, 10) for c in (1, 2)
    ]
    test = [f"{label}/v_{label}_g01_c01.avi" for label in ("YoYo", "Archery")]
    write("ucfTrainTestlist/trainlist02.txt", "\r\n".join(f"{p} {1 + p.startswith('A')}" for p in train) + "\r\n")
    write("ucfTrainTestlist/testlist02.txt", "\r\n".join(test) + "\r\n")
    for path in (*train, *test):
        put(f"UCF-101/{path}")


def test_ucf101_holds_out_whole_groups_for_val(put: Put, write: Write, tmp_path: Path) -> None:
    ucf101(put, write)
    manifest = prepared(UCF101(fold=2), tmp_path)
    assert manifest.classes == ["YoYo", "Archery"]  # the official numbers
    assert manifest.counts == {"train": 8, "val": 4, "test": 2}
    groups: dict[str, set[str]] = {}
    for split, _, path in samples(manifest):
        groups.setdefault(path[:-8], set()).add(split)
    assert all(len(splits) == 1 for splits in groups.values())
    as_papers = prepared(UCF101(fold=2, validation="test"), tmp_path)
    assert as_papers.counts == {"train": 12, "val": 2, "test": 2}


def test_ucf101_names_an_unknown_class(put: Put, write: Write, tmp_path: Path) -> None:
    ucf101(put, write)
    write("ucfTrainTestlist/testlist02.txt", "Yoyo/v_Yoyo_g01_c01.avi\n")
    with pytest.raises(BadRequest, match=r"testlist02.txt, line 1: unknown label 'Yoyo': did you mean 'YoYo'"):
        UCF101(fold=2).rows(tmp_path / "root")


def test_hmdb51(put: Put, write: Write, tmp_path: Path) -> None:
    for label in ("brush_hair", "wave"):
        names = [
            f"{film}_{label}_u_nm_np1_ba_goo_{i}.avi" for film in ("April_09", "May", "Jun", "Jul") for i in (0, 1)
        ]
        kinds = (1, 1, 1, 1, 1, 1, 2, 0)
        lines = [f"{name} {kind} " for name, kind in zip(names, kinds)]
        write(f"testTrainMulti_7030_splits/{label}_test_split3.txt", "\n".join(lines) + "\n")
        for name in names:
            put(f"videos/{label}/{name}")
    manifest = prepared(HMDB51(fold=3, val_fraction=0.3), tmp_path)
    assert manifest.classes == ["brush_hair", "wave"]
    assert manifest.counts == {"train": 8, "val": 4, "test": 2}
    assert all("Jul" in path for split, _, path in samples(manifest) if split == "test")
    write("testTrainMulti_7030_splits/wave_test_split3.txt", "x.avi 7\n")
    with pytest.raises(BadRequest, match=r"line 1: 'x.avi 7' is not a file name with 0, 1 or 2"):
        HMDB51(fold=3).rows(tmp_path / "root")


def test_kinetics_in_one_folder_or_a_folder_per_class(put: Put, write: Write, tmp_path: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split,is_cc\n"
    lines = [
        "abseiling,0123456789a,3,13,train,0",
        '"playing, flute",-_23456789b,120,130,train,0',
        "abseiling,gonegonegon,0,10,train,0",
    ]
    write("annotations/train.csv", head + "\n".join(lines))
    write("annotations/val.csv", head + "abseiling,0123456789c,0,10,val,0\n")
    put("train/0123456789a_000003_000013.mp4")
    put("train/playing flute/-_23456789b_000120_000130.webm")
    put("val/abseiling/0123456789c_000000_000010.mp4")
    with pytest.raises(BadRequest, match=r"1 of 4 files cannot be read: train/gonegonegon_\d+_\d+.mp4: No such file"):
        prepared(Kinetics(), tmp_path)
    manifest = prepare(
        Kinetics(), root=tmp_path / "root", cache_dir=tmp_path, name="mini", max_unreadable=1, processes=1
    )
    assert manifest.counts == {"train": 2, "val": 1, "test": 1}
    assert manifest.classes == ["abseiling", "playing, flute"]
    assert {path for _, _, path in samples(manifest)} >= {"train/playing flute/-_23456789b_000120_000130.webm"}


def test_something_something_v2(put: Put, write: Write, tmp_path: Path) -> None:
    labels = {"Holding something": "1", "Dropping something onto something": "0"}
    write("labels/labels.json", json.dumps(labels))
    entry = {"id": "7", "label": "holding a cup", "template": "Holding [something]", "placeholders": ["a cup"]}
    other = {"id": "8", "label": "dropping a cup onto a table", "template": "Dropping [something] onto [something]"}
    write("labels/train.json", json.dumps([entry, other]))
    write("labels/validation.json", json.dumps([entry | {"id": "9"}]))
    write("labels/test-answers.csv", "10;Holding something\n")
    for number in (7, 8, 9, 10):
        put(f"20bn-something-something-v2/{number}.webm")
    manifest = prepared(SomethingSomethingV2(), tmp_path)
    assert manifest.classes == ["Dropping something onto something", "Holding something"]
    assert [(s, p[-6:]) for s, _, p in samples(manifest)] == [
        ("train", "7.webm"),
        ("train", "8.webm"),
        ("val", "9.webm"),
        ("test", "9.webm"),
    ]
    assert manifest.counts == {"train": 2, "val": 1, "test": 1}
    with_answers = prepared(SomethingSomethingV2(test="test"), tmp_path)
    assert [path for split, _, path in samples(with_answers) if split == "test"] == [
        "20bn-something-something-v2/10.webm"
    ]


# ---- folders of images ------------------------------------------------------------------------------------------


def images(root: Path, folder: str, count: int, *, template: str = "img_{:05d}.jpg", first: int = 1) -> None:
    (root / folder).mkdir(parents=True)
    for i in range(first, first + count):
        frame = np.full((24, 32, 3), 10 * i, dtype=np.uint8)
        save_picture(frame, root / folder / template.format(i), mark=folder)


def test_frame_folders_listed_as_tsn_does(write: Write, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder, count in (("a b", 5), ("c", 3), ("d", 4)):
        images(root / "frames", folder, count)
    write("train.txt", "a b 5 1\nc 3 0\n")
    write("val.txt", "d 4 0\n")
    write("classes.txt", "walk\nrun\n")
    layout = FrameFolders(
        frames="frames", train_list="train.txt", val_list="val.txt", class_file="classes.txt", fps=12.5
    )
    manifest = prepared(layout, tmp_path)
    assert samples(manifest) == [
        ("train", "run", "frames/a b"),
        ("train", "walk", "frames/c"),
        ("val", "walk", "frames/d"),
        ("test", "walk", "frames/d"),
    ]
    first = manifest.row(0)
    assert (first["num_frames"], first["fps"], first["width"], first["height"]) == (5, 12.5, 32, 24)
    write("val.txt", "d 4 2\n")
    with pytest.raises(BadRequest, match="line 1: label 2, but 2 classes are named"):
        layout.rows(root)


def test_frame_folders_per_class_and_a_gap_is_unreadable(tmp_path: Path) -> None:
    root = tmp_path / "root"
    template = "{:03d}.png"
    for folder in ("train/run/a", "train/run/b", "val/run/c", "test/run/d"):
        images(root, folder, 3, template=template, first=0)
    layout = FrameFolders(template=template)
    assert prepared(layout, tmp_path).counts == {"train": 2, "val": 1, "test": 1}
    (root / "train/run/a/001.png").unlink()
    with pytest.raises(BadRequest, match=r"train/run/a: frame 001.png is missing"):
        prepared(layout, tmp_path)
