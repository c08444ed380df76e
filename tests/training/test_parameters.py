"""What the page of compared runs shows of a sweep, as Chromium draws it: lines over parameters, and small charts."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev

import pytest

from tests.browser import Tab, browser
from tests.runs.made import CONFIG, ROWS, changed, make_run
from videxp.comparison.page import build_page
from videxp.comparison.table import row, table_columns
from videxp.runs.folder import RunFolder
from videxp.runs.reading import read_run

pytestmark = pytest.mark.slow
MODELS = ("models.X3D", "models.SlowFast", "models.MoViNetA0StreamWithSqueezeAndExcitation", "evil.<img src=x>")
SHORT = [r for r in ROWS if "test/accuracy" not in r]  # of a run that was ended early
TITLES = "[...document.querySelectorAll('#lines .axis title')].map(title => title.textContent)"
TIP = "document.querySelector('#parameter-tip:not([hidden])')?.innerText ?? ''"
TICKS = """[...document.querySelectorAll('#lines .axis')].map(
    axis => [...axis.querySelectorAll('.tick')].map(tick => tick.textContent.replace('\u2212', '-')))"""
# Texts of one drawing that lie on one another; ticks stand apart from what another axis has beside them.
OVERLAPS = """[...document.querySelectorAll('#lines .axis, .small-chart svg')].flatMap(part => {
    const boxes = [...part.querySelectorAll('text')].map(text => [text.textContent, text.getBBox()]);
    return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) => p.width && q.width
        && p.x < q.x + q.width && q.x < p.x + p.width && p.y < q.y + q.height - 3 && q.y < p.y + p.height - 3)
        .map(([b]) => `${a} | ${b}`));
})"""


def scaled(rows: list[dict], by: float) -> list[dict]:
    return [{name: value * by if "/" in name else value for name, value in r.items()} for r in rows]


def make_sweep(folder: Path, number: int) -> list[Path]:
    """Runs over a logarithmic rate, a class and a number that some lack; the third is ended early, the last queued."""
    runs = []
    for i in range(number):
        model = {"_target_": MODELS[i % 4], **({"depth": 1 + i % 3} if i % 4 == 0 else {})}
        rate = 10 ** (-4 + 3 * i / (number - 1))
        config = changed(CONFIG, model=model, optimizer__lr=rate, optimizer__weight_decay=(0, 1e-4, 1e-2)[i % 3])
        state = {"state": "interrupted"} if i == 2 else {}
        rows = scaled(SHORT if i == 2 else ROWS, 1 / (1 + i))
        runs.append(make_run(folder / f"{i:04d}", config=config, rows=rows, **state))
    for name in ("status.json", "metrics.csv"):
        (runs[-1] / name).unlink()
    RunFolder(runs[-1]).plan(command="videxp train mine/tiny", recipe="mine/tiny")
    return runs


def write_page(path: Path, folders: list[Path], *, keep_order: bool = False) -> Path:
    runs = [read_run(folder) for folder in folders]
    rows, columns = [row(run) for run in runs], table_columns(runs)
    page = build_page(runs, rows, columns, max_sample_bytes=0, keep_order=keep_order)
    path.write_text(page.html)
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    return write_page(folder / "page.html", make_sweep(folder, 13))


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab
        assert tab.problems == []


def test_each_run_is_a_line_over_what_differs_and_the_metric_that_decided(page: Path, tab: Tab):
    tab.open(page)
    assert tab.run(TITLES) == [
        "model",
        "model.depth",
        "optimizer.lr, logarithmic",
        "optimizer.weight_decay, logarithmic",
        "best val/accuracy, more is better",  # task.monitor's
    ]
    lengths = tab.run("[...against.lines].map(([index, points]) => [index, points.length])")
    assert sorted(lengths) == [*([i, 5] for i in range(12)), [12, 4]]  # the queued run does not reach the metric
    assert tab.run("document.querySelectorAll('#lines .runs path').length") == 13
    assert tab.run("document.getElementById('without').textContent").startswith("1 of 13 have no best val/accuracy")
    assert "1 queued" in tab.run("document.getElementById('summary').textContent")
    assert tab.run("[...document.querySelectorAll('.small-chart h3')].map(h => h.textContent)") == [
        "model",
        "model.depth",
        "optimizer.lr",
        "optimizer.weight_decay",
    ]
    assert (
        tab.run("[...document.querySelectorAll('.small-chart')].map(c => c.querySelectorAll('circle').length)")
        == [12] * 4
    )


def test_a_scale_that_spans_decades_is_logarithmic_and_a_zero_has_a_place_beneath(page: Path, tab: Tab):
    tab.open(page)
    at = "(index, axis) => against.lines.get(index)[axis][1]"
    low, middle, high = (tab.run(f"({at})({i}, 2)") for i in (0, 6, 12))  # 1e-4, 10 ** -2.5, 0.1
    assert middle == pytest.approx((low + high) / 2)
    assert 10**-2.5 / 0.1 < 0.04  # on a linear scale it lies with the lowest
    assert tab.run(TICKS)[1:4] == [
        ["3", "2", "1", "none"],  # the other models have no depth
        ["0.1", "0.01", "0.001", "1e-4"],
        ["0.01", "1e-4", "0"],
    ]
    zero, small, large = (tab.run(f"({at})({i}, 3)") for i in (0, 1, 2))
    assert zero - small > 20 and small - large > 150  # px, upwards


def test_the_metric_is_chosen_and_colors_tell_the_better_runs_by_the_tasks_direction(page: Path, tab: Tab):
    tab.open(page)
    options = tab.run("[...document.querySelectorAll('#against option')].map(option => option.textContent)")
    assert {"last test/accuracy", "last val/loss", "best val/accuracy", "time"} <= set(options)
    assert tab.run("against.ranked.at(-1)") == 0  # drawn last, over the others
    best = tab.run("document.querySelector('#lines .runs').lastChild.style.stroke")
    choice = options.index("last val/loss")
    tab.run(
        f"((s) => {{ s.value = {choice}; s.dispatchEvent(new Event('change')); }})(document.getElementById('against'))"
    )
    assert tab.run(TITLES)[-1] == "last val/loss, less is better"
    assert tab.run("against.ranked.at(-1)") == 11
    assert tab.run("document.querySelector('#lines .runs').lastChild.style.stroke") == best


def test_pointing_at_a_line_or_a_dot_names_the_run_and_its_values_and_keys_go_from_the_best(page: Path, tab: Tab):
    tab.open(page)
    place = "(box => [box.left, box.top])(document.querySelector('#lines svg').getBoundingClientRect())"
    tab.run("document.getElementById('lines').scrollIntoView({behavior: 'instant', block: 'center'})")
    left, top = tab.run(place)
    x, y = tab.run("against.lines.get(3)[2]")
    tab.mouse("mouseMoved", left + x, top + y)
    told = tab.run(TIP)
    assert told.split()[:2] == ["0003", "finished"]
    assert [line.split("\t") for line in told.splitlines()[1:]] == [
        ["model", "<img src=x>"],  # as text
        ["model.depth", "none"],
        ["optimizer.lr", "0.000562341"],
        ["optimizer.weight_decay", "0"],
        ["best val/accuracy", "0.1875"],
    ]
    assert tab.run("document.querySelector('#table tr.near').dataset.run") == "3"
    assert tab.run("document.querySelectorAll('#lines .near path').length") == 1
    dot = "(box => [box.left + 3, box.top + 3])(against.dots[2].get(5).dot.getBoundingClientRect())"
    tab.run("against.dots[2].get(5).dot.scrollIntoView({behavior: 'instant', block: 'center'})")
    tab.mouse("mouseMoved", *tab.run(dot))
    assert "0005" in tab.run(TIP)
    tab.run("document.getElementById('lines').focus()")
    tab.press("Home")
    assert "0000" in tab.run(TIP)
    tab.press("ArrowRight")
    assert "0001" in tab.run(TIP)
    tab.press("Escape")
    assert tab.run(TIP) == ""


def test_only_the_runs_that_are_found_and_the_parameters_that_are_chosen_are_drawn(page: Path, tab: Tab):
    tab.open(page)
    tab.run(
        "((s) => { s.value = 'slowfast'; s.dispatchEvent(new Event('input')); })(document.getElementById('search'))"
    )
    assert tab.run("[...against.lines.keys()].sort((a, b) => a - b)") == [1, 5, 9]
    tab.run("document.getElementById('show-none').click()")
    assert tab.run("[against.lines.size, document.querySelectorAll('#lines .runs path').length]") == [0, 0]
    tab.run("document.getElementById('show-all').click()")
    tab.run("((s) => { s.value = ''; s.dispatchEvent(new Event('input')); })(document.getElementById('search'))")
    tab.run(
        "[...document.querySelectorAll('#parameter-choice label')].find(l => l.textContent === 'model.depth').click()"
    )
    assert "model.depth" not in tab.run(TITLES)
    assert tab.run("document.querySelectorAll('.small-chart').length") == 3


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three rates, less than ten apart, of two seeds each, the last of which failed; the test is worst where the
    validation is best."""
    folder, runs = tmp_path_factory.mktemp("seeds"), []
    for i, (rate, seed) in enumerate((rate, seed) for rate in (1e-3, 2e-3, 4e-3) for seed in range(2)):
        config = changed(CONFIG, optimizer__lr=rate, seed=seed, hardware__precision=f"p{i}", run__group=f"g{i}")
        rows = [{"step": 1, "epoch": 0, "val/accuracy": 0.5 + i * i / 100, "test/accuracy": 0.9 - i / 10}]
        state = {"state": "failed"} if i == 5 else {}
        runs.append(make_run(folder / f"rates/{i}", config=config, rows=rows, **state))
    return runs


def test_runs_are_ranked_and_colored_by_validation_and_not_by_the_test(seeds: list[Path], tmp_path: Path, tab: Tab):
    names = "[...document.querySelectorAll('#table tbody th')].map(th => th.innerText.trim())"
    tab.open(write_page(tmp_path / "page.html", seeds))
    assert tab.run(names) == ["5", "4", "3", "2", "1", "0"]  # by the test it is the other way round
    assert tab.run("against.ranked.at(-1)") == 5
    assert "sorted by last val/accuracy" in tab.run("document.body.innerText")
    tab.open(write_page(tmp_path / "page.html", seeds, keep_order=True))  # compare --sort
    assert tab.run(names) == ["0", "1", "2", "3", "4", "5"]
    assert "sorted by" not in tab.run("document.body.innerText")
    assert tab.run("document.title") == "6 runs · rates"


def test_rates_lie_by_their_ratio_and_hardware_and_group_are_no_parameters(seeds: list[Path], tmp_path: Path, tab: Tab):
    tab.open(write_page(tmp_path / "page.html", seeds))
    assert tab.run(TITLES)[:-1] == ["optimizer.lr, logarithmic", "seed"]
    choices = "[...document.querySelectorAll('#parameter-choice label')].map(label => label.textContent)"
    assert tab.run(choices) == ["optimizer.lr", "seed"]
    low, middle, high = (tab.run(f"against.lines.get({i})[0][1]") for i in (0, 2, 4))  # 0.001, 0.002, 0.004
    assert middle == pytest.approx((low + high) / 2)
    assert tab.run("numberTicks([2e-4, 3e-4, 4.4e-4, 5e-4, 6.1e-4, 8e-4], {log: true, low: 2e-4, high: 8e-4})") == [
        *(2e-4, 5e-4),
    ]


@pytest.mark.parametrize("width", [360, 1400])
def test_means_are_of_each_experiments_finished_runs_that_are_shown(
    seeds: list[Path], tmp_path: Path, tab: Tab, width: int
):
    tab.open(write_page(tmp_path / "page.html", seeds), width=width)
    rows = "[...document.querySelectorAll('#mean-table tr')].map(tr => [...tr.children].map(cell => cell.textContent))"

    def line(name: str, rate: str, *runs: int) -> list[str]:
        columns = [[0.5 + i * i / 100 for i in runs], [0.9 - i / 10 for i in runs]]
        spread = [f" ± {stdev(values):.4f}" if len(runs) > 1 else "" for values in columns]
        return [name, rate, *(f"{mean(values):.4f}{deviation}" for values, deviation in zip(columns, spread))]

    assert tab.run(rows) == [
        ["runs", "optimizer.lr", "last val/accuracy", "last test/accuracy"],
        line("1 run 4", "0.004", 4),  # the other one failed
        line("2 runs 3, 2", "0.002", 2, 3),
        line("2 runs 1, 0", "0.001", 0, 1),
    ]
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    tab.run("document.querySelector('#table tr[data-run=\"3\"] input').click()")
    assert tab.run(rows)[2] == line("1 run 2", "0.002", 2)
    tab.run("document.querySelector('#table tr[data-run=\"0\"] input').click()")
    assert tab.run("document.getElementById('means').hidden")


def test_a_page_of_300_runs_is_small_and_readable(tmp_path: Path, tab: Tab):
    file = write_page(tmp_path / "page.html", make_sweep(tmp_path, 300))
    assert file.stat().st_size < 1_000_000
    for width in (360, 1400):
        tab.open(file, width=width)
        tab.frames()
        assert tab.run("document.querySelectorAll('#lines .runs path').length") == 300
        assert tab.run("document.querySelectorAll('.small-chart circle').length") == 4 * 299
        assert tab.run(OVERLAPS) == []
        assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert tab.run("(start => { drawParameters(); return performance.now() - start; })(performance.now())") < 1500


def test_texts_that_lie_on_one_another_would_be_noticed(page: Path, tab: Tab):
    tab.open(page)
    tab.run("(([a, b]) => a.setAttribute('y', b.getAttribute('y')))(document.querySelectorAll('#lines .tick'))")
    assert len(tab.run(OVERLAPS)) == 1


def test_runs_that_are_all_alike_or_one_run_or_no_metric_leave_the_section_out(tmp_path: Path, tab: Tab):
    one, same = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    other = make_run(tmp_path / "c", config=changed(CONFIG, seed=1))
    new = make_run(tmp_path / "d", config=changed(CONFIG, seed=2), rows=[], state="running")
    hidden = "document.getElementById('parameters').hidden"
    shown = {}
    for name, folders in {"one": [one], "alike": [one, same], "two": [one, other], "no metric": [other, new]}.items():
        tab.open(write_page(tmp_path / "page.html", folders))
        shown[name] = not tab.run(hidden)
    assert shown == {"one": False, "alike": False, "two": True, "no metric": False}


def test_a_metric_that_is_no_number_counts_as_none(tmp_path: Path, tab: Tab):
    rows = [{**r, **({"val/accuracy": math.nan} if "val/accuracy" in r else {})} for r in SHORT]
    folders = [
        make_run(tmp_path / str(i), config=changed(CONFIG, seed=i), rows=rows if i == 1 else SHORT) for i in range(4)
    ]
    tab.open(write_page(tmp_path / "page.html", folders))
    index = tab.run("against.metrics.findIndex(column => columnName(column) === 'last val/accuracy')")
    tab.run(f"against.metric = against.metrics[{index}]; drawParameters()")
    assert tab.run("document.getElementById('without').textContent").startswith("1 of 4")
    assert json.loads(tab.run("JSON.stringify(against.ranked)")) == [0, 2, 3]
