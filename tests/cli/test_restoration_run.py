"""What holds for classification's runs holds for restoration's: reproduced, compared, the same on two processes.

That a killed and resumed run is the one left alone is shown of every recipe in tests/training/test_resume.py.
"""

import json
from pathlib import Path

import pytest

from tests.browser import browser
from tests.cli.test_compare import COLORED
from tests.conftest import train, videxp
from tests.forked import PICTURES
from videxp.training.loggers.metrics_file import last_values, read_metrics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def again(restored: Path, workplace: Path) -> Path:
    """The run, reproduced."""
    done = videxp("reproduce", str(restored), "hydra.run.dir=runs/restored-again", cwd=workplace, **{PICTURES: "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-identical" in done.stdout
    return workplace / "runs/restored-again"


def test_a_run_is_reproduced_to_the_bit_and_another_seed_is_not(restored: Path, again: Path, workplace: Path):
    weights = [json.loads((run / "provenance.json").read_text())["weights"] for run in (restored, again)]
    assert weights[0] == weights[1]
    assert (restored / "samples/restored.png").read_bytes() == (again / "samples/restored.png").read_bytes()
    other = videxp("reproduce", str(restored), "seed=5", "hydra.run.dir=runs/seed5", cwd=workplace)
    assert other.returncode == 1  # negative control
    assert "not identical; first difference: step 2, train/loss" in other.stdout


def test_two_processes_learn_and_score_what_one_does(restored: Path, workplace: Path):
    words = ["logger=csv", "hardware=ddp_cpu", "hardware.num_workers=0"]
    run = train(*words, cwd=workplace, run="runs/restored-ddp", recipe="super_resolution/sample_clips")
    assert json.loads((run / "provenance.json").read_text())["world_size"] == 2
    one, two = (last_values(read_metrics(path / "metrics.csv")) for path in (restored, run))
    names = [name for name in one if name.startswith(("test/", "val/", "train/loss"))]
    assert {"test/psnr", "test/ssim", "val/psnr", "train/loss"} <= set(names)
    assert {name: two[name] for name in names} == pytest.approx({name: one[name] for name in names}, rel=1e-4, abs=1e-4)


def test_a_page_shows_psnr_and_ssim_and_plays_the_restored_clips_of_two_runs(
    restored: Path, again: Path, workplace: Path, tmp_path: Path
):
    done = videxp("compare", str(restored), str(again), "--html", "restored.html", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with browser(tmp_path / "chromium") as tab:
        tab.open(workplace / "restored.html")
        tab.frames()
        names = tab.run("[...document.querySelectorAll('.chart')].map(chart => chart.dataset.metric)")
        drawn = dict(zip(names, tab.run(COLORED)))
        assert min(drawn["val/psnr"], drawn["val/ssim"], drawn["train/loss"]) > 100
        heads = tab.run(
            "[...document.querySelectorAll('#table thead th')].map(th => th.innerText.replace(/[\\s↓]+/g, ''))"
        )
        assert {"test/psnr", "test/ssim", "val/psnr"} <= set(heads)
        samples = tab.run("[...document.querySelectorAll('.sample h3')].map(h => h.textContent)")
        assert {"restored.png", "restored_clips.mp4"} <= set(samples)
        playing = "[...document.querySelectorAll('#gallery video')].filter(v => v.currentTime > 0 && !v.paused)"
        tab.run("document.querySelector('#gallery video').scrollIntoView({behavior: 'instant'})")
        tab.wait(f"{playing}.length >= 2")  # the two of the row that is in view
        sizes = tab.run(f"{playing}.map(v => [v.videoWidth, v.videoHeight])")
        assert sizes[0] == sizes[1] and min(sizes[0]) > 100
        assert tab.problems == []


def test_where_a_patch_of_a_restored_video_comes_from_is_told(restored: Path, workplace: Path):
    video = min((workplace / "data").glob("moving_digits/40px-4f-*/test/*/*.mp4"))  # others' are of other lengths
    done = videxp(
        "explain", str(restored), str(video), "-o", "patch", "--patch", "12,20", "--method", "gradient", cwd=workplace
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((workplace / f"patch/{video.stem}.explained.json").read_text())
    assert (facts["x"], facts["y"], facts["side"]) == (8, 16, 8) and facts["measure"] == "R2"
    assert facts["frame"]["number"] in facts["clip"]["frames"]
    assert sum(facts["map"]["share_of_frames"]) == pytest.approx(1, abs=1e-4)
    importance = dict(zip(facts["clip"]["frames"], facts["frames"]["mean"]))
    assert max(importance, key=lambda frame: importance[frame]) == facts["frame"]["number"]  # its own frame, above all
    refused = videxp("explain", str(restored), str(video), "-o", "patch-outside", "--patch", "500,2", cwd=workplace)
    assert refused.returncode == 2 and "give a pixel X,Y" in refused.stderr
