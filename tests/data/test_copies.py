"""Who is the same sample: by content and seconds, not by the spelling of a path or a label."""

import os
import random
import shutil
import unicodedata
from collections.abc import Callable
from math import inf, isnan, nan
from pathlib import Path

import pytest

from tests.films import Put
from videxp import config
from videxp.cli.commands.prepare import main
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, FrameSequences, Manifest, ManifestFile, prepare
from videxp.data.layouts.alike import check_alike
from videxp.data.layouts.base import Layout
from videxp.data.manifest import Facts, Row
from videxp.data.notes import Notes
from videxp.data.preparing.copies import find_copies
from videxp.runs.folder import RunFolder
from videxp.training.course import _prepared_data

Write = Callable[[str, str], Path]


def prepared(layout: Layout, tmp_path: Path, *, allow_copies: bool = False) -> Manifest:
    place = {"root": tmp_path / "root", "cache_dir": tmp_path / "cache", "name": "mini"}
    return prepare(layout, **place, processes=1, allow_copies=allow_copies)


def notes(manifest: Manifest) -> str:
    return "\n".join(f"{about}: {text}" for about, text in manifest.notes)


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for split in ("train", "val", "test"):
        for label in ("run", "walk"):
            for i in range(2):
                put(f"{split}/{label}/{i}.mp4")
    return tmp_path / "root"


# ---- the same bytes ---------------------------------------------------------------------------------------------


def test_the_same_bytes_in_two_splits_or_with_two_labels_are_refused_until_allowed(root: Path, tmp_path: Path) -> None:
    assert notes(prepared(FolderPerClass(), tmp_path)) == ""
    shutil.copy(root / "train/run/0.mp4", root / "test/run/copy.mp4")
    os.symlink("../../train/walk/0.mp4", root / "val/walk/link.mp4")
    os.link(root / "train/run/1.mp4", root / "train/walk/other_label.mp4")
    shutil.copy(root / "train/run/1.mp4", root / "train/run/twice.mp4")
    paths = list(root.rglob("*.mp4"))
    assert len(set(paths)) == len(paths)  # the stock way: names, of which none is there twice
    with pytest.raises(BadRequest) as caught:
        prepared(FolderPerClass(), tmp_path)
    for text in (
        "2 of val or test in train, too: test/run/copy.mp4 = train/run/0.mp4, val/walk/link.mp4 = train/walk/0.mp4",
        "1 have another label elsewhere: train/walk/other_label.mp4 (walk) = train/run/1.mp4 (run)",
        "dataset.preparing.allow_copies=true",
    ):
        assert text in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    allowed = notes(prepared(FolderPerClass(), tmp_path, allow_copies=True))
    assert "copies: 2 of val or test in train, too" in allowed
    assert "copies: 1 are there twice in their split: train/run/twice.mp4 = train/run/1.mp4" in allowed


@pytest.mark.slow
def test_the_remedy_can_be_typed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(root / "train/run/0.mp4", root / "test/run/copy.mp4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDEXP_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BadRequest, match=r"dataset\.preparing\.allow_copies=true"):
        main(["folder_per_class", "dataset.root=root"])
    assert main(["folder_per_class", "dataset.root=root", "dataset.preparing.allow_copies=true"]) == 0
    assert "test/run/copy.mp4" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_goes_on_is_told_no_override(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEXP_CACHE", str(tmp_path / "cache"))
    cfg = config.compose("classification/finetune", ["dataset=folder_per_class", f"dataset.root={root}"]).cfg
    shutil.copy(root / "train/run/0.mp4", copy := root / "test/run/copy.mp4")
    with pytest.raises(BadRequest) as caught:
        _prepared_data(cfg, RunFolder(tmp_path / "run"), new=False)
    assert "resume takes no overrides: put the data back as the run began with them" in str(caught.value)
    copy.write_bytes(b"no video")
    with pytest.raises(BadRequest) as caught:
        _prepared_data(cfg, RunFolder(tmp_path / "run"), new=False)
    assert f"resume takes no overrides: change it in {tmp_path / 'run' / 'config.yaml'}" in str(caught.value)
    copy.unlink()
    assert _prepared_data(cfg, RunFolder(tmp_path / "run"), new=False).counts["test"] == 4


def test_val_and_test_may_be_the_same_but_not_share_a_part(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "test")
    shutil.copytree(root / "val", root / "test")
    assert notes(prepared(FolderPerClass(), tmp_path)) == ""
    (root / "test/run/0.mp4").unlink()
    with pytest.raises(BadRequest, match=r"3 of test are in val, too: test/run/1.mp4 = val/run/1.mp4"):
        prepared(FolderPerClass(), tmp_path)


def test_the_same_file_by_another_path_and_overlapping_seconds(root: Path, write: Write, tmp_path: Path) -> None:
    head = "path,label,split,start_seconds,end_seconds\n"
    train = "train/run/0.mp4,run,train,0,0.6\n"
    write("list.csv", head + train + "./train/../train/run/0.mp4,run,test,0.5,1.0\nval/run/0.mp4,run,val,,\n")
    with pytest.raises(BadRequest, match=r"1 of val or test in train, too: train/run/0.mp4 0.5-1 s = .* 0-0.6 s"):
        prepared(ManifestFile(file="list.csv"), tmp_path)
    os.symlink(root, tmp_path / "other")
    there = tmp_path / "other/train/run/0.mp4"
    write("list.csv", head + train + f"{there},run,test,0.5,1.0\nval/run/0.mp4,run,val,,\n")
    with pytest.raises(BadRequest, match="1 of val or test in train, too"):
        prepared(ManifestFile(file="list.csv"), tmp_path)
    write("list.csv", head + train + f"{there},run,test,0.6,1.0\nval/run/0.mp4,run,val,,\n")
    assert "1 of val or test with other seconds of a file in train" in notes(
        prepared(ManifestFile(file="list.csv"), tmp_path)
    )


def test_folders_of_images_and_inputs_of_pairs_count_by_content_too(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    for number, clip in enumerate(("train/a", "train/b", "test/c")):
        for folder, size in (("GT", (32, 16)), ("LR", (16, 8))):
            place = tmp_path / "root" / folder / clip
            place.mkdir(parents=True)
            Image.fromarray(np.full((size[1], size[0], 3), 40 * number, np.uint8)).save(place / "1.png")
    layout = FrameSequences(targets="GT", inputs="LR", val_fraction=0.5)
    assert "copies" not in notes(prepared(layout, tmp_path))
    shutil.copy(tmp_path / "root/LR/train/a/1.png", tmp_path / "root/LR/test/c/1.png")
    shutil.copy(tmp_path / "root/GT/train/b/1.png", tmp_path / "root/LR/train/b/1.png")
    told = notes(prepared(layout, tmp_path))
    assert "1 have the input of another clip: " in told and "1 have an input that is the clip itself: GT/" in told
    shutil.copy(tmp_path / "root/GT/train/a/1.png", tmp_path / "root/GT/test/c/1.png")
    with pytest.raises(BadRequest, match=r"of val or test in train, too: GT/test/c = GT/train/a|in val, too"):
        prepared(layout, tmp_path)


def test_overlaps_are_those_of_comparing_each_with_each() -> None:
    """Found in n log n; here by comparing all pairs."""
    draw = random.Random(0)

    def overlap(a: Row, b: Row) -> bool:
        (s, e), (t, f) = (
            (0.0 if isnan(r.start_seconds) else r.start_seconds, inf if isnan(r.end_seconds) else r.end_seconds)
            for r in (a, b)
        )
        return a.path[0] == b.path[0] and s < f and t < e

    for _ in range(50):
        rows = []
        for i in range(30):
            start = draw.choice([nan, *range(8)])
            end = draw.choice([nan, (0 if isnan(start) else start) + draw.randint(1, 4)])
            rows.append(Row(f"{draw.choice('ab')}{i}", "x", draw.choice(["train", "val", "test"]), start, end))
        facts = {row.path: Facts(content_hash=row.path[0]) for row in rows}
        found = find_copies(rows, facts)
        train = [row for row in rows if row.split == "train"]
        expected = {row for row in rows if row.split != "train" and any(overlap(row, other) for other in train)}
        assert {row for row, _ in found.leaked} == expected
        assert all(overlap(*pair) for pair in found.leaked)
        val, test = ([row for row in rows if row.split == split] for split in ("val", "test"))
        assert {row for row, _ in found.shared} == {row for row in test if any(overlap(row, other) for other in val)}
        assert all(overlap(*pair) for pair in found.shared)


# ---- the same label ---------------------------------------------------------------------------------------------

COMPOSED, DECOMPOSED = "march\u00e9", unicodedata.normalize("NFD", "march\u00e9")


@pytest.mark.parametrize(
    "other",
    [
        DECOMPOSED,
        COMPOSED + "\u200b",
        COMPOSED + " ",
        "\ufeff" + COMPOSED,
        "mar\u00adch\u00e9",
        COMPOSED + "\ufe0f",
        COMPOSED + "\u034f",
        COMPOSED + "\u3164",
    ],
)
def test_labels_that_nobody_can_tell_apart_are_refused_with_what_differs(other: str) -> None:
    assert other != COMPOSED  # the stock way takes them for two classes
    with pytest.raises(BadRequest, match=r"2 labels look the same, 'march.*differ in Unicode form") as caught:
        check_alike([COMPOSED, "run", other], name="mini", notes=Notes())
    assert ascii(other) in str(caught.value) and ascii(COMPOSED) in str(caught.value)


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("walk", "Walk"),
        ("0", "0.0"),
        ("1", "01"),
        ("brush_hair", "brush hair"),
        ("cap", "\u0441\u0430\u0440"),
        ("x²", "x2"),
    ],
)
def test_labels_that_are_alike_are_told(usual: str, other: str) -> None:
    check_alike([usual, other, "run"], name="mini", notes=(heard := Notes()))
    ((about, text),) = heard.lines
    assert about == "labels" and repr(usual) in text and repr(other) in text
    check_alike(["walk", "walking", "run", "1", "10", "2"], name="mini", notes=(heard := Notes()))
    assert heard.lines == []


def test_class_folders_in_two_unicode_forms_are_named_before_a_class_is_missed(put: Put, tmp_path: Path) -> None:
    for split, label in (("train", COMPOSED), ("val", COMPOSED), ("test", DECOMPOSED)):
        put(f"{split}/{label}/0.mp4")
    with pytest.raises(BadRequest, match="Unicode form"):
        prepared(FolderPerClass(), tmp_path)
