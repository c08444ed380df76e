"""From a folder of files to samples: which files, which splits, and what is said of the rest."""

import os
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from tests.films import Put
from videxp.cli.commands.prepare import main
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, FrameFolders, FrameSequences, VideoFolder
from videxp.data.layouts.base import Layout
from videxp.data.manifest import Row
from videxp.data.notes import Notes
from videxp.data.preparing.preparation import list_samples
from videxp.deploy.inputs import expand


def touched(root: Path, *paths: str) -> Path:
    """Layouts list files and open none."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def looked_through(layout: Layout, root: Path) -> tuple[list[Row], str]:
    """The samples, and all notes."""
    rows = list(layout.rows(root, notes := Notes()))
    return rows, "\n".join(f"{about}: {text}" for about, text in notes.lines)


def splits_of(rows: list[Row]) -> Counter[str]:
    return Counter(row.split for row in rows)


# ---- names of splits --------------------------------------------------------------------------------------------

SPELLINGS = [
    ("train", "val", "test"),
    ("Train", "Val", "Test"),
    ("TRAINING", "VALIDATION", "TESTING"),
    ("training", "valid", "test"),
    ("train_set", "dev_set", "test_set"),
    ("TrainData", "eval", "TestData"),
    ("1_train", "2_val", "3_test"),
    ("trn", "vali", "tst"),
]


@pytest.mark.parametrize("names", SPELLINGS)
@pytest.mark.parametrize("layout", [FolderPerClass(), VideoFolder()], ids=["classes", "footage"])
def test_split_folders_are_found_by_their_usual_names(names: tuple[str, ...], layout: Layout, tmp_path: Path) -> None:
    counts = dict(zip(("train", "val", "test"), (4, 2, 3)))
    for name, count in zip(names, counts.values()):
        touched(tmp_path, *(f"{name}/{label}/{i}.mp4" for label in ("run", "walk") for i in range(count)))
    rows, notes = looked_through(layout, tmp_path)
    assert splits_of(rows) == {split: 2 * count for split, count in counts.items()}
    assert {"|".join(row.labels) for row in rows} in ({"run", "walk"}, {""})
    assert notes == ""


@pytest.mark.parametrize(
    ("layout", "clips"),
    [
        (FrameSequences(), ["Training/a/im1.png", "valid/b/im1.png", "TEST/c/im1.png"]),
        (FrameFolders(), ["Training/run/a/i1.png", "valid/run/b/i1.png", "TEST/run/c/i1.png"]),
        (FolderPerClass(), [f"{label}/{split}/a.mp4" for label in "xy" for split in ("Training", "valid", "TEST")]),
    ],
)
def test_splits_of_image_folders_and_inside_of_classes_too(layout: Layout, clips: list[str], tmp_path: Path) -> None:
    rows, _ = looked_through(layout, touched(tmp_path, *clips))
    assert {(row.split, row.path.split("/")[1 if row.labels in (("x",), ("y",)) else 0]) for row in rows} == {
        ("train", "Training"),
        ("val", "valid"),
        ("test", "TEST"),
    }


def test_a_class_called_as_a_split_is_asked_about_and_both_answers_work(tmp_path: Path) -> None:
    touched(tmp_path, *(f"{vehicle}/{i}.mp4" for vehicle in ("bus", "train", "car") for i in range(5)))
    for layout in (FolderPerClass(), VideoFolder()):
        with pytest.raises(BadRequest, match=r"called as splits \(train\) lie beside others .*\(bus, car\)") as caught:
            looked_through(layout, tmp_path)
    assert "dataset.layout.train_folder=train" in str(caught.value) and "dataset.layout.splits=made" in str(
        caught.value
    )
    rows, _ = looked_through(FolderPerClass(splits="made"), tmp_path)
    assert {"|".join(row.labels) for row in rows} == {"bus", "train", "car"}
    touched(tmp_path, "train/a/1.mp4", "train/a/2.mp4", "train/a/3.mp4")
    rows, notes = looked_through(FolderPerClass(train_folder="train"), tmp_path)
    assert {row.path for row in rows} == {f"train/a/{i}.mp4" for i in (1, 2, 3)}
    assert "folders beside those that dataset.layout names: 2, such as bus, car" in notes
    assert "loose videos outside of class folders: 5" in notes


@pytest.mark.parametrize("names", ["kinetics_train kinetics_val kinetics_test", "train2017 test2017", "tr va te",
                                   "TrainClipsV2 ValClipsV2 TestClipsV2", "split.train split.dev"])  # fmt: skip
@pytest.mark.parametrize("layout", [FolderPerClass, VideoFolder])
def test_folders_called_nearly_as_splits_are_asked_about_and_both_answers_work(
    layout: type[FolderPerClass | VideoFolder], names: str, tmp_path: Path
) -> None:
    root = touched(tmp_path, *(f"{name}/{label}/{i}.mp4" for name in names.split() for label in "ab" for i in (1, 2)))
    with pytest.raises(BadRequest, match="look like splits, not classes") as refused:
        looked_through(layout(), root)
    typed = re.findall(r"dataset\.layout\.(\w+)=(\S+?)[;'\s]", f"{refused.value} ")
    rows, _ = looked_through(layout(**dict(typed[:-1])), root)
    assert {row.path.split("/")[0] for row in rows if row.split == "train"} == {names.split(maxsplit=1)[0]}
    assert {"|".join(row.labels) for row in rows} == ({"a", "b"} if layout is FolderPerClass else {""})
    assert typed[-1] == ("splits", "made")
    if layout is FolderPerClass:
        assert {"|".join(row.labels) for row in layout(splits="made").rows(root)} == {*names.split()}


def test_classes_one_of_which_is_called_nearly_as_a_split_are_classes(tmp_path: Path) -> None:
    root = touched(tmp_path, *(f"{name}/{i}.mp4" for name in ("train_passes", "test_drive", "car") for i in range(5)))
    assert {"|".join(row.labels) for row in looked_through(FolderPerClass(), root)[0]} == {
        "train_passes",
        "test_drive",
        "car",
    }


def test_where_dev_and_eval_are_there_the_one_may_be_for_testing(tmp_path: Path) -> None:
    root = touched(tmp_path, "train/a/1.mp4", "dev/a/2.mp4", "eval/a/3.mp4")
    with pytest.raises(BadRequest, match=r"val_folder=dev; if .* testing, dataset.layout.test_folder=eval, too"):
        looked_through(FolderPerClass(), root)
    rows, _ = looked_through(FolderPerClass(val_folder="dev", test_folder="eval"), root)
    assert [(row.split, row.path) for row in rows] == [
        ("train", "train/a/1.mp4"), ("val", "dev/a/2.mp4"), ("test", "eval/a/3.mp4")
    ]  # fmt: skip


def test_two_folders_for_one_split_are_asked_about(tmp_path: Path) -> None:
    touched(tmp_path, "train/a/1.mp4", "dev/a/2.mp4", "valid/a/3.mp4", "test/a/4.mp4")
    with pytest.raises(
        BadRequest, match=r"dev and valid both mean the val split: name one, dataset.layout.val_folder=dev"
    ):
        looked_through(FolderPerClass(), tmp_path)
    rows, notes = looked_through(FolderPerClass(val_folder="dev"), tmp_path)
    assert splits_of(rows) == {"train": 1, "val": 1, "test": 1} and "names: valid" in notes
    with pytest.raises(BadRequest, match=r"held does not exist: dataset.layout.test_folder=held"):
        looked_through(FolderPerClass(test_folder="held"), tmp_path)


def test_a_root_one_folder_too_high_is_asked_about(tmp_path: Path) -> None:
    touched(tmp_path, "ds/run/a.mp4", "ds/walk/b.mp4")
    with pytest.raises(BadRequest, match=r"holds but the folder ds, and that run, walk: .*dataset.root=\S+/ds"):
        looked_through(FolderPerClass(), tmp_path)
    assert {"|".join(row.labels) for row in FolderPerClass().rows(tmp_path / "ds")} == {"run", "walk"}


def test_loose_videos_are_counted_where_no_class_is_found(tmp_path: Path) -> None:
    root = touched(tmp_path / "root", "0.mp4", "1.mkv", "notes.txt")
    (message,) = FolderPerClass().missing(root)
    assert "2 lie in it directly" in message and "dataset=manifest" in message
    (tmp_path / "root/a").mkdir()
    for name in ("0.mp4", "1.mkv"):
        (root / name).rename(root / "a" / name)
    assert FolderPerClass().missing(root) == []


def test_classes_that_a_split_lacks_are_told_and_other_spellings_are_named(tmp_path: Path) -> None:
    paths = [f"{split}/{label}/{split}.mp4" for split in ("train", "val", "test") for label in ("run", "walk")]
    root = touched(tmp_path / "root", *paths)
    list_samples(FolderPerClass(), root, name="mini", notes=(heard := Notes()))
    assert heard.lines == []
    (root / "val/run").rename(root / "val/.gone")
    list_samples(FolderPerClass(), root, name="mini", notes=(heard := Notes()))
    assert ("classes", "val has no sample of 1 of 2: run") in heard.lines
    (root / "test/run").rename(root / "test/Run")
    with pytest.raises(BadRequest, match=r"class 'Run' is in test .* in no training sample: call it 'run', as train"):
        list_samples(FolderPerClass(), root, name="mini")


def test_some_splits_inside_of_classes_are_asked_about(tmp_path: Path) -> None:
    touched(tmp_path, "run/train/a.mp4", "run/test/b.mp4", "walk/c.mp4")
    with pytest.raises(BadRequest, match=r"such as run/\w+/\w.mp4, others do not, such as walk/c.mp4"):
        looked_through(FolderPerClass(), tmp_path)


# ---- which files ------------------------------------------------------------------------------------------------


def test_each_real_file_counts_once_and_links_lead_in_no_circles(tmp_path: Path) -> None:
    root = touched(tmp_path / "root", "a/0.mp4", "a/1.mp4", "a/deep/2.mp4", "b/3.mp4")
    os.symlink(".", root / "a/again")
    stock = [name for _, _, names in os.walk(root, followlinks=True) for name in names]
    assert len(stock) > 100  # the stock way
    os.symlink("..", root / "a/deep/above")
    os.symlink("deep", root / "a/alias")
    os.symlink("0.mp4", root / "a/first.mp4")
    os.symlink(root, root / "b/root")
    rows, notes = looked_through(FolderPerClass(), root)
    assert sorted(row.path for row in rows) == ["a/0.mp4", "a/1.mp4", "a/deep/2.mp4", "b/3.mp4"]
    assert "links to a folder that they lie in: 3" in notes
    assert "links to folders that are read already: a/alias" in notes
    assert "links to files that are listed already: a/first.mp4" in notes
    assert len(looked_through(VideoFolder(), root)[0]) == 4


@pytest.mark.parametrize("layout", [FolderPerClass(), VideoFolder(), FrameSequences()], ids=type)
def test_samples_of_runs_that_lie_among_the_data_are_no_data(layout: Layout, tmp_path: Path) -> None:
    own, kind = ("clips", "png") if isinstance(layout, FrameSequences) else ("walk", "mp4")
    touched(tmp_path, *(f"{own}/{i}/0.{kind}" for i in range(3)), f"sit/1/0.{kind}")
    expected, _ = looked_through(layout, tmp_path)
    for run in ("runs/classification/2026-11-30", "walk/try"):
        touched(tmp_path, f"{run}/config.yaml", f"{run}/status.json", f"{run}/samples/epoch_1/0.{kind}")
    rows, notes = looked_through(layout, tmp_path)
    assert rows == expected
    assert "ignored: videxp's own run folders: 2, such as runs/classification/2026-11-30, walk/try" in notes


def test_a_link_to_elsewhere_is_followed_and_a_broken_one_is_a_sample(tmp_path: Path) -> None:
    touched(tmp_path / "elsewhere", "x.mp4")
    root = touched(tmp_path / "root", "a/0.mp4", "b/1.mp4")
    os.symlink(tmp_path / "elsewhere", root / "a/more")
    os.symlink("gone.mp4", root / "b/broken.mp4")
    rows, _ = looked_through(FolderPerClass(), root)
    assert {row.path for row in rows} == {"a/0.mp4", "a/more/x.mp4", "b/1.mp4", "b/broken.mp4"}


def test_what_is_passed_over_is_counted_and_named(put: Put, tmp_path: Path) -> None:
    root = touched(
        tmp_path / "root", "train/loose.mp4", "train/run/notes.txt", "train/run/a.json", "train/run/b.json",
        "train/run/._a.mp4", "train/.DS_Store", "train/__MACOSX/run/a.mp4", "train/run/unfinished.mp4.part",
        "readme.md", "train/run/no_video",
    )  # fmt: skip
    (root / "train/empty").mkdir()
    (root / "val").mkdir()
    for path in ("train/run/a.mp4", "train/run/deep/d.MTS", "train/walk/b", "test/run/c.m2ts"):
        put(path, of="bar.mp4")
    rows, notes = looked_through(FolderPerClass(), root)
    expected = {"train/run/a.mp4", "train/run/deep/d.MTS", "train/walk/b", "test/run/c.m2ts"}
    assert {row.path for row in rows} == expected
    for line in (
        "loose videos outside of class folders: train/loose.mp4",
        "files that are no videos: 5 (.json 2, ",
        "files beside the split folders: readme.md",
        "hidden files and folders of the system: 3",
        "folders without videos: train/empty",
        "split folders without samples: val",
        "classes: videos in folders inside of a class, labelled by the class: train/run/deep/d.MTS",
        "splits: made: val (1) of 3 samples, by hash of their names with seed 0",
    ):
        assert line in notes, (line, notes)


def test_images_outside_of_clips_and_inside_of_them_are_named(tmp_path: Path) -> None:
    root = touched(tmp_path, "day/cover.png", "day/a/1.png", "day/a/masks/1.png", "b/1.png", "b/film.mp4", "top.png")
    (root / "none").mkdir()
    rows, notes = looked_through(FrameSequences(splits="test"), root)
    assert {row.path for row in rows} == {"b", "day"}
    assert "folders inside of a clip's folder: 2, such as day/a, day/a/masks" in notes
    assert "image files outside of a clip's folder: top.png" in notes
    assert "folders without images: none" in notes
    assert "files that are no images: b/film.mp4" in notes


def test_predict_finds_the_same_files_and_says_what_it_passes_over(
    put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = touched(tmp_path / "root", "notes.txt", ".hidden.mp4", "frames/1.png")
    for name in ("a.mp4", "b.3gp", "c.MTS", "d", "deep/e.m2ts"):
        put(name, of="bar.mp4")
    os.symlink(".", root / "again")
    found = [path.relative_to(root).as_posix() for path in expand([str(root)])]
    assert found == ["a.mp4", "b.3gp", "c.MTS", "d", "deep/e.m2ts"]
    said = capsys.readouterr().err
    assert "folders of pictures beside videos: name them to have them read: " in said
    assert str(root / "frames") in said and str(root / "notes.txt") in said and str(root / ".hidden.mp4") in said
    assert expand([str(root / "frames")]) == [root / "frames"]


# ---- splits that are made ---------------------------------------------------------------------------------------

NAMES = {
    "cuts": [f"{c}/v_{c}_g{g:02d}_c{i:02d}.mp4" for c in "ab" for g in range(5) for i in range(4)],
    "persons": [f"{c}/subj{who}_{c}_{i}.mp4" for c in ("run", "walk") for who in range(6) for i in range(3)],
    "ids": [f"{c}/{who}_{t:06d}_{t + 10:06d}.mp4" for c in "ab" for who in ("xY", "Zw", "Qq") for t in (0, 10, 20)],
    "folders": [f"{c}/{who}/{i}.mp4" for c in "ab" for who in ("ann", "bob", "cy", "di") for i in range(3)],
    "unlabelled": [f"day{day}/{i}.mp4" for day in range(5) for i in range(4)],
}


@pytest.mark.parametrize("kind", NAMES)
def test_recordings_that_made_splits_tear_apart_are_told_with_the_pattern_that_mends_it(
    kind: str, tmp_path: Path
) -> None:
    root = touched(tmp_path, *NAMES[kind])
    layout = VideoFolder if kind == "unlabelled" else FolderPerClass
    _, notes = looked_through(layout(), root)
    typed = next(word for word in shlex.split(notes) if "group_pattern" in word)  # as a shell reads it
    pattern = re.fullmatch(r'dataset\.layout\.group_pattern="(.*)"', typed)
    assert pattern is not None
    rows, mended = looked_through(layout(group_pattern=pattern[1]), root)
    assert "made:" in mended and "group_pattern" not in mended
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(re.search(pattern[1], row.path)[1], set()).add(row.split)
    assert len(splits) > 2 and all(len(of) == 1 for of in splits.values())
    assert set(splits_of(rows)) == {"train", "val", "test"}


@pytest.mark.parametrize("names", [[f"{c}/{c}_{i:03d}.mp4" for c in ("run", "sit") for i in range(20)],
                                   [f"{c}/{i}.mp4" for c in ("run", "sit") for i in range(20)]])  # fmt: skip
def test_names_that_tell_no_recordings_are_not_remarked_on(names: list[str], tmp_path: Path) -> None:
    assert "group_pattern" not in looked_through(FolderPerClass(), touched(tmp_path, *names))[1]


@pytest.mark.slow
def test_prepare_shows_the_notes_and_the_remedy_can_be_typed(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in [f"{c}/g{g}_c{i}.mp4" for c in "ab" for g in range(3) for i in range(2)]:
        put(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDEXP_CACHE", str(tmp_path / "cache"))
    asked = ["folder_per_class", "dataset.root=root"]
    assert main(asked) == 0
    first = capsys.readouterr().out
    assert "\nsplits      made: val (2) and test (2) of 12 samples, by hash of their" in first
    assert max(len(line) for line in first.splitlines() if "/" not in line) <= 80
    assert main(asked) == 0
    assert capsys.readouterr().out == first
    typed = re.search(r"'(dataset\.layout\.group_pattern=.*)'", first)
    assert typed is not None
    assert main([*asked, typed[1], "--json"]) == 0
    mended = capsys.readouterr().out
    assert '"splits: made: val (4) and test (4) of 12' in mended and "group_pattern" not in mended
