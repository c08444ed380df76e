"""Annotations of shots as their authors write them: miniatures of the real files, with the real files' faults."""

import csv
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from videxp.core.errors import BadRequest
from videxp.data.layouts.transition_files import (
    StatedFilm,
    read_bbc,
    read_clipshots,
    read_cuts,
    read_pyscenedetect,
    read_rai,
    read_shot,
)
from videxp.data.notes import Notes
from videxp.deploy.scenes.film import CutFilm
from videxp.deploy.scenes.lists import csv_list, json_list
from videxp.video.clock import FrameClock
from videxp.video.shots import FilmTransition

Write = Callable[[str, str], Path]


CLIPSHOTS = {
    "1.mp4": {"transitions": [[41, 42], [90, 101]], "frame_num": 300.0},
    "2.mp4": {"transitions": [], "frame_num": 25},
    "odd.mp4": {"transitions": [[90, 101], [41, 42]], "frame_num": 300},
}


def test_clipshots_names_the_frames_on_both_sides_and_leaves_out_what_goes_back(write: Write):
    notes = Notes()
    films = read_clipshots(write("train.json", json.dumps(CLIPSHOTS)), notes)
    assert {name: (film.transitions, film.num_frames) for name, film in films.items()} == {
        "1.mp4": (((41, 42), (90, 101)), 300),
        "2.mp4": ((), 25),
    }
    assert len(notes.lines) == 1 and notes.lines[0][1].endswith("train.json, odd.mp4")
    with pytest.raises(
        BadRequest, match=r'train.json, a.mp4: not like {"transitions": \[\[41, 42\]\], "frame_num": 300}'
    ):
        read_clipshots(write("train.json", '{"a.mp4": [[41, 42]]}'))


def test_bbc_is_mended_as_transnetv2_does_and_rai_is_not(write: Write):
    text = "0\t57\n58\t120\n131 200\n"
    scenes = np.loadtxt(text.splitlines(), dtype=int) + 1  # consolidate_datasets.py
    scenes[0][0] = 0
    transitions = tuple((int(end), int(start)) for end, start in zip(scenes[:-1, 1], scenes[1:, 0]))
    file = write("01.txt", text)
    assert read_bbc(file).transitions == transitions == ((58, 59), (121, 132))
    assert read_rai(file).transitions == ((57, 58), (120, 131))
    assert read_bbc(write("02.txt", "5 57\n58 99\n")).transitions == ((58, 59),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("58", "line 2: '58' is not the first and the last frame of a shot, such as 0 57"),
        ("58 a", "line 2: 'a' is no frame: they are whole numbers from 0"),
        ("58 50", "line 2: a shot of frames 58 to 50: shots ascend, and do not overlap"),
        ("57 90", "line 2: a shot of frames 57 to 90: shots ascend, and do not overlap"),
    ],
)
def test_a_line_that_is_no_shot_is_named(write: Write, line: str, message: str):
    with pytest.raises(BadRequest) as error:
        read_rai(write("1_gt.txt", f"0 57\n{line}\n"))
    assert str(error.value).endswith(f"1_gt.txt, {message}")


# Each of these forms and faults stands in the official file.
SHOT = """\
31602670982.mp4 1499
130,131
254,260

33803189290.mp4  3000
68,,69
178,179,\x0b2959.2960\x20

names_only.mp4
[73,82]
1432 1434
back.mp4 900
722,57
twice.mp4 100
10,11
twice.mp4 100
10,11
two_ways.mp4 100
10,11
two_ways.mp4 100
12,13
too_long.mp4 749
785,786
joined.mp4
622 623654 655
"""


def test_shot_is_read_in_all_its_forms_and_its_faults_are_told(write: Write):
    notes = Notes()
    films = read_shot(write("kuaishou_v2.txt", SHOT), notes)
    assert {name: (film.transitions, film.num_frames) for name, film in films.items()} == {
        "31602670982.mp4": (((130, 131), (254, 260)), 1499),
        "33803189290.mp4": (((68, 69), (178, 179), (2959, 2960)), 3000),
        "names_only.mp4": (((73, 82), (1432, 1434)), None),
        "twice.mp4": (((10, 11),), 100),
    }
    assert notes.lines == [("ignored", "films whose transitions cannot be understood: 4, such as back.mp4, joined.mp4")]
    with pytest.raises(
        BadRequest, match=r"kuaishou_v2.txt, line 1: '1,2' is not a film's name, such as 31602670982.mp4"
    ):
        read_shot(write("kuaishou_v2.txt", "1,2\n"))


def cut_film() -> CutFilm:
    clock = FrameClock(np.arange(301), Fraction(1, 25), Fraction(25))
    return CutFilm(Path("a b.mp4"), clock, (FilmTransition(41, 42, 0.75), FilmTransition(90, 101)), 0.5)


@pytest.mark.parametrize("skipped", [0, 1])
def test_pyscenedetects_csv_is_read_with_its_line_of_cuts_or_without(write: Write, skipped: int):
    lines = csv_list(cut_film()).splitlines(keepends=True)
    film = read_pyscenedetect(write("a.csv", "".join(lines[skipped:])))
    assert (film.transitions, film.num_frames) == (((41, 42), (95, 96)), 300)  # it has no transitions, only shots
    with pytest.raises(BadRequest, match=r"a.csv, line 4: 9 columns, not 10"):
        read_pyscenedetect(write("a.csv", "".join(lines).replace(",54,", ",")))
    with pytest.raises(
        BadRequest, match=r"a.csv: its first or second line must name columns Start Frame and End Frame"
    ):
        read_pyscenedetect(write("a.csv", "start,end\n1,2\n"))


def test_what_predict_writes_is_read_back_corrected_or_not(write: Write):
    written = json_list(cut_film())
    expected = {"a b.mp4": StatedFilm(((41, 42), (90, 101)), 300)}
    assert read_cuts(write("one.json", json.dumps(written))) == expected
    assert read_cuts(write("all.json", json.dumps([written, written | {"path": "b.mp4", "transitions": []}]))) == {
        **expected,
        "b.mp4": StatedFilm((), 300),
    }
    for fault in ({"last_before": 41}, 41):
        with pytest.raises(BadRequest, match=r"one.json, a b.mp4: its transitions are not like"):
            read_cuts(write("one.json", json.dumps(written | {"transitions": [fault]})))


def test_cuts_of_ones_own_as_csv_and_json(write: Write):
    expected = {"a.mp4": ((74, 75), (136, 137), (205, 214)), "b.mp4": ()}
    listed = read_cuts(write("cuts.json", json.dumps({"a.mp4": [75, 137, [205, 214]], "b.mp4": []})))
    rows = [("a.mp4", 75, ""), ("a.mp4", 214, 205), ("a.mp4", 137, ""), ("b.mp4", "", "")]
    with write("cuts.csv", "").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "cut", "before"), *rows])
    for films in (listed, read_cuts(Path(file.name))):
        assert {name: film.transitions for name, film in films.items()} == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cuts.csv", "path,cut\na.mp4,x\n", "cuts.csv, line 2: 'x' is no frame: they are whole numbers from 1"),
        ("cuts.csv", "path,cut\na.mp4,0\n", "cuts.csv, line 2: '0' is no frame: they are whole numbers from 1"),
        ("cuts.csv", "path,frame\na.mp4,1\n", "cuts.csv: columns path and cut are needed: it has path, frame"),
        (
            "cuts.csv",
            "path,cut\na.mp4,7\na.mp4,7\n",
            "cuts.csv, line 3: a transition from frame 6 to 7 after a shot that begins with frame 7: they ascend",
        ),
        ("cuts.json", '{"a.mp4": 75}', "cuts.json, a.mp4: not a list of frames, such as [75, 137, [205, 214]]"),
        ("cuts.json", '{"a.mp4": [[1, 2, 3]]}', "cuts.json, a.mp4: '[1, 2, 3]' is no pair of frames, such as [41, 42]"),
        ("cuts.json", '{"a.mp4": [7.5]}', "cuts.json, a.mp4: '7.5' is no frame: they are whole numbers from 1"),
        ("cuts.json", '{"a.mp4": [[9, 9]]}', "cuts.json, a.mp4: a transition from frame 9 to 9: they ascend"),
        ("cuts.json", "[3]", 'cuts.json: neither {"a.mp4": [75, 137, [205, 214]]} nor what videxp predict writes'),
    ],
)
def test_what_is_wrong_in_a_list_of_ones_own_is_named(write: Write, name: str, text: str, message: str):
    with pytest.raises(BadRequest) as error:
        read_cuts(write(name, text))
    assert str(error.value).endswith(message)
