"""The search by itself: what is given out, what is kept, and what is drawn again after a kill."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from videxp.config import save_overrides
from videxp.config.composing.sweeping import Axis, split_axes
from videxp.core.errors import BadRequest, VidexpError
from videxp.runs.folder import RunFolder, write_json
from videxp.sweeps.controller import take_up_folders
from videxp.sweeps.search import Objective, Plan, Search

LR = Axis("optimizer.lr", low=1e-4, high=1e-1, is_log=True)
WIDTH = Axis("+model.width", low=1, high=64, is_int=True)
MODEL = Axis("model", values=("cnn3d_small", "cnn2d_small"))
ACCURACY = Objective("val/accuracy", "maximize")


def plan(axes: list[Axis], **changes: object) -> Plan:
    """Its study is in a journal, which is ten times as quick as SQLite, unless the test says otherwise."""
    arguments: dict = {"sampler": "tpe", "trials": 12, "objectives": [ACCURACY], "storage": "journal"}
    return Plan(axes=axes, **arguments | changes)


def quality(values: dict[str, str]) -> float:
    """Best at a learning rate of 0.01."""
    return 1 - abs(float(values["optimizer.lr"]) - 0.01)


def run_all(folder: Path, wanted: Plan, *, reopen_after: int | None = None) -> list[dict[str, str]]:
    """Give out everything; the study is opened anew after so many trials, as after a kill."""
    search = Search(folder, wanted)
    search.prepare()
    drawn = []
    while (trial := search.next()) is not None:
        drawn.append(trial.values)
        search.finished(trial, [quality(trial.values) if "optimizer.lr" in trial.values else 0.5])
        if len(drawn) == reopen_after:
            search = Search(folder, wanted)
            search.prepare()
    return drawn


def test_a_grid_gives_out_every_point_once_the_last_key_first(tmp_path: Path):
    axes = split_axes(["a=1,2", "b=x,y,z"])[1]
    drawn = run_all(tmp_path, plan(axes, sampler="grid", trials=None), reopen_after=2)
    assert drawn == [{"a": a, "b": b} for a in "12" for b in "xyz"]


@pytest.mark.parametrize(
    ("storage", "sampler"),
    [
        *(("journal", sampler) for sampler in ("random", "tpe", "cmaes", "quasirandom")),
        *(("sqlite", sampler) for sampler in ("tpe", "cmaes")),  # which keeps most in it
    ],
)
@pytest.mark.slow
def test_a_search_that_was_killed_draws_what_it_would_have(tmp_path: Path, sampler: str, storage: str):
    """The stock way, a sampler with one seed, begins its random numbers again and draws the first values twice."""
    wanted = plan([LR, WIDTH], sampler=sampler, storage=storage)
    (tmp_path / "whole").mkdir(), (tmp_path / "killed").mkdir()
    whole = run_all(tmp_path / "whole", wanted)
    assert run_all(tmp_path / "killed", wanted, reopen_after=5) == whole
    assert len(whole) == 12 == len({tuple(values.items()) for values in whole})
    assert all(1e-4 <= float(values["optimizer.lr"]) <= 1e-1 for values in whole)
    assert all(1 <= int(values["+model.width"]) <= 64 for values in whole)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Of each file beneath: its bytes and when it was written."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_looking_at_a_study_writes_nothing(tmp_path: Path, storage: str):
    """Optuna's way, `create_study(load_if_exists=True)`, appends to the journal."""
    wanted = plan([LR], sampler="random", storage=storage)
    assert Search(tmp_path, wanted, writes=False).trials() == [] and contents(tmp_path) == {}
    search = Search(tmp_path, wanted)
    search.finished(search.next(), [0.5])
    before = contents(tmp_path)
    tmp_path.chmod(0o555)
    seen = Search(tmp_path, wanted, writes=False).trials()
    tmp_path.chmod(0o755)
    assert [(trial.name, trial.state, trial.scores) for trial in seen] == [("0000", "finished", [0.5])]
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_a_transaction_that_a_kill_cut_off_is_undone_in_what_is_seen_and_stays_in_the_file(tmp_path: Path):
    wanted = plan([LR], sampler="random", storage="sqlite")
    search = Search(tmp_path, wanted)
    search.finished(search.next(), [0.5])
    killed = (
        "import os, sqlite3; c = sqlite3.connect('study.db', isolation_level=None); c.execute('PRAGMA cache_size=1');"
        "c.execute('BEGIN'); c.execute('DELETE FROM trial_values'); c.execute('CREATE TABLE x(y)');"
        "c.executemany('INSERT INTO x VALUES (?)', [('a' * 4000,)] * 100); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", killed], cwd=tmp_path, check=True)
    assert (tmp_path / "study.db-journal").stat().st_size > 0
    before = contents(tmp_path)
    assert Search(tmp_path, wanted, writes=False).trials()[0].scores == [0.5]
    assert contents(tmp_path) == before


@pytest.mark.parametrize("sampler", ["random", "tpe", "quasirandom"])
def test_no_point_is_given_out_twice(tmp_path: Path, sampler: str):
    """The stock sampler draws some of six points several times in six draws."""
    axes = split_axes(["a=1,2,3", "b=x,null"])[1]
    drawn = run_all(tmp_path, plan(axes, sampler=sampler, trials=6), reopen_after=3)
    assert sorted(map(str, drawn)) == sorted(str({"a": a, "b": b}) for a in "123" for b in ("x", "null"))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    stock = [
        (t.suggest_categorical("a", "123"), t.suggest_categorical("b", "xn")) for t in (study.ask() for _ in drawn)
    ]
    assert len(set(stock)) < len(drawn)


@pytest.mark.slow
def test_the_stock_sampler_repeats_itself_after_a_kill(tmp_path: Path):
    import optuna

    drawn = []
    for _ in range(2):
        sampler = optuna.samplers.TPESampler(seed=0)
        storage = f"sqlite:///{tmp_path / 'study.db'}"
        study = optuna.create_study(study_name="s", storage=storage, sampler=sampler, load_if_exists=True)
        drawn.append(study.ask().suggest_float("x", 0, 1))
    assert drawn[0] == drawn[1]


@pytest.mark.slow
def test_tpe_finds_more_than_chance(tmp_path: Path):
    best = {}
    for sampler in ("tpe", "random"):
        (tmp_path / sampler).mkdir()
        drawn = run_all(tmp_path / sampler, plan([LR, MODEL], sampler=sampler, trials=30))
        best[sampler] = sum(quality(values) for values in drawn[10:]) / 20
    assert best["tpe"] > best["random"]


def test_what_failed_is_given_out_again_with_its_values(tmp_path: Path):
    search = Search(tmp_path, plan([LR], trials=2))
    first = search.next()
    assert first is not None
    search.started(first, "4711:1")
    search.failed(first, "out of luck")
    (known,) = search.trials()
    assert (known.state, known.cause, known.values) == ("failed", "out of luck", first.values)
    search.requeue(known, attempt=1)
    again = search.next()
    assert again is not None
    assert (again.name, again.values, again.attempt, again.handle) == (first.name, first.values, 1, None)
    second = search.next()
    assert second is not None and second.name == "0001"
    assert search.next() is None


def test_a_trial_without_values_gets_them_after_a_kill(tmp_path: Path):
    wanted = plan([LR, WIDTH], trials=3)
    search = Search(tmp_path, wanted)
    search._study.ask()  # killed here
    again = Search(tmp_path, wanted)
    (found,) = again.left_without_values()
    assert found.name == "0000" and set(found.values) == {"optimizer.lr", "+model.width"}
    assert again.left_without_values() == []


def test_a_frozen_trial_is_gone_on_with_by_optunas_private_trial_id():
    study = optuna.create_study()
    study.ask()
    (frozen,) = study.get_trials()
    optuna.trial.Trial(study, frozen._trial_id).report(0.5, step=3)
    assert study.get_trials()[0].intermediate_values == {3: 0.5}


def test_the_pruner_gives_up_what_is_behind(tmp_path: Path):
    search = Search(tmp_path, plan([LR], pruner="median", trials=20))
    for _ in range(6):
        good = search.next()
        assert good is not None and not search.is_behind(good, {0: 0.5, 1: 0.9})
        search.finished(good, [0.9])
    bad = search.next()
    assert bad is not None and search.is_behind(bad, {0: 0.1, 1: 0.1})
    search.pruned(bad, "behind after epoch 2")
    assert [trial.state for trial in search.trials()][-1] == "pruned"


@pytest.mark.slow
def test_the_key_that_matters_is_named(tmp_path: Path):
    run_all(tmp_path, plan([LR, WIDTH], sampler="random", trials=20))
    (shares,) = Search(tmp_path, plan([LR, WIDTH], sampler="random", trials=20)).importance().values()
    assert shares["optimizer.lr"] > 0.8


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "rubbish": lambda content: random.Random(0).randbytes(9000),
    "cut in half": lambda content: content[: len(content) // 2],
    "zeros, as after a power failure": lambda content: bytes(len(content)),
    "some bytes flipped": lambda content: bytes(
        b ^ 255 if i % 61 == 7 and i > 100 else b for i, b in enumerate(content)
    ),
    "few bytes flipped": lambda content: bytes(
        b ^ 255 if i % 197 == 7 and i > 100 else b for i, b in enumerate(content)
    ),
}


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_damaged_study_is_named_with_the_remedy(tmp_path: Path, storage: str):
    wanted = plan([LR], sampler="random", storage=storage)
    search = Search(tmp_path, wanted)
    search.finished(search.next(), [0.5])
    file = next(tmp_path.glob("study.*"))
    whole = file.read_bytes()
    for name, damage in DAMAGES.items():
        file.write_bytes(damage(whole))
        for writes in (False, True):
            said = rf"{file}: it is damaged \(.+\)\nMove it away: mv {file} {file}\.damaged; .* --resume {tmp_path} "
            with pytest.raises(BadRequest, match=said):
                Search(tmp_path, wanted, writes=writes)
        assert file.read_bytes() == damage(whole), name


def test_a_study_that_was_never_begun_or_that_another_process_holds_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("videxp.sweeps.storage.LOCK_SECONDS", 0.1)
    wanted = plan([LR], sampler="random", storage="sqlite")
    (tmp_path / "study.db").touch()  # a kill between the file and its tables
    assert Search(tmp_path, wanted, writes=False).trials() == []
    search = Search(tmp_path, wanted)
    with closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        for writes in (False, True):
            with pytest.raises(VidexpError, match=r"study\.db: database is locked: another process writes it"):
                Search(tmp_path, wanted, writes=writes)
    assert search.next().name == "0000"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_runs_are_found_in_their_folders_again_with_the_values_that_they_have(tmp_path: Path, sampler: str):
    axes = (
        [LR, WIDTH]
        if sampler != "grid"
        else [Axis("optimizer", values=["sgd", "adamw"]), Axis("seed", values=["1", "2"])]
    )
    wanted = plan(axes, sampler=sampler, trials=None if sampler == "grid" else 4, storage="sqlite")
    search = Search(tmp_path, wanted)
    search.prepare()
    drawn = [search.next() for _ in range(4)]
    for trial in [drawn[2], drawn[0], drawn[3]]:  # 0001 was never begun; results in another order draw other values
        run = RunFolder(tmp_path / trial.name)
        run.path.mkdir()
        save_overrides([f"{key}={value}" for key, value in {"seed": 0, **trial.values}.items()], run.overrides)
    (tmp_path / "0004-failed-1").mkdir()
    (tmp_path / "study.db").unlink()
    found = Search(tmp_path, wanted)
    take_up_folders(found, tmp_path)
    found.prepare()
    again = [found.next() for _ in range(4)]
    values = {trial.name: trial.values for trial in drawn}
    assert {trial.name: trial.values for trial in again if (tmp_path / trial.name).exists()} == {
        name: values[name] for name in ("0000", "0002", "0003")
    }
    assert len({trial.name for trial in again}) == 4 and found.next() is None


def test_finished_runs_whose_study_was_lost_are_counted_at_once(tmp_path: Path):
    """Given out and told one by one, each has Optuna read all that still wait."""
    for number in range(6):
        run = RunFolder(tmp_path / f"{number:04d}")
        run.path.mkdir()
        save_overrides(["optimizer.lr=0.01", "model=cnn3d_small"], run.overrides)
        if number == 5:  # was killed
            continue
        run.metrics.write_text(f"step,epoch,val/accuracy\n1,0,{'nan' if number == 4 else number / 10}\n")
        write_json(run.state, {"state": "finished"})
    search = Search(tmp_path, plan([LR, MODEL], trials=7))
    take_up_folders(search, tmp_path)
    found = {trial.name: (trial.state, trial.scores) for trial in search.trials()}
    assert found == {
        **{f"000{number}": ("finished", [number / 10]) for number in range(4)},
        **dict.fromkeys(("0004", "0005"), ("queued", None)),
    }
    assert search.trials()[1].values == {"optimizer.lr": "0.01", "model": "cnn3d_small"} and search.best() == ["0003"]
    assert [search.next().name for _ in range(3)] == ["0004", "0005", "0006"] and search.next() is None
