"""A film is read, and the suffix says what is written of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.deploy.scenes.test_lists import cut_film, ntsc, uneven
from tests.timed_films import timed_film
from videxp.core.errors import BadRequest, VidexpError
from videxp.deploy.scenes.files import write_shots
from videxp.deploy.scenes.film import read_film
from videxp.deploy.scenes.lists import csv_list, edl_list, json_list, otio_list
from videxp.video.shots import FilmTransition


@pytest.mark.parametrize("suffix", ["json", "csv", "edl", "OTIO"])
def test_the_suffix_says_which_list_is_written(tmp_path: Path, suffix: str):
    film = cut_film(ntsc(300), (0, 100))
    write_shots(tmp_path / f"a.{suffix}", film)
    text = (tmp_path / f"a.{suffix}").read_text()
    if suffix == "csv":
        assert text == csv_list(film)
    elif suffix == "edl":
        assert text == edl_list(film)
    else:
        assert json.loads(text) == (otio_list(film) if suffix == "OTIO" else json_list(film))


def test_another_suffix_is_refused_and_nothing_written(tmp_path: Path):
    with pytest.raises(
        BadRequest, match=r"a.xml: the suffix says what is written: one of .json, .csv, .edl, .otio, .html"
    ):
        write_shots(tmp_path / "a.xml", cut_film(ntsc(300), (0,)))
    with pytest.raises(BadRequest):
        write_shots(tmp_path / "a.edl", cut_film(uneven([0, 0.04, 90_000]), (0,)), say=lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_film_is_read_with_its_times_its_sound_and_the_greatest_probability_of_each_transition(tmp_path: Path):
    path = timed_film(tmp_path / "a.mp4", [i / 10 for i in range(8)], sound_from=0)
    probabilities = np.array([0, 0, 0.75, 0, 0.5, 0.875, 0.625, 0])
    film = read_film(path, [(2, 3), (4, 7)], probabilities=probabilities, threshold=0.5)
    assert film.transitions == (FilmTransition(2, 3, 0.75), FilmTransition(4, 7, 0.875))
    assert film.has_sound and [float(shot.start_seconds) for shot in film.shots] == [0, 0.3, 0.6]
    with pytest.raises(VidexpError, match=r"a.mp4: 7 probabilities for 8 frames"):
        read_film(path, [], probabilities=probabilities[:7], threshold=0.5)
