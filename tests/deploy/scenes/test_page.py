"""The contact sheet as text and as Chromium shows it."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser import Tab, browser
from videxp.deploy.scenes import page
from videxp.deploy.scenes.files import write_shots
from videxp.deploy.scenes.film import CutFilm
from videxp.deploy.scenes.page import shot_page
from videxp.tasks.shot_marks import ShotMarks
from videxp.video import write_video
from videxp.video.clock import read_clock
from videxp.video.shots import FilmTransition

LEVELS = np.arange(240, dtype=np.uint8)  # of the shots of 3 frames each


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> CutFilm:
    """240 shots of 3 frames, each brighter than the one before."""
    path = tmp_path_factory.mktemp("films") / "<script>@@SCRIPT@@.mp4"
    frames = np.broadcast_to(np.repeat(LEVELS, 3)[:, None, None, None], (720, 36, 64, 3))
    write_video(path, np.ascontiguousarray(frames), fps=30, keyframe_interval=3)
    transitions = tuple(FilmTransition(frame, frame + 1, 0.75) for frame in range(2, 717, 3))
    probabilities = np.zeros(720, np.float32)
    probabilities[2:717:3] = 0.75
    return CutFilm(path, read_clock(path), transitions, 0.5, probabilities)


def marks_of(film: CutFilm) -> ShotMarks:
    """As if two found transitions were none, and two true ones not found."""
    wrong = {film.transitions[1], film.transitions[150]}
    hits = tuple((one, one) for one in film.transitions if one not in wrong)
    missed = (FilmTransition(400, 405), FilmTransition(640, 641))
    return ShotMarks(hits, missed, (film.transitions[1], film.transitions[150]))


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def grey(uri: str) -> float:
    head, _, content = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.size == (160, 90)
    return float(np.asarray(picture.convert("L")).mean())


@pytest.fixture(scope="module")
def sheet(film: CutFilm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "sheet.html"
    write_shots(path, film, marks=marks_of(film))
    return path


def test_each_shot_has_its_middle_frame_and_each_transition_its_verdict(film: CutFilm, sheet: Path):
    data = data_of(sheet.read_text())
    assert [grey(shot["picture"]) for shot in data["shots"]] == pytest.approx(LEVELS, abs=4)
    assert data["shots"][1] | {"picture": ""} == {
        "number": 2, "first": 3, "last": 5, "start": 0.1, "end": 0.2, "picture": "",
    }  # fmt: skip
    kinds = [one["kind"] for one in data["found"]]
    assert [n for n, kind in enumerate(kinds) if kind == "false"] == [1, 150] and kinds.count("hit") == 237
    assert data["found"][150] == {
        "kind": "false", "first": 452, "last": 452, "end": 452, "seconds": 15.1, "probability": 0.75, "opens": 152,
    }  # fmt: skip
    missed = [one for one in data["true"] if one["kind"] == "missed"]
    assert [(one["first"], one["last"]) for one in missed] == [(401, 404), (640, 640)]
    assert "237 hits, 2 missed, 2 false alarms (F1 0.992)" in data["summary"]
    curve = np.frombuffer(base64.b64decode(data["probabilities"]), np.uint8)
    assert curve.tolist() == (film.probabilities * 255).round().astype(int).tolist()


def test_a_page_refers_to_nothing_outside_itself_and_runs_nothing_that_a_name_brings(sheet: Path):
    html = sheet.read_text()
    assert html.count("<script") == html.count("</script") == 2 and "default-src 'none'" in html
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", html) == []


def test_a_page_of_very_many_shots_has_pictures_of_some_and_one_without_the_truth_no_verdicts(
    film: CutFilm, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(page, "MAX_PICTURES", 24)
    data = data_of(shot_page(film))
    assert sum(shot["picture"] is not None for shot in data["shots"]) == 24
    assert data["leftOut"] == "pictures of 24 of the 240 shots"
    assert (data["truth"], data["true"], {one["kind"] for one in data["found"]}) == (False, [], {"found"})


@pytest.fixture(scope="module")
def tab(sheet: Path) -> Iterator[Tab]:
    with browser(sheet.parent / "chromium") as tab:
        tab.open(sheet, width=1200)
        yield tab


@pytest.mark.slow
def test_chromium_shows_a_hundred_shots_at_a_time_and_leads_from_mistake_to_mistake(tab: Tab):
    def count(selector: str) -> int:
        return tab.run(f"document.querySelectorAll({selector!r}).length")

    assert tab.run("document.getElementById('place').textContent") == "1–100 of 240"  # noqa: RUF001  # a dash
    assert (count("figure"), count("#rows svg"), count("#rows .curve")) == (100, 2, 2)
    assert (count("#rows g.hit"), count("#rows g.false"), count("#rows g.missed")) == (198, 1, 0)
    tab.wait("document.querySelector('figure img').naturalWidth === 160")
    here = "document.querySelector('figure.here')?.id"
    seen = []
    for _ in range(5):
        tab.run("document.getElementById('mistake').click()")
        seen.append(tab.run(here))
    assert seen == ["shot-3", "shot-135", "shot-152", "shot-214", "shot-3"]  # false, missed, false, missed
    tab.run("document.getElementById('on').click()")
    assert tab.run("document.getElementById('place').textContent") == "101–200 of 240"  # noqa: RUF001  # a dash
    assert (count("#rows g.false"), count("#rows g.missed"), count("figcaption .note")) == (1, 1, 2)
    shapes = {
        kind: tab.run(f"document.querySelector('#legend .{kind}').innerHTML") for kind in ("hit", "missed", "false")
    }
    assert len(set(shapes.values())) == 3  # told apart without color
    tab.run("document.getElementById('whole').focus()")
    tab.press("End")
    assert tab.run("document.getElementById('place').textContent") == "201–240 of 240"  # noqa: RUF001  # a dash
    assert tab.run("document.getElementById('on').disabled") and count("figure") == 40
    assert tab.problems == []


@pytest.mark.slow
def test_the_page_is_dark_where_the_system_is_and_fits_a_phone(tab: Tab):
    background = "getComputedStyle(document.body).backgroundColor"
    assert tab.run(background) == "rgb(255, 255, 255)"
    tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.wait(f"{background} === 'rgb(20, 23, 27)'")
    tab.resize(390, 800)
    tab.frames()
    assert tab.run("document.documentElement.scrollWidth <= 390")
