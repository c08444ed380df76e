"""Commands that look leave every file as it is; those that make something touch nothing else of the run."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Run, videxp
from tests.shrink import tiny
from videxp.cli import main
from videxp.sweeps.request import read_sweep, save_sweep
from videxp.sweeps.search import Search

pytestmark = pytest.mark.slow  # for the run that all share
RECIPE = "classification/moving_digits"
Snapshot = dict[str, tuple[bytes, int, int]]


def snapshot(folder: Path) -> Snapshot:
    """Of everything beneath: bytes, date and mode."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (content, status.st_mtime_ns, status.st_mode)
    return found


def changes(before: Snapshot, after: Snapshot) -> set[str]:
    """What was made, changed or removed; a folder in which something was made is not named."""
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    return {path for path in changed if not any(other.startswith(f"{path}/") for other in changed)}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, Run]) -> Path:
    """A folder with runs and a sweep, and with nothing that a command could want to make anew."""
    desk = tmp_path_factory.mktemp("desk")
    shutil.copytree(finished[0], desk / "runs/one")
    shutil.copytree(finished[0], desk / "runs/other")
    (desk / "runs/other/status.json").write_text('{"state": "interrupted"}')
    (desk / "experiments/mine").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk)
        sweep = read_sweep(RECIPE, tiny("optimizer.lr=1e-2,1e-3"))
        save_sweep(sweep, desk / "runs/sweep")
        Search(desk / "runs/sweep", sweep.plan).prepare()
    return desk


LOOKS = {
    "list": ["list"],
    "list --json": ["list", "models", "--json"],
    "check": ["check", RECIPE],
    "check of a mistake": ["check", RECIPE, "optimizer.lrr=1"],
    "check --json": ["check", RECIPE, "--json"],
    "train --cfg": ["train", RECIPE, "--cfg", "job"],
    "train --info": ["train", RECIPE, "--info", "searchpath"],
    "train of a mistake": ["train", RECIPE, "optimizer.lrr=1", "hydra.run.dir=runs/new"],
    "train into a run": ["train", RECIPE, "hydra.run.dir=runs/one"],
    "sweep --status": ["sweep", "--status", "runs/sweep"],
    "sweep --status --json": ["sweep", "--status", "runs/sweep", "--json"],
    "sweep of a mistake": ["sweep", RECIPE, "optimizer.lr=1,2", "sweep.metric=val/x", "hydra.sweep.dir=runs/new"],
    "compare": ["compare", "runs"],
    "compare --mean": ["compare", "runs", "--mean"],
    "compare --json": ["compare", "runs", "--json"],
    "record --check": ["record", "--check"],
    "record of an unfinished run": ["record", "runs/other"],
    "resume of a finished run": ["resume", "runs/one"],
    "reproduce of an unfinished run": ["reproduce", "runs/other"],
    "evaluate of a mistake": ["evaluate", "runs/one", "dataset.sise=1"],
    "predict of nothing": ["predict", "runs/one", "nothing.mp4"],
    "completion": ["completion", "install=bash"],
}


def test_a_command_that_only_looks_leaves_every_byte_and_date(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(desk)
    for name in ("VIDEXP_CACHE", "VIDEXP_DATA"):
        monkeypatch.setenv(name, str(desk / name.lower()))
    before = snapshot(desk)
    for look, words in LOOKS.items():
        main(words)
        after = snapshot(desk)
        assert changes(before, after) == set(), look
        assert "Traceback" not in capsys.readouterr().err, look
        before = after


@pytest.fixture
def run(workplace: Path, finished: tuple[Path, Run]) -> Iterator[Path]:
    """A copy of the finished run beside it, with its data."""
    copy = workplace / "runs/looked-at"
    shutil.copytree(finished[0], copy)
    yield copy
    shutil.rmtree(copy)


def is_of_an_evaluation(path: str) -> bool:
    """Of its figures, or of W&B's folder for it, beside which its client keeps links to the newest."""
    return "_val" in path or "-evaluation" in path or path.startswith(("wandb/debug", "wandb/latest-run"))


def test_what_is_made_of_a_run_leaves_the_rest_of_it_as_it_is(run: Path, workplace: Path, tmp_path: Path):
    video = next(workplace.glob("data/moving_digits/*/test/*/*.mp4"))
    cases: list[tuple[list[str], Callable[[str], bool]]] = [
        (["predict", str(run), str(video), "-o", str(tmp_path / "labels.json")], lambda _: False),
        (
            ["export", str(run), "--format", "safetensors"],
            lambda path: path in ("weights.safetensors", "weights.safetensors.card.md"),
        ),
        (["evaluate", str(run), "--split", "val"], is_of_an_evaluation),
    ]
    for arguments, may_change in cases:
        before = snapshot(run)
        done = videxp(*arguments, cwd=workplace)
        assert done.returncode == 0, done.stderr
        assert {path for path in changes(before, snapshot(run)) if not may_change(path)} == set(), arguments[0]
