"""`videxp reproduce`: bit-identical, or the first difference and its cause, each cause made for real."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Run, clean_environment, videxp
from tests.shrink import tiny

pytestmark = pytest.mark.slow

MODEL = """
from torch import Tensor, nn


class Tiny(nn.Module):
    def __init__(self, *, num_classes: int = 400, width: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv3d(3, width, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.head = nn.Linear(width, num_classes)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(self.net(video.transpose(1, 2)) * 1.0)
"""
ENVIRONMENT = {"VIDEXP_ALLOW": "mymodels", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(*arguments: str, cwd: Path) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, env=clean_environment(cwd))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A researcher's git repository with a model of their own and a finished run."""
    desk = tmp_path_factory.mktemp("desk")
    (desk / "mymodels").mkdir()
    (desk / "mymodels/tiny.py").write_text(MODEL)
    (desk / ".gitignore").write_text("/cache\n/data\n/runs\n__pycache__\n")
    git("init", cwd=desk)
    git("add", "-A", cwd=desk)
    git("commit", "-m", "first", cwd=desk)
    overrides = ["model._target_=mymodels.tiny.Tiny", "hardware.num_threads=1", "logger=csv", "trainer.max_epochs=1"]
    done = videxp(
        "train", "classification/moving_digits", *tiny(*overrides, "hydra.run.dir=runs/a"), cwd=desk, **ENVIRONMENT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return desk


def copy(desk: Path, name: str) -> Path:
    """The same run under another name, to make a difference in its record."""
    return Path(shutil.copytree(desk / "runs/a", desk / "runs" / name))


def reproduce(desk: Path, run: str, *arguments: str) -> Run:
    return videxp("reproduce", f"runs/{run}", *arguments, cwd=desk, **ENVIRONMENT)


def test_nothing_changed_is_bit_identical_though_a_package_has_another_version_which_is_named(desk: Path):
    run = copy(desk, "package")
    record = json.loads((run / "provenance.json").read_text())
    real = record["packages"]["torch"]
    record["packages"]["torch"] = "2.0.0"
    (run / "provenance.json").write_text(json.dumps(record))
    done = reproduce(desk, "package")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-identical" in done.stdout
    assert f"torch: 2.0.0 -> {real}" in done.stdout
    again = desk / "runs/package-again"
    assert json.loads((again / "reproduction.json").read_text())["identical"] is True
    assert json.loads((again / "provenance.json").read_text())["weights"] == record["weights"]
    assert "videxp reproduce runs/package" in json.loads((again / "provenance.json").read_text())["command"]


def test_a_metric_that_differs_is_named_with_its_step_and_by_how_much_and_so_is_the_package(desk: Path):
    """Another package's arithmetic, as its result would be: one number of the record moved by its last bit."""
    run = copy(desk, "arithmetic")
    record = json.loads((run / "provenance.json").read_text())
    record["packages"] |= {"numpy": "1.0", "a-package-that-is-gone": "3.1"}
    (run / "provenance.json").write_text(json.dumps(record))
    lines = (run / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("train/loss")
    cells = lines[2].split(",")
    cells[column] = repr(float(cells[column]) + 0.25)
    lines[2] = ",".join(cells)
    (run / "metrics.csv").write_text("\n".join(lines) + "\n")
    done = reproduce(desk, "arithmetic", "--json", "hydra.run.dir=runs/elsewhere")
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert answer["first_difference"]["step"] == "4" and answer["first_difference"]["metric"] == "train/loss"
    assert "(by 0.25)" in answer["first_difference_text"]
    named = {(d["kind"], d["name"]) for d in answer["differences"]}
    assert named == {("package", "numpy"), ("package", "a-package-that-is-gone")}
    assert (desk / "runs/elsewhere/reproduction.json").exists()


def test_another_number_of_threads_gives_other_bits_and_is_named(desk: Path):
    done = reproduce(desk, "a", "hardware.num_threads=2", "hydra.run.dir=runs/threads")
    assert done.returncode == 1, done.stdout
    assert "not identical; first difference: step " in done.stdout
    assert "torch threads: 1 -> 2" in done.stdout


def test_a_changed_source_file_is_said_first_and_anyway_goes_on(desk: Path):
    source = desk / "mymodels/tiny.py"
    source.write_text(MODEL.replace("* 1.0", "* 1.5"))
    try:
        refused = reproduce(desk, "a", "hydra.run.dir=runs/code")
        assert refused.returncode == 1
        assert refused.stdout == ""
        (first, last) = refused.stderr.strip().splitlines()
        assert "other code: mymodels/tiny.py changed" in first
        assert "videxp reproduce runs/a hydra.run.dir=runs/code --anyway" in last
        assert not (desk / "runs/code").exists()
        done = reproduce(desk, "a", "--anyway", "hydra.run.dir=runs/code")
    finally:
        source.write_text(MODEL)
    assert done.returncode == 1, done.stderr
    assert "first difference: step 2, train/" in done.stdout
    assert "mymodels/tiny.py: changed" in done.stdout
    code = json.loads((desk / "runs/code/provenance.json").read_text())["code"]
    assert "* 1.5" in code["diff"] and code["commit"]


def test_a_changed_video_is_said_first_by_name_and_anyway_goes_on(desk: Path):
    videos = sorted(desk.glob("data/moving_digits/*/train/*/*.mp4"))
    changed, other = videos[0], videos[-1]
    content = changed.read_bytes()
    changed.write_bytes(other.read_bytes() + b"\0\0\0\x08free")  # not a copy of it
    try:
        refused = reproduce(desk, "a", "hydra.run.dir=runs/data")
        assert refused.returncode == 1
        first = refused.stderr.strip().splitlines()[-2]
        before = json.loads((desk / "runs/a/provenance.json").read_text())["data"]["fingerprint"]
        assert f"other data: fingerprint {before[:12]} -> " in first
        assert f"{changed.relative_to(desk / 'data/moving_digits')} changed" in first
        assert "--anyway" in refused.stderr
        done = reproduce(desk, "a", "--anyway", "hydra.run.dir=runs/data")
    finally:
        changed.write_bytes(content)
    assert done.returncode == 1, done.stderr
    assert "not identical; first difference: step " in done.stdout
    assert changed.name in done.stdout.partition("what could explain it")[2]


def test_what_cannot_be_reproduced_is_said_in_a_line(desk: Path):
    run = copy(desk, "unfinished")
    (run / "status.json").write_text('{"state": "interrupted"}')
    done = reproduce(desk, "unfinished")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "is interrupted" in done.stderr
    (run / "status.json").write_text('{"state": "finished"}')
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("num_threads: 1", "num_threads: 2"))
    edited = reproduce(desk, "unfinished")
    assert edited.returncode == 1 and "edited since the run" in edited.stderr
    os.remove(run / "provenance.json")
    assert reproduce(desk, "unfinished").returncode == 2
