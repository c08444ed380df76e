"""A GAN from the command line: trained, measured with its protocol, looked at, and asked for clips."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import train, videxp
from tests.evaluation.all_axes import evaluate_on_all
from tests.forked import PICTURES
from videxp.video import open_video

pytestmark = pytest.mark.slow
RECIPE = "generation/moving_digits"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gan")


@pytest.fixture(scope="module")
def gan(place: Path) -> Path:
    return train(cwd=place, recipe=RECIPE, run="gan", **{PICTURES: "1"})


def clip(path: Path) -> list[int]:
    with open_video(path) as reader:
        return reader.frames(range(reader.num_frames)).flatten().tolist()


def test_the_distance_is_there_before_training_and_after_each_validation(gan: Path):
    with (gan / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    measured = [(row["step"], float(row["val/frechet_distance"])) for row in rows if row["val/frechet_distance"]]
    assert [step for step, _ in measured] == ["0", "5", "10"]
    assert measured[-1][1] != measured[0][1]
    assert "test/fvd" not in rows[0]


def test_an_evaluation_says_what_it_was_measured_on_and_what_it_means(gan: Path, place: Path):
    done = videxp("evaluate", str(gan), cwd=place)
    assert done.returncode == 0, done.stderr
    result = json.loads((gan / "evaluation.json").read_text())
    assert result["protocol"].startswith("frechet_distance_random_conv3d_31_4f = ")
    assert (
        "31 real, 31 generated clips of 4 frames; 8-bit; features random_conv3d (weights sha256:" in result["protocol"]
    )
    assert result["protocol"] in done.stdout
    metrics = result["metrics"]
    assert metrics["test/frechet_distance_halves"] < metrics["test/frechet_distance_noise"]
    again = videxp("evaluate", str(gan), cwd=place)  # real statistics come from their file
    assert json.loads((gan / "evaluation.json").read_text())["metrics"] == metrics, again.stderr
    assert list((place / "cache/features").glob("*.safetensors"))


def test_a_file_makes_the_clips_that_its_run_makes(gan: Path, place: Path):
    done = videxp("export", str(gan), "--format", "torch", "-o", "gan.pt2", "--clips", "1", cwd=place)
    assert done.returncode == 0, done.stderr
    for of in (str(gan), "gan.pt2"):
        words = ["--num", "1", "--seconds", "0.3", "--seed", "3", "-o", f"clips_{Path(of).suffix}"]
        done = videxp("predict", of, *words, cwd=place)
        assert done.returncode == 0, done.stderr
    ours, theirs = (sorted((place / f"clips_{suffix}").glob("*.mp4")) for suffix in ("", ".pt2"))
    assert ours and [one.name for one in ours] == [one.name for one in theirs]
    for one, other in zip(ours, theirs):
        assert clip(one) == pytest.approx(clip(other), abs=3)  # each was compressed


def test_its_robustness_is_how_smoothly_clips_change_and_the_rest_does_not_apply(gan: Path, place: Path):
    done = videxp("evaluate", str(gan), "--on", "robustness", cwd=place)
    assert done.returncode == 0, done.stderr
    section = json.loads((gan / "evaluation.json").read_text())["robustness"]
    assert [row["distance"] for row in section["latent"]] == [0.01, 0.1, 1.0]
    assert 0 < section["latent"][0]["mean"] <= section["latent"][0]["worst"]
    assert section["scalars"] == {"robustness/latent_change": section["latent"][0]["mean"]}
    assert "corruptions and attacks do not apply: clips are made from noise" in " ".join(done.stdout.split())


def test_a_classifier_that_videxp_trained_judges_by_its_name(gan: Path, place: Path):
    train(cwd=place, run="classifier")
    by_run = "{_target_: videxp.training.assembling.RunFeatures, _partial_: true, run: classifier"
    overrides = [f"task.features={by_run}}}", f"task.classifier={by_run}, output: logits}}"]
    done = videxp(
        "evaluate", str(gan), *overrides, "task.protocol.num_frames=6", "dataset.clips.test_frames=6", cwd=place
    )
    assert done.returncode == 0, done.stderr
    (beside,) = gan.glob("evaluation_settings-*.json")  # not what the run itself is measured by
    result = json.loads(beside.read_text())
    distance, score = result["protocol"].splitlines()
    assert distance.startswith("frechet_distance_smallcnn3d_moving_digits_31_6f = ")  # longer clips than in training
    assert score.startswith("inception_score_smallcnn3d_moving_digits = ")
    assert 1 <= result["metrics"]["test/inception_score"] <= 10


def test_two_processes_measure_what_one_measures(gan: Path, place: Path):
    def measured(*hardware: str) -> dict[str, float]:
        done = videxp("evaluate", str(gan), *hardware, "--json", cwd=place, VIDEXP_CACHE=str(place / hardware[0]))
        assert done.returncode == 0, done.stderr
        return json.loads((gan / "evaluation.json").read_text())["metrics"]

    one, two = measured("hardware=cpu"), measured("hardware=ddp_cpu")
    assert two == pytest.approx(one, rel=1e-6)


def test_a_run_of_another_task_has_no_such_features(gan: Path, place: Path):
    by_run = "{_target_: videxp.training.assembling.RunFeatures, _partial_: true, run: gan}"
    done = videxp("evaluate", str(gan), f"task.features={by_run}", cwd=place)
    assert done.returncode == 2 and "features.run=gan is a run of Generation" in done.stderr


def test_it_is_reproduced_to_the_bit(gan: Path, place: Path):
    done = videxp("reproduce", str(gan), cwd=place)
    assert done.returncode == 0 and "bit-identical" in done.stdout, done.stdout + done.stderr


def test_samples_are_grids_that_play(gan: Path):
    names = {path.name for path in (gan / "samples").iterdir()}
    assert {"generated.mp4", "generated.gif", "generated_frames.png", "real.mp4"} <= names
    assert {"content_interpolation.mp4", "motion_interpolation.mp4"} <= names
    assert sorted(path.name for path in (gan / "samples/val").iterdir()) == ["0000000", "0000005", "0000010"]


def test_clips_are_asked_for_by_number_length_seed_and_class(gan: Path, place: Path):
    done = videxp("predict", str(gan), "--num", "3", "--seconds", "1", "--seed", "5", "-o", "clips", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "3 clips of 12 frames (1.0 s at 12 fps) -> clips" in done.stdout
    files = sorted((place / "clips").glob("0*.mp4"))
    assert [path.name for path in files] == ["00000.mp4", "00001.mp4", "00002.mp4"]
    again = videxp("predict", str(gan), "--num", "1", "--seconds", "1", "--seed", "5", "-o", "again", cwd=place)
    assert again.returncode == 0 and clip(place / "again/00000.mp4") == clip(files[0])
    other = videxp("predict", str(gan), "--num", "1", "--seconds", "1", "--seed", "6", "-o", "other", cwd=place)
    assert other.returncode == 0 and clip(place / "other/00000.mp4") != clip(files[0])
    turning = videxp("predict", str(gan), "--num", "1", "--class", "clockwise", "-o", "turning", cwd=place)
    assert turning.returncode == 0, turning.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--class", "sideways", "-o", "x"], "--class sideways: no such class; right, up_right"),
        (["--fps", "30", "-o", "x"], "--fps 30: this MoCoGAN draws 12 fps only"),
        (["--num", "0", "-o", "x"], "--num: 0: takes a whole number of at least 1"),
        (["-o", "x.mp4"], "give a folder"),
        (["--seconds", "0", "-o", "x"], "--seconds: 0: takes a number above 0"),
        (["--seconds=-1", "-o", "x"], "--seconds: -1: takes a number above 0"),
        (["--fps", "nan", "-o", "x"], "--fps: nan: takes a number between 0 and 1000"),
        (["--seed", "4294967296", "-o", "x"], "--seed: 4294967296: takes a whole number from 0 to 4294967295"),
    ],
)
def test_what_cannot_be_made_is_said_and_nothing_is_written(arguments: list[str], words: str, gan: Path, place: Path):
    done = videxp("predict", str(gan), *arguments, cwd=place)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) <= 3
    assert not (place / arguments[-1]).exists()


def test_a_generator_says_on_every_axis_what_applies(gan: Path, place: Path):
    result = evaluate_on_all("gan", cwd=place)
    assert result["speed"]["scalars"]["speed/clips_per_second"] > 0


def test_each_code_is_changed_alone_and_what_it_does_is_told(gan: Path, place: Path):
    done = videxp("explain", str(gan), "-o", "codes", cwd=place)
    assert done.returncode == 0, done.stderr
    codes = {path.name.partition(".")[0]: json.loads(path.read_text()) for path in (place / "codes").glob("*.json")}
    assert len(codes) >= 2 and all(len(one["weights"]) == 64 for one in codes.values())
    assert any(one["change"] > 0 for one in codes.values())
    for name, facts in codes.items():
        assert f"{name}: " in done.stdout
        assert ("changes NOTHING" in done.stdout.split(f"{name}: ")[1].splitlines()[0]) == (facts["change"] == 0)
        with open_video(place / f"codes/{name}.explained.mp4") as reader:
            assert reader.num_frames == 4
    refused = videxp("explain", str(gan), "codes/index.html", "-o", "other", cwd=place)
    assert refused.returncode == 2 and "a generator has no input and no answer: leave it out" in refused.stderr
    section = videxp("evaluate", str(gan), "--on", "explanation", cwd=place)
    assert section.returncode == 0, section.stderr
    walks = json.loads((gan / "evaluation.json").read_text())["explanation"]["walks"]
    assert {name: facts["change"] for name, facts in walks.items()} == {n: f["change"] for n, f in codes.items()}
