"""The suffix says what is written."""

import json
from pathlib import Path

import pytest

from tests.deploy.scenes.test_lists import cut_film, ntsc, uneven
from videxp.core.errors import BadRequest
from videxp.deploy.scenes.files import write_shots
from videxp.deploy.scenes.lists import csv_list, edl_list, json_list, otio_list


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
