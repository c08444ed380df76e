"""What a run depends on was changed since: said, or refused, by each command that goes on with it or judges it."""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Run, videxp
from tests.shrink import tiny

pytestmark = pytest.mark.slow
MODEL = """
from pathlib import Path

from torch import Tensor, nn


class Tiny(nn.Module):
    def __init__(self, *, scale_file: str, num_classes: int = 400) -> None:
        super().__init__()
        self.scale = float(Path(scale_file).read_text())
        self.head = nn.Linear(3, num_classes)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(video.mean((1, 3, 4))) * self.scale
"""
LR = "optimizer.lr='${oc.decode:${oc.env:MY_LR}}'"
ALLOWED = {"VIDEXP_ALLOW": "mymodels"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a model of one's own, that reads a file, at a rate from the environment."""
    desk = tmp_path_factory.mktemp("desk")
    (desk / "mymodels").mkdir()
    (desk / "mymodels/tiny.py").write_text(MODEL)
    (desk / "scale.txt").write_text("1.5")
    mine = ["model._target_=mymodels.tiny.Tiny", "+model.scale_file=scale.txt", LR, "trainer.max_epochs=1"]
    small = tiny(*mine, "logger=csv", "hardware.num_threads=1", "hydra.run.dir=run")
    done = videxp("train", "classification/moving_digits", *small, cwd=desk, MY_LR="0.001", **ALLOWED)
    assert done.returncode == 0, done.stderr
    return desk


@pytest.fixture
def ask(desk: Path) -> Iterator[Callable[..., Run]]:
    """Asks a command about a copy of the run, with the rate that it had; files are put back afterwards."""
    kept = {path: path.read_bytes() for path in (desk / "mymodels/tiny.py", desk / "scale.txt")}
    shutil.copytree(desk / "run", desk / "copy")

    def ask(command: str, *arguments: str, **environment: str | None) -> Run:
        given = {"MY_LR": "0.001", **ALLOWED, **environment}
        variables = {name: value for name, value in given.items() if value is not None}
        return videxp(command, "copy", *arguments, cwd=desk, **variables)

    yield ask
    shutil.rmtree(desk / "copy")
    for path, content in kept.items():
        path.write_bytes(content)


def edit(desk: Path, old: str, new: str, *, file: str = "copy/config.yaml") -> None:
    text = (desk / file).read_text()
    assert old in text
    (desk / file).write_text(text.replace(old, new))


def stop(desk: Path) -> None:
    """As though it had been stopped after its last checkpoint."""
    (desk / "copy/status.json").write_text('{"state": "interrupted"}')


def one_line(done: Run) -> str:
    (line,) = done.stderr.splitlines()
    return line


def test_nothing_is_said_where_nothing_was_changed(ask: Callable[..., Run]):
    done = ask("evaluate", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["not_as_trained"] == []


def test_evaluate_predict_and_export_say_in_one_line_what_is_not_as_it_was(ask: Callable[..., Run], desk: Path):
    (desk / "scale.txt").write_text("2.5")
    edit(desk, "* self.scale", "* (self.scale + 0)", file="mymodels/tiny.py")
    edit(desk, "weight_decay: 0.05", "weight_decay: 0.25")
    video = next(desk.glob("data/moving_digits/*/test/*/*.mp4"))
    said = (
        "videxp: copy: not as it was trained: optimizer.weight_decay 0.05 -> 0.25, MY_LR has another value "
        "(optimizer.lr), model.scale_file scale.txt has other content, mymodels/tiny.py changed"
    )
    for command in (["evaluate", "--json"], ["predict", str(video)], ["export", "--format", "safetensors"]):
        done = ask(*command, MY_LR="0.5")
        assert (done.returncode, one_line(done)) == (0, said)
    assert len(json.loads((desk / "copy/evaluation.json").read_text())["not_as_trained"]) == 4


def test_a_variable_that_is_missing_is_named_and_an_override_takes_its_place(ask: Callable[..., Run], desk: Path):
    video = str(next(desk.glob("data/moving_digits/*/test/*/*.mp4")))
    for command in (
        ["evaluate"],
        ["evaluate", "dataset.eval_batch_size=4"],
        ["predict", video],
        ["export", "--format", "safetensors"],
        ["reproduce"],
    ):
        done = ask(*command, MY_LR=None)
        assert done.returncode == 2, done.stdout
        assert "MY_LR is not set in the environment: MY_LR=VALUE before" in one_line(done)
    assert ask("evaluate", "optimizer.lr=0.001", MY_LR=None).returncode == 0


def test_reproduce_names_it_before_it_trains(ask: Callable[..., Run], desk: Path):
    (desk / "scale.txt").write_text("2.5")
    edit(desk, "weight_decay: 0.05", "weight_decay: 0.25")
    done = ask("reproduce", MY_LR="0.5")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "videxp: copy: config.yaml was edited since the run: optimizer.weight_decay 0.05 -> 0.25",
        "other values in the environment: MY_LR has another value (optimizer.lr); "
        "other file: model.scale_file scale.txt has other content",
        "Go on all the same: videxp reproduce copy --anyway",
    ]
    assert not (desk / "copy-again").exists()


def test_reproduce_names_what_it_was_given_itself(ask: Callable[..., Run], desk: Path):
    done = ask("reproduce", "optimizer.weight_decay=0.25", "hydra.run.dir=given")
    assert done.returncode == 1
    explained = done.stdout.partition("what could explain it:")[2]
    assert "optimizer.weight_decay: 0.05 -> 0.25 (given)" in explained and "not deterministic" not in done.stdout


def test_resume_refuses_what_it_cannot_take_over_and_touches_nothing(ask: Callable[..., Run], desk: Path):
    stop(desk)
    before = {path: path.read_bytes() for path in (desk / "copy").rglob("*") if path.is_file()}
    done = ask("resume", MY_LR="0.5")
    assert done.returncode == 2
    assert "copy: not as it began: MY_LR has another value (optimizer.lr)" in done.stderr.splitlines()[0]
    assert before == {path: path.read_bytes() for path in (desk / "copy").rglob("*") if path.is_file()}
    edit(desk, "weight_decay: 0.05", "weight_decay: 0.25")
    done = ask("resume")
    assert done.returncode == 2
    assert "optimizer.weight_decay 0.05 -> 0.25" in done.stderr.splitlines()[0]
    edit(desk, "weight_decay: 0.25", "weight_decay: 0.05")  # the remedy
    assert ask("resume").returncode == 0


def test_resume_says_what_may_change_and_goes_on(ask: Callable[..., Run], desk: Path):
    stop(desk)
    edit(desk, "max_epochs: 1", "max_epochs: 2")
    edit(desk, "* self.scale", "* (self.scale + 0)", file="mymodels/tiny.py")
    done = ask("resume")
    assert done.returncode == 0, done.stderr
    assert one_line(done) == (
        "videxp: copy goes on, though not as it began: trainer.max_epochs 1 -> 2, mymodels/tiny.py changed"
    )
    rows = (desk / "copy/metrics.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == sorted(row.split(",")[1] for row in rows[1:])
    assert rows[-1].split(",")[1] == "2"
    assert (
        json.loads((desk / "copy/provenance.json").read_text())["resumed"][0]["inputs"]["config"]["trainer.max_epochs"]
        == 2
    )


def test_resume_with_a_class_more_is_refused_by_its_name(ask: Callable[..., Run], desk: Path):
    """As though the run had begun with one class less."""
    stop(desk)
    lines = gzip.decompress((desk / "copy/data.jsonl.gz").read_bytes()).splitlines(keepends=True)
    label = json.loads(lines[0])[2]
    kept = [line for line in lines if json.loads(line)[2] != label]
    (desk / "copy/data.jsonl.gz").write_bytes(gzip.compress(b"".join(kept)))
    record = json.loads((desk / "copy/provenance.json").read_text())
    record["data"] |= {"classes": 9, "classes_hash": "another", "fingerprint": "another"}
    (desk / "copy/provenance.json").write_text(json.dumps(record))
    done = ask("resume")
    assert done.returncode == 2, done.stdout
    first, last = done.stderr.splitlines()
    assert f"copy: other data than it began with: classes 9 -> 10: {label} added" in first
    assert f"{len(kept)} -> {len(lines)} files: " in first and "put the data back" in last
