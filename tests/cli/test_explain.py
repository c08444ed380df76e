"""videxp explain, and the axis of explanations: what is seen, what is kept, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.browser import browser
from tests.conftest import videxp
from videxp.video import open_video


@pytest.fixture
def run(finished) -> Path:
    return finished[0]


@pytest.fixture
def videos(run: Path) -> list[Path]:
    """Two test videos of the run's data."""
    data = run.parent.parent / "data"
    found = sorted(data.glob("moving_digits/40px-10f-*/test/*/*.mp4"))  # others' videos are of other lengths
    return [found[0], found[-1]]


def explained(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.explained.json").read_text())


@pytest.mark.slow
def test_videos_are_explained_in_files_and_a_page_and_the_same_again(
    run: Path, videos: list[Path], workplace: Path, tmp_path: Path
):
    out = tmp_path / "out"
    done = videxp("explain", str(run), *map(str, videos), "-o", str(out), cwd=workplace)
    assert done.returncode == 0, done.stderr
    names = [video.stem for video in videos]
    files = {f"{name}.explained.{ending}" for name in names for ending in ("mp4", "png", "json")}
    assert {path.name for path in out.iterdir()} == {*files, "index.html"}
    for name, video in zip(names, videos):
        facts = explained(out, name)
        assert facts["path"] == str(video) and len(facts["weights"]) == 64
        assert facts["class"] == facts["predicted"] and 0 < facts["probability"] <= 1
        assert facts["map"]["method"] == "gradcam" and facts["map"]["layer"] == "features"
        with open_video(video) as reader:
            assert reader.num_frames == 10  # of which the clip is the middle
            assert facts["clip"]["frames"] == [3, 4, 5, 6]
            assert facts["clip"]["seconds"] == pytest.approx(np.array([3, 4, 5, 6]) / reader.fps, abs=1e-4)
        assert len(facts["map"]["share_of_frames"]) == len(facts["frames"]["held"]) == 4
        assert set(facts["order"]) == {"measure", "in_order", "reversed", "shuffled"}
        judged = facts["faithfulness"]
        assert judged["gain"] == pytest.approx(judged["insertion"] - judged["deletion"], abs=2e-6)
        assert set(judged) >= {"plain_gradient", "random", "better_than_random", "weights", "pointing"}
        if facts["map"]["is_empty"]:
            assert "an EMPTY map" in done.stdout
        elif not judged["better_than_random"]:
            assert "NO BETTER than random maps" in done.stdout
        with open_video(out / f"{name}.explained.mp4") as reader:
            assert reader.num_frames == 4 and reader.size[1] > 2 * reader.size[0] - 10  # the clip beside its map
    again = videxp("explain", str(run), *map(str, videos), "-o", str(tmp_path / "again"), cwd=workplace)
    assert again.returncode == 0
    for name in files:
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name

    refused = videxp("explain", str(run), str(videos[0]), "-o", str(out), cwd=workplace)
    assert refused.returncode == 2 and "is there already: choose another name, or add --overwrite" in refused.stderr
    replaced = videxp("explain", str(run), str(videos[0]), "-o", str(out), "--overwrite", cwd=workplace)
    assert replaced.returncode == 0, replaced.stderr
    left = {f"{names[0]}.explained.{ending}" for ending in ("mp4", "png", "json")}
    assert {path.name for path in out.iterdir()} == {*left, "index.html"}


@pytest.mark.slow
def test_another_class_and_method_can_be_asked_for_and_one_bad_file_does_not_cost_the_others(
    run: Path, videos: list[Path], tmp_path: Path
):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(videos[0].read_bytes()[:300])
    arguments = ("--class", "up", "--method", "integrated_gradients", "-o", str(tmp_path / "out"))
    done = videxp("explain", str(run), str(broken), str(videos[1]), *arguments, cwd=tmp_path)
    assert done.returncode == 1 and "broken.mp4" in done.stderr
    facts = explained(tmp_path / "out", videos[1].stem)
    assert facts["class"] == facts["about"] == "up"
    assert facts["map"]["method"] == "integrated_gradients" and "convergence_delta" in facts["map"]
    assert not list((tmp_path / "out").glob("broken*"))


@pytest.mark.slow
def test_what_cannot_be_explained_is_refused_and_nothing_is_written(run: Path, videos: list[Path], tmp_path: Path):
    film = str(videos[0])
    out = str(tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    for arguments, words in (
        ((str(run), "-o", out), "give video files, folders or globs"),
        ((str(run), film, "-o", out, "--class", "upp"), "--class upp: no such class; did you mean up?"),
        ((str(run), film, "-o", out, "--patch", "1,2"), "--patch 1,2: a classifier has none: leave it out"),
        ((str(run), film, "-o", out, "--method", "attention_rollout"), "declares no attention over all tokens"),
        ((str(run), film, "-o", str(tmp_path / "full")), "holds other things, such as notes.txt"),
        ((str(run), film, "-o", str(run / "samples")), "samples"),
        ((str(tmp_path), film, "-o", out), "is not a run folder"),
    ):
        done = videxp("explain", *arguments, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr, (arguments, done.stderr)
        assert len(done.stderr.splitlines()) <= 3
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_page_shows_all_and_asks_for_nothing(run: Path, videos: list[Path], tmp_path: Path):
    out = tmp_path / "out"
    assert videxp("explain", str(run), str(videos[0]), "-o", str(out), cwd=tmp_path).returncode == 0
    with browser(tmp_path / "profile") as page:
        page.open(out / "index.html")
        assert page.run("document.querySelectorAll('article').length") == 1
        page.wait("document.querySelector('video').readyState >= 2")
        assert page.run("document.querySelector('video').videoWidth") > 400
        assert page.run("[...document.images].every(image => image.naturalWidth > 300)")
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert page.problems == []


@pytest.mark.slow
def test_the_axis_explains_some_samples_and_tests_the_order_of_frames(run: Path, workplace: Path):
    for name in ("explained.mp4", "explanation.png"):  # another test's
        (run / "samples" / name).unlink(missing_ok=True)
    done = videxp(
        *("evaluate", str(run), "--on", "explanation", "--explain-samples", "3", "--order-samples", "20"), cwd=workplace
    )
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines() if str(run) not in line) <= 80, done.stdout
    section = json.loads((run / "evaluation.json").read_text())["explanation"]
    assert section["protocol"] == {"samples": 3, "method": "gradcam", "seed": 0}
    assert len(section["explained"]) == 3
    gains = [one["faithfulness"]["gain"] for one in section["explained"]]
    assert section["faithfulness"]["map"]["gain"] == pytest.approx(np.mean(gains), abs=1e-5)
    assert section["scalars"]["explanation/gain"] == section["faithfulness"]["map"]["gain"]
    held = np.mean([one["frames"]["held"] for one in section["explained"]], axis=0)
    assert section["frames"]["held"] == pytest.approx(held, abs=1e-5)
    order = section["order"]
    assert order["samples"] == 20
    assert {*order["in_order"]} == {*order["reversed"]} == {*order["shuffled"]} == {"accuracy", "loss"}
    assert section["clips"] == ["explained.mp4"] and f"{run.name}/samples/explained.mp4" in done.stdout
    assert (run / "samples/explained.mp4").is_file() and (run / "samples/explanation.png").is_file()
