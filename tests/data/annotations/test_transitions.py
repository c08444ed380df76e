"""Transitions of films: what a window shows of them, and what a network is to say there."""

from pathlib import Path

import numpy as np
import pytest

from videxp.data.annotations.transitions import Transitions, places_of, targets, unpack
from videxp.data.manifest import Facts, Row


def say_frame_by_frame(before: int, after: int, *, num_frames: int) -> np.ndarray:
    """The rule as TransNet V2's data are made: a dissolve is around its middle frame, a cut is the frame before it."""
    target_T2 = np.zeros((num_frames, 2), np.float32)
    half = (after - before - 1) // 2
    boundary = before + half
    for frame in range(num_frames):
        target_T2[frame, 0] = frame == boundary
        target_T2[frame, 1] = boundary - half < frame <= boundary + half if half else frame == boundary
    return target_T2


@pytest.mark.parametrize("half", [0, 1, 2, 15])
@pytest.mark.parametrize("boundary", [0, 3, 50, 98, 99])
def test_targets_are_those_that_transnet_v2_is_trained_with(boundary: int, half: int):
    transition = (boundary - half, boundary + half + 1)
    assert (targets([transition], num_frames=100) == say_frame_by_frame(*transition, num_frames=100)).all()
    assert targets([transition], num_frames=100)[:, 0].sum() == 1


def test_a_windows_targets_are_those_of_the_film_cut_out():
    film = [(4, 5), (20, 31), (33, 34), (50, 59), (59, 60), (99, 100), (118, 119)]
    whole_T2 = targets(film, num_frames=120)
    for start in range(100):
        window_T2 = targets(places_of(film, np.arange(start, start + 20)).tolist(), num_frames=20)
        assert (window_T2 == whole_T2[start : start + 20]).all(), start


def test_of_every_other_frame_a_cut_lies_where_it_is_seen():
    frames = np.arange(10, 50, 2)
    (place,) = places_of([(20, 21)], frames)
    assert [*frames[place]] == [20, 22]
    (place,) = places_of([(21, 22)], frames)
    assert [*frames[place]] == [20, 22]


def test_what_is_stated_is_kept_as_text_and_a_film_without_transitions_differs_from_one_that_is_not_known():
    assert unpack(Transitions.pack([(29, 30), (75, 80)])) == [(29, 30), (75, 80)]
    assert Transitions.pack([]) == "none" and unpack("none") == [] and unpack("") == []


@pytest.mark.parametrize(
    ("stated", "error"),
    [
        ([(29, 30)], ""),
        ([(29, 40)], "its transition 29 to 40 is none within its 40 frames"),
        ([(9, 9)], "its transition 9 to 9 is none within its 40 frames"),
        ([(5, 9), (8, 12)], "its transition 5 to 9 has not ended where the next one begins, at 8"),
        ([(5, 9), (9, 12)], ""),
    ],
)
def test_what_does_not_fit_the_film_is_an_error_of_the_film(stated: list[tuple[int, int]], error: str):
    row = Row("a.mp4", "test").with_field("transitions", Transitions.pack(stated))
    assert Transitions().prepare(row, Facts(num_frames=40, fps=25.0), {})[1].error == error


def test_a_film_that_cannot_be_read_keeps_its_own_error(tmp_path: Path):
    row = Row("a.mp4", "test").with_field("transitions", "9 9")
    assert Transitions().prepare(row, Facts(error="no video"), {})[1].error == "no video"


@pytest.mark.parametrize(
    ("num_frames", "kept", "error"),
    [
        (40, "9 10;20 25", ""),
        (41, "10 11;21 26", ""),
        (42, "40:9 10;20 25", "its transitions are of 40 frames, it has 42"),
        (39, "40:9 10;20 25", "its transitions are of 40 frames, it has 39"),
    ],
)
def test_a_film_with_one_frame_more_than_is_stated_has_all_transitions_one_frame_later(
    num_frames: int, kept: str, error: str
):
    stated = Transitions.pack([(9, 10), (20, 25)], num_frames=40)
    row = Row("a.mp4", "test").with_field("transitions", stated)
    row, facts = Transitions().prepare(row, Facts(num_frames=num_frames, fps=25.0), {})
    assert (row.field("transitions"), facts.error) == (kept, error)
