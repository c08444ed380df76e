"""What the page of compared runs shows of their cost, as Chromium draws it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Tab, browser
from tests.runs.made import CONFIG, ROWS, changed, make_run
from videxp.comparison.page import build_page
from videxp.comparison.table import row, table_columns
from videxp.runs.reading import read_run

pytestmark = pytest.mark.slow
LAPTOP = {"device": "Some CPU, 2 cores", "threads": 1, "precision": "32-true"}
SHOWN = """[...document.querySelectorAll('#tradeoff-charts .small-chart')].map(
    chart => [chart.dataset.cost, ...['circle', '.on-front'].map(what => chart.querySelectorAll(what).length)])"""
FRONT = """tradeoffs.dots.map(
    dots => [...dots].filter(([, {dot}]) => dot.matches('.on-front')).map(([index]) => index).sort())"""


def speed(latency: float, size: float, **more: Any) -> dict[str, Any]:
    scalars = {"speed/latency_ms": latency, "speed/size_mib": size, "speed/gmacs": latency / 10}
    better = {"speed/latency_ms": "min"}
    return {"speed": {"conditions": LAPTOP, "scalars": scalars, "better": better, **more}}


def make_runs(folder: Path) -> list[Path]:
    """By latency c is beaten by b, by size it is the smallest; d was measured on a busy machine, e not at all."""
    facts = {
        "a": (0.9, speed(100, 40)),
        "b": (0.8, speed(10, 20)),
        "c": (0.7, speed(20, 5)),
        "d": (0.6, speed(2, 10, busy="the machine was busy", conditions={**LAPTOP, "threads": 4})),
        "e": (0.95, {}),
    }
    runs = []
    for number, (name, (accuracy, evaluation)) in enumerate(facts.items()):
        rows = [{**r, **({"test/accuracy": accuracy} if "test/accuracy" in r else {})} for r in ROWS]
        runs.append(make_run(folder / name, config=changed(CONFIG, seed=number), rows=rows))
        (runs[-1] / "evaluation.json").write_text(json.dumps(evaluation))
    return runs


def write_page(path: Path, folders: list[Path]) -> Path:
    runs = [read_run(folder) for folder in folders]
    page = build_page(runs, [row(run) for run in runs], table_columns(runs), max_sample_bytes=0, keep_order=True)
    path.write_text(page.html)
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab
        assert tab.problems == []


def test_runs_that_others_beat_in_accuracy_and_cost_are_grey(tmp_path: Path, tab: Tab) -> None:
    tab.open(write_page(tmp_path / "page.html", make_runs(tmp_path)))
    assert tab.run(SHOWN) == [["speed/latency_ms", 4, 3], ["speed/size_mib", 4, 3], ["speed/gmacs", 4, 3]]
    assert tab.run(FRONT) == [[0, 1, 3], [0, 1, 2], [0, 1, 3]]
    assert tab.run("document.getElementById('tradeoff-metric').selectedOptions[0].textContent") == "last test/accuracy"
    assert tab.run("document.getElementById('tradeoff-notes').textContent") == (
        "times and energy are of 2 different machines or settings, which cannot be compared; "
        "1 measured while the machine was busy: hollow"
    )
    slow, fast = (tab.run(f"tradeoffs.dots[0].get({i}).place[0]") for i in (0, 3))
    assert slow > fast
    tab.run("tradeoffs.dots[0].get(1).dot.scrollIntoView({behavior: 'instant', block: 'center'})")
    tab.mouse(
        "mouseMoved", *tab.run("(b => [b.left + 5, b.top + 5])(tradeoffs.dots[0].get(1).dot.getBoundingClientRect())")
    )
    told = tab.run("document.querySelector('#tradeoff-tip:not([hidden])').innerText")
    assert told.splitlines()[0].strip() == "b"
    assert told.splitlines()[-1] == "Some CPU, 2 cores, 1 thread, 32-true"
    tab.run("document.querySelector('#table tr[data-run=\"1\"] input').click()")  # without b, nothing beats c
    assert tab.run(SHOWN)[0] == ["speed/latency_ms", 3, 3]
    for width, dark in ((360, True), (1400, False)):
        tab.open(tmp_path / "page.html", width=width, dark=dark)
        assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert tab.run("document.querySelectorAll('#tradeoff-charts circle').length") == 12


def test_where_a_metric_is_better_when_less_a_lower_one_is_in_front(tmp_path: Path, tab: Tab) -> None:
    tab.open(write_page(tmp_path / "page.html", make_runs(tmp_path)))
    index = tab.run("tradeoffs.metrics.findIndex(column => columnName(column) === 'last test/loss')")
    select = "document.getElementById('tradeoff-metric')"
    tab.run(f"(s => {{ s.value = {index}; s.dispatchEvent(new Event('change')); }})({select})")
    assert tab.run(SHOWN)[0] == ["speed/latency_ms", 4, 1]  # all have one loss: the quickest beats them


def test_runs_without_a_measured_speed_leave_the_section_out(tmp_path: Path, tab: Tab) -> None:
    runs = make_runs(tmp_path)
    tab.open(write_page(tmp_path / "page.html", [runs[0], runs[-1]]))
    assert tab.run("document.getElementById('tradeoffs').hidden")
