"""videxp compare over real runs: the table, the files, and the page as Chromium shows it."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import Tab, browser
from tests.comparison.test_significance_of_runs import evaluated
from tests.conftest import Run, train, videxp
from tests.forked import PICTURES
from tests.runs.made import CONFIG, changed
from videxp.runs.folder import RunFolder
from videxp.video.encoder import write_video

pytestmark = pytest.mark.slow
ROWS = "document.querySelectorAll('#table tbody tr').length"
# The number of pixels of a chart's canvas that are neither transparent nor grey: curves.
COLORED = """[...document.querySelectorAll('.chart canvas')].map(canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let i = 0; i < pixels.length; i += 4) {
        const [r, g, b] = pixels.slice(i, i + 3);
        count += pixels[i + 3] > 200 && Math.max(r, g, b) - Math.min(r, g, b) > 60;
    }
    return count;
})"""


@pytest.fixture(scope="module")
def runs(finished: tuple[Path, Run], workplace: Path) -> Path:
    """Two real runs that differ in learning rate and seed, a failed one, and a folder that is damaged."""
    folder = workplace / "compared"
    shutil.copytree(finished[0], folder / "first", ignore=shutil.ignore_patterns("worst_videos*", "evaluation*"))
    train("optimizer.lr=1e-4", "seed=3", "logger=csv", cwd=workplace, run="compared/second", **{PICTURES: "1"})
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    for i, name in enumerate(("first", "second")):
        for t in range(8):
            frames[t, :, 4 * t : 4 * t + 4] = (255, 200 * i, 0)
        write_video(folder / name / "samples/clip.mp4", frames, fps=8)
    for name, videos, scores in (("first", 4, (0.5, 1.0, None)), ("second", 8, (0.25, 0.5, 0.0))):
        given = [("up", videos), ("down", 4), ("<b>left", 4)]
        classes = [{"class": c, "videos": n, "accuracy": s} for (c, n), s in zip(given, scores)]
        robustness = {"protocol": "yi2021", "metric": "accuracy", "samples": "1a2b", "clean": {"value": 0.9}}
        robustness["figures"] = {"fog": {"1": {"value": 0.1 * videos}, "3": {"value": 0.3}}}
        content = {"classes": classes, "robustness": robustness}
        (folder / name / "evaluation.json").write_text(json.dumps(content))
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(folder / "second/samples/moving.gif", save_all=True, append_images=others, duration=100, loop=0)
    shutil.copytree(folder / "second", folder / "third", ignore=shutil.ignore_patterns("samples", "evaluation.json"))
    RunFolder(folder / "third").set_state("failed", cause="RuntimeError: <img src=x onerror=alert(1)>")
    (folder / "broken").mkdir()
    (folder / "broken/status.json").write_text('{"state": "runn')
    return folder


@pytest.fixture(scope="module")
def page(runs: Path, workplace: Path) -> Path:
    done = videxp("compare", "compared", "--html", "page.html", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "page.html" in done.stderr
    return workplace / "page.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


def test_the_table_shows_what_differed_what_came_out_and_every_state(runs: Path, workplace: Path):
    done = videxp("compare", "compared", cwd=workplace)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    for text in ("first", "second", "finished", "failed", "broken", "0.0001", "seed", "clips/s"):
        assert text in done.stdout
    assert "third: failed: RuntimeError" in done.stdout
    assert "broken: broken: status.json cannot be read" in done.stdout
    assert "weight_decay" not in done.stdout  # the same in all
    assert "num_workers" not in done.stdout


def test_json_and_csv_hold_last_and_best_of_every_metric(runs: Path, workplace: Path):
    done = videxp("compare", "compared/*", "--json", "--sort", "lr:desc", "--filter", "state=finished", cwd=workplace)
    rows = json.loads(done.stdout)
    assert [(Path(row["run"]).name, row["seed"], row["optimizer.lr"]) for row in rows] == [
        ("first", 0, 0.003),
        ("second", 3, 0.0001),
    ]
    assert all(row["seconds"] > 0 and row["clips_per_second"] > 0 for row in rows)
    videxp("compare", "compared", "--csv", "out.csv", cwd=workplace)
    with (workplace / "out.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {"val/loss", "val/loss.best", "test/accuracy", "train/loss"} <= set(table[0])
    assert float(table[1]["val/loss.best"]) == min(rows[0]["val/loss.best"], rows[0]["val/loss"])


def test_it_answers_without_torch(runs: Path):
    code = "import sys; from videxp.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    arguments = ["compare", str(runs), "--html", str(runs.parent / "other.html")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("False")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["compared", "--filter", "lr"], "not a condition"),
        (["compared", "--filter", "seed>99"], "no run meets seed>99"),
        (["compared", "--html", "page.html/x"], "cannot be written"),
    ],
)
def test_bad_requests_are_one_line(runs: Path, page: Path, workplace: Path, arguments: list[str], words: str):
    done = videxp("compare", *arguments, cwd=workplace)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_page_shows_table_curves_and_samples_and_asks_the_network_for_nothing(page: Path, tab: Tab, tmp_path: Path):
    tab.open(page)
    tab.frames()
    assert tab.run(ROWS) == 4
    heads = tab.run("[...document.querySelectorAll('#table thead th')].map(th => th.innerText.replace(/\\s+/g, ''))")
    assert heads[:5] == ["run", "state", "optimizer.lr", "seed", "val/accuracy↓"]
    assert {"test/accuracy", "val/loss", "time", "clips/s"} <= set(heads)
    text = tab.run("document.body.innerText")
    assert "RuntimeError: <img src=x onerror=alert(1)>" in text  # as text: nothing in a run folder becomes markup
    assert "status.json cannot be read" in text
    names = tab.run("[...document.querySelectorAll('.chart')].map(chart => chart.dataset.metric)")
    assert {"val/accuracy", "val/loss", "train/loss"} <= set(names)
    drawn = tab.run(COLORED)
    assert len(drawn) == len(names)
    assert min(drawn) > 100
    samples = tab.run("[...document.querySelectorAll('.sample h3')].map(h => h.textContent)")
    assert samples == ["clip.mp4", "confusion_matrix.png", "moving.gif", "prediction_clips.mp4", "predictions.png"]
    tab.wait("[...document.querySelectorAll('#gallery img')].every(image => image.naturalWidth > 0)")
    assert tab.run("document.querySelectorAll('#gallery video').length") == 4
    tab.run("document.querySelector('#gallery video').scrollIntoView({behavior: 'instant'})")  # unseen ones wait
    playing = "[...document.querySelectorAll('#gallery video')].filter(v => v.currentTime > 0 && !v.paused).length"
    tab.wait(f"{playing} >= 2")  # the two of the row that is in view
    assert tab.problems == []
    colors = np.asarray(Image.open(tab.screenshot(tmp_path / "page.png")).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colors, axis=0)) > 500


def test_the_page_shows_the_classes_that_went_least_well_first(page: Path, tab: Tab, tmp_path: Path):
    tab.open(page)
    tab.frames()
    rows = tab.run("[...document.querySelectorAll('#class-table tr')].map(r => r.innerText.split(/\\s+/).join(' '))")
    assert rows == [
        "class videos first accuracy second accuracy",
        *("<b>left 4 - 0.0000", "up 4-8 0.5000 0.2500", "down 4 1.0000 0.5000"),
    ]
    tab.run("document.querySelector('#table tr[data-run=\"1\"] input').click()")  # hides the first run
    assert "first" not in tab.run("document.querySelector('#class-table thead').innerText")
    assert tab.run("document.querySelectorAll('#class-table tr')[2].innerText").split() == ["up", "8", "0.2500"]
    assert tab.problems == []


def test_the_page_shows_what_was_tested_sample_by_sample(tab: Tab, tmp_path: Path):
    right = np.arange(40) % 2 == 0
    evaluated(tmp_path / "runs/first", right)
    for name, answers in (("more", right | (np.arange(40) % 5 < 3)), ("same", right)):
        config = changed(CONFIG, optimizer__lr=0.1, name=name)
        evaluated(tmp_path / "runs" / name, answers, config=config)
    done = videxp("compare", "runs", "--significance", "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tab.open(tmp_path / "page.html", width=400)
    tab.frames()
    rows = tab.run("[...document.querySelectorAll('#significance-table tr')].map(r => r.innerText)")
    assert [" ".join(row.split()) for row in rows[1:]] == [
        "first 0.5000",
        "more 0.8000 +0.3000 +0.1750 to +0.4500 9.8e-4 better",
        "same 0.5000 0.0000 0.0000 to 0.0000 1.000 no difference shown",
    ]
    assert tab.run("document.querySelectorAll('#significance-table svg circle').length") == 2
    assert "2 comparisons" in tab.run("document.querySelector('#significance-notes').innerText")
    assert tab.run("document.documentElement.scrollWidth <= 400")
    assert tab.problems == []


def test_the_page_draws_robustness_of_several_runs_over_one_another(page: Path, tab: Tab):
    tab.open(page)
    tab.frames()
    charts = "[...document.querySelectorAll('#robustness-charts .small-chart')]"
    titles = ["mean of all: accuracy, yi2021", "fog: accuracy, yi2021"]
    assert tab.run(f"{charts}.map(chart => chart.dataset.chart)") == titles
    label = tab.run(f"{charts}[1].querySelector('svg').getAttribute('aria-label')")
    assert "first: clean 0.9000, severity 1 0.4000, severity 3 0.3000" in label
    # Clean at the top, both runs in one place; at severity 1 the second run, 0.8, is above the first, 0.4.
    heights = f"{charts}[1].querySelectorAll('g')"
    first, second = (
        tab.run(f"[...{heights}[{i}].querySelectorAll('circle')].map(c => +c.getAttribute('cy'))") for i in (0, 1)
    )
    assert first[0] == second[0] < second[1] < first[1] < first[2] == second[2]
    tab.run("document.querySelector('#table tr[data-run=\"1\"] input').click()")  # hides the first run
    assert tab.run(f"{charts}[1].querySelectorAll('path').length") == 1
    assert tab.problems == []


def test_a_page_that_asks_for_something_from_elsewhere_would_be_noticed(page: Path, tab: Tab, tmp_path: Path):
    other = tmp_path / "other.html"
    tag = '<img src="http://127.0.0.1:9/x.png"><script>document.title = "ran"</script>'
    other.write_text("<!doctype html><title>still</title>" + tag)
    tab.open(other)
    assert any("127.0.0.1:9" in problem for problem in tab.problems)
    assert tab.run("document.title") == "ran"
    tab.problems.clear()
    other.write_text(page.read_text().replace("<footer", tag + "<footer", 1))  # the page's policy stops both
    tab.open(other)
    assert tab.run("document.title") != "ran"
    assert tab.run(ROWS) == 4
    tab.problems.clear()


def test_sorting_finding_and_hiding_runs_by_keyboard(page: Path, tab: Tab):
    tab.open(page)
    first = "document.querySelector('#table tbody th').innerText.trim()"
    seed = "[...document.querySelectorAll('#table thead button')].find(button => button.innerText.includes('seed'))"
    tab.run(f"{seed}.focus()")
    tab.press("Enter")
    assert tab.run(first) == "first"
    tab.press("Enter")  # the focus stays on the heading
    assert tab.run(first) == "second"
    assert tab.run(f"{seed}.closest('th').ariaSort") == "descending"
    tab.run("document.getElementById('search').focus()")
    for letter in "fin":
        tab.press(letter)
    assert tab.run(ROWS) == 2
    assert tab.run("document.querySelectorAll('#gallery figure').length") == 9
    before = sum(tab.run(COLORED))
    tab.run("document.querySelector('#table tbody input').focus()")
    tab.press(" ")
    tab.frames()
    assert tab.run("document.querySelectorAll('#gallery figure').length") < 9
    assert sum(tab.run(COLORED)) < before


def test_hover_shows_values_and_drag_zooms_every_chart(page: Path, tab: Tab):
    tab.open(page)
    tab.frames()
    left, top, width, height = tab.run(
        "(() => { const chart = document.querySelector('[data-metric=\"train/loss\"] .u-over');"
        "chart.scrollIntoView({behavior: 'instant', block: 'center'});"
        "const box = chart.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()"
    )
    tab.mouse("mouseMoved", left + width * 0.4, top + height * 0.5)
    tab.mouse("mouseMoved", left + width * 0.5, top + height * 0.5)
    tab.frames()
    tip = tab.run("document.querySelector('.tip:not([hidden])')?.innerText ?? ''")
    assert "step" in tip
    assert "first" in tip and "second" in tip
    tab.mouse("mousePressed", left + width * 0.5, top + height * 0.5)
    tab.mouse("mouseMoved", left + width * 0.9, top + height * 0.5)
    tab.mouse("mouseReleased", left + width * 0.9, top + height * 0.5)
    tab.frames()
    ranges = "[...charts.values()].map(chart => chart.plot.scales.x.max - chart.plot.scales.x.min)"
    assert max(tab.run(ranges)) < 5  # of 8 steps
    tab.run("[...charts.values()][0].holder.focus()")
    tab.press("0")
    tab.frames()
    assert min(tab.run(ranges)) >= 5
    tab.press("ArrowRight")
    tab.frames()
    assert tab.run("!charts.values().next().value.tip.hidden")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_sticks_out_and_text_is_readable_on_any_screen(page: Path, tab: Tab, width: int, dark: bool):
    tab.open(page, width=width, height=800, dark=dark)
    tab.frames()
    tab.run("document.querySelectorAll('details').forEach(details => (details.open = true))")  # menus too
    tab.frames()
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    lightness = (
        "(name => getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 3)"
    )
    room = "(cause => cause.clientWidth - parseFloat(getComputedStyle(cause).paddingLeft))"
    assert tab.run(f"{room}(document.querySelector('.trouble'))") > (300 if width > 400 else 80)
    paper, ink = tab.run(f"{lightness}('backgroundColor')"), tab.run(f"{lightness}('color')")
    assert abs(paper - ink) > 150
    assert (paper < 60) == dark


def test_axis_smoothing_and_log_redraw_the_curves(page: Path, tab: Tab):
    tab.open(page)
    last = "[...charts.values()][0].plot.data[0].at(-1)"
    assert tab.run(last) == 10  # steps
    tab.run("document.querySelector('#axis [value=epoch]').click()")
    assert tab.run(last) == 1
    tab.run("document.querySelector('#axis [value=clips_seen]').click()")
    assert tab.run(last) == 80
    first = "1 + runs.findIndex(run => run.name === 'first')"
    loss = f"charts.get('train/loss').plot.data[{first}].filter(y => y !== undefined)"
    raw = tab.run(loss)
    tab.run("document.getElementById('smoothing').value = 0.5")
    tab.run("document.getElementById('smoothing').dispatchEvent(new Event('input'))")
    smooth = tab.run(loss)
    assert smooth[0] == pytest.approx(raw[0])
    assert smooth[1] == pytest.approx((raw[0] / 4 + raw[1] / 2) / 0.75)
    tab.run("document.getElementById('log').click()")
    tab.frames()
    assert min(tab.run(COLORED)) > 50
    assert tab.problems == []


def test_a_sample_is_enlarged_and_arrow_keys_go_through_the_runs(page: Path, tab: Tab):
    tab.open(page)
    caption = "document.getElementById('large-caption').innerText.trim()"
    tab.run("document.querySelector('#gallery figure button:has(img)').focus()")
    tab.press("Enter")
    assert tab.run("document.getElementById('lightbox').open")
    assert tab.run(caption).startswith("first")
    tab.press("ArrowRight")
    assert tab.run(caption).startswith("second")
    tab.press("ArrowRight")
    assert tab.run(caption).startswith("first")
    tab.press("Escape")
    assert not tab.run("document.getElementById('lightbox').open")


def test_samples_beyond_the_limit_are_left_out_and_named(runs: Path, workplace: Path, tab: Tab):
    done = videxp("compare", "compared", "--html", "small.html", "--max-sample-megabytes", "0.01", cwd=workplace)
    assert "left out" in done.stderr
    assert (workplace / "small.html").stat().st_size < 200_000
    tab.open(workplace / "small.html")
    text = tab.run("document.getElementById('left-out').innerText")
    assert "left out" in text
    tab.run("document.querySelector('#left-out-list').open = true")
    assert "confusion_matrix.png" in tab.run("document.getElementById('left-out-list').innerText")
    assert tab.run("document.querySelectorAll('#gallery video').length") == 2  # small ones are still there
