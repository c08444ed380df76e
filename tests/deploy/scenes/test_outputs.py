"""What is asked to be written of films' shots: refused before any work, or written."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from videxp.core.errors import BadRequest
from videxp.deploy.scenes.film import CutFilm, read_film
from videxp.deploy.scenes.lists import json_list
from videxp.deploy.scenes.outputs import add_outputs, check_outputs, output_path, write_outputs
from videxp.video import probe, write_video


def request(*words: object, films: list[Path]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_outputs(parser)
    options = parser.parse_args([str(word) for word in words])
    options.inputs = films
    check_outputs(options)
    return options


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> CutFilm:
    path = tmp_path_factory.mktemp("films") / "a.mp4"
    write_video(path, np.full((20, 24, 32, 3), 90, np.uint8), fps=30000 / 1001, keyframe_interval=5)
    return read_film(path, [(7, 8)], probabilities=np.full(20, 0.75, np.float32), threshold=0.5)


def test_all_that_is_asked_for_is_written_and_said(film: CutFilm, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new/{stem}"
    words = ["-o", f"{out}.json", "-o", f"{out}.edl", "--drop-frame", "--split", tmp_path / "parts", "--copy"]
    write_outputs(film, request(*words, films=[film.path]))
    assert json.loads((tmp_path / "new/a.json").read_text()) == json_list(film)
    assert "FCM: DROP FRAME" in (tmp_path / "new/a.edl").read_text()
    assert {p.name: probe(p).num_frames for p in (tmp_path / "parts").iterdir()} == {
        "a-scene-001.mp4": 10,
        "a-scene-002.mp4": 10,
    }
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "a.mp4: copied, so cut at key frames; 1 of 1 cuts moved: shot 2 by +2 frames"
    assert (
        said[1] == f"{film.path}: 2 shots -> {out.parent}/a.json, {out.parent}/a.edl, 2 files in {tmp_path / 'parts'}"
    )


def test_without_an_output_the_list_is_printed(film: CutFilm, capsys: pytest.CaptureFixture[str]):
    write_outputs(film, request(films=[film.path]))
    assert json.loads(capsys.readouterr().out) == json_list(film)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--copy"], "--copy is of --split FOLDER: add it"),
        (["-o", "a.json", "--drop-frame"], "--drop-frame is of an EDL: add -o FILE.edl"),
        (["-o", "a.txt"], "a.txt: the suffix says what is written: one of .json, .csv, .edl, .otio, .html"),
        (["-o", "x/a.json"], "-o x/a.json: 2 films need a file each: -o 'x/{stem}.json'"),
        (["-o", "x/{stem}.json", "-o", "x/a.json"], "-o x/a.json: 2 films need a file each: -o 'x/{stem}.json'"),
        (["--split", "THERE"], "-o THERE is a file: the parts of a film go to a folder"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listing: Callable[[Path], set[str]], words: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    Path("THERE").touch()
    with pytest.raises(BadRequest) as error:
        request(*words, films=[Path("a.mp4"), Path("b.mp4")])
    assert str(error.value) == message
    assert listing(tmp_path) == {"THERE"}


def test_nothing_is_lost_to_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("a.json").touch()
    with pytest.raises(BadRequest, match=r"-o a.json is there already: choose another name, or add --overwrite"):
        request("-o", "{stem}.json", films=[Path("a.mp4"), Path("b.mp4")])
    request("-o", "{stem}.json", "--overwrite", films=[Path("a.mp4"), Path("b.mp4")])
    with pytest.raises(BadRequest, match=r"a.json is the input itself"):
        request("-o", "a.json", "--overwrite", films=[Path("a.json")])
    with pytest.raises(BadRequest, match=r"n/a.csv would be of x/a.mp4 and of y/a.mkv: ask for one after the other"):
        request("-o", "n/{stem}.csv", films=[Path("x/a.mp4"), Path("y/a.mkv")])
    assert output_path("scenes/{stem}.json", Path("clips/a.mp4")) == Path("scenes/a.json")
