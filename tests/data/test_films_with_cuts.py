"""Layouts of films whose transitions are stated, miniatures of the real ones."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.films import Put
from videxp.core.errors import BadRequest
from videxp.data import prepare
from videxp.data.annotations.transitions import Transitions
from videxp.data.layouts.base import Layout
from videxp.data.layouts.films_with_cuts import BBC, RAI, SHOT, ClipShots, FilmsWithCuts
from videxp.data.manifest import FIELD, Manifest
from videxp.data.notes import Notes

Write = Callable[[str, str], Path]


def rows(layout: Layout, root: Path, notes: Notes | None = None) -> list[tuple[str, str, str]]:
    """(split, path, transitions)"""
    return [(row.split, row.path, row.field("transitions")) for row in layout.rows(root, notes or Notes())]


def prepared(layout: Layout, tmp_path: Path) -> Manifest:
    return prepare(layout, root=tmp_path / "root", cache_dir=tmp_path / "cache", name="mini", processes=1)


def test_clipshots_is_read_and_a_film_of_one_frame_more_is_shifted(put: Put, write: Write, tmp_path: Path):
    for path in ("train/1.mp4", "train/2.mp4", "test/7.mp4", "test/none.mp4"):
        put(f"videos/{path}")  # of 12 frames each
    film = {"transitions": [[3, 4], [6, 9]], "frame_num": 12}
    lists = {"train": {"1.mp4": film, "2.mp4": film | {"frame_num": 11}}, "test": {"7.mp4": film, "gone.mp4": film}}
    for part, films in lists.items():
        write(f"annotations/{part}.json", json.dumps(films))
    layout = ClipShots(val_fraction=0.01)
    assert layout.missing(tmp_path / "root") == []
    notes = Notes()
    found = layout.rows(tmp_path / "root", notes)
    assert {row.path for row in found if row.split == "test"} == {"videos/test/7.mp4"}
    assert ("ignored", "films of which no transitions are stated: videos/test/none.mp4") in notes.lines
    assert ("ignored", "films that are stated and not there: gone.mp4") in notes.lines
    manifest = prepared(layout, tmp_path)
    stated = dict(zip(manifest["path"], manifest[f"{FIELD}transitions"]))
    assert stated["videos/train/1.mp4"] == "3 4;6 9"
    assert stated["videos/train/2.mp4"] == "4 5;7 10"
    absent = ClipShots(only_gradual=True).missing(tmp_path / "root")
    assert [line.split(" does not exist")[0] for line in absent] == [
        str(tmp_path / "root" / name) for name in ("annotations/only_gradual.json", "videos/only_gradual")
    ]


def test_bbc_and_rai_are_tests_alone(put: Put, write: Write, tmp_path: Path):
    put("bbc_01.mp4")
    put("bbc_12.mp4")
    write("annotations/shots/01-From_Pole_to_Pole.txt", "0\t5\n6\t11\n")
    notes = Notes()
    assert rows(BBC(), tmp_path / "root", notes) == [("test", "bbc_01.mp4", "6 7")]
    assert notes.lines == [("ignored", "films of which no transitions are stated: bbc_12.mp4")]
    put("3.mp4")
    write("labels/3_gt.txt", "0 5\n6 11\n")
    assert rows(RAI(), tmp_path / "root") == [("test", "3.mp4", "5 6")]


def test_shot_has_a_split_of_ones_own_or_one_that_is_made(put: Put, write: Write, tmp_path: Path):
    names = [f"{number}.mp4" for number in range(20)]
    for name in names:
        put(f"2_ads_game_videos/{name}")
    write("kuaishou_v2.txt", "".join(f"{name} 12\n4,5\n\n" for name in names))
    write("test.txt", "3.mp4\n4.mp4\nother.mp4\n")
    notes = Notes()
    found = rows(SHOT(test_list="test.txt"), tmp_path / "root", notes)
    tested = {path for split, path, _ in found if split == "test"}
    assert tested == {"2_ads_game_videos/3.mp4", "2_ads_game_videos/4.mp4"}
    assert {text for _, _, text in found} == {"12:4 5"} and len(found) == 20
    assert ("splits", "test.txt: of other.mp4 nothing is stated in kuaishou_v2.txt") in notes.lines
    made = [split for split, _, _ in rows(SHOT(), tmp_path / "root")]
    assert len(made) == 20 and 0 < made.count("test") < 12


@pytest.mark.parametrize("cuts", ["cuts.csv", "cuts.json", "scenes/{stem}-Scenes.csv"])
def test_films_of_ones_own_with_a_list_or_a_csv_of_pyscenedetect_each(
    put: Put, write: Write, tmp_path: Path, cuts: str
):
    for path in ("train/a.mp4", "train/alone.mp4", "test/b.mp4", "test/c.mp4"):
        put(f"films/{path}")
    write("cuts.csv", "path,cut\ntrain/a.mp4,4\ntest/b.mp4,\ngone.mp4,3\n")
    write("cuts.json", json.dumps({"train/a.mp4": [4], "test/b.mp4": [], "gone.mp4": [3]}))
    for name, shots in {"a": "1,4\n5,12\n", "b": "1,12\n"}.items():
        write(f"scenes/{name}-Scenes.csv", f"Start Frame,End Frame\n{shots}")
    notes = Notes()
    write("films/test/notes.csv", "")
    layout = FilmsWithCuts(targets="films", cuts=cuts, val_fraction=0.01)
    assert layout.missing(tmp_path / "root") == []
    found = {path: text.rpartition(":")[2] for _, path, text in rows(layout, tmp_path / "root", notes)}
    assert found == {"films/train/a.mp4": "3 4", "films/train/alone.mp4": "", "films/test/b.mp4": "none"}
    assert ("ignored", "films of which no transitions are stated (test): films/test/c.mp4") in notes.lines
    gone = ("ignored", "films that are stated and not there: gone.mp4")
    assert (gone in notes.lines) == ("{" not in cuts)
    assert not [text for about, text in notes.lines if "no videos" in text]  # as though the list were ignored


def test_without_a_list_each_film_is_one_shot(put: Put, tmp_path: Path):
    for number in range(4):
        put(f"{number}.mp4")
    manifest = prepared(FilmsWithCuts(cuts=None), tmp_path)
    bound = Transitions().for_samples(manifest, np.arange(len(manifest)))
    assert len(manifest) == 4 and [bound.stated(row) for row in range(4)] == [None] * 4


def test_what_such_a_folder_cannot_have_is_refused(put: Put, tmp_path: Path):
    put("a.mp4")
    with pytest.raises(BadRequest, match=r"dataset.layout.inputs=BIx4: films with cuts have no degraded counterparts"):
        FilmsWithCuts(targets="films", inputs="BIx4")
    assert FilmsWithCuts().missing(tmp_path / "root") == [
        f"{tmp_path / 'root/cuts.csv'} does not exist: put it there, or name it in dataset.layout"
    ]
    with pytest.raises(BadRequest, match=r"dataset.layout.cuts='{stam}.csv': 'stam' is no field"):
        FilmsWithCuts(cuts="{stam}.csv").rows(tmp_path / "root")
