"""Which axes are measured, and what their sections of evaluation.json come to elsewhere."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import videxp_anew
from tests.runs.made import make_run
from videxp.cli.commands.evaluate import parse_arguments
from videxp.comparison.table import best_rows, cell_text, row, table_columns
from videxp.core.errors import BadRequest
from videxp.evaluation import axis as axes
from videxp.evaluation.axis import AXES, axis, parse_axes, refuse_options_without_axis
from videxp.evaluation.results import picture_folder, write_result
from videxp.runs.folder import open_run
from videxp.runs.reading import read_run

HEAD = {"weights": "1a2b", "conditions": {"split": "test", "samples": "3c4d"}}
ACCURACY = {**HEAD, "metrics": {"test/accuracy": 0.5}}
SECTION = {"mpc": 0.25, "scalars": {"robustness/mpc": 0.25}, "better": {"robustness/mpc": "max"}}


def test_axes_come_in_one_order_and_all_means_all():
    assert parse_axes("all") == list(AXES)
    assert AXES[0] == "accuracy"
    assert parse_axes(", ".join(reversed(AXES))) == list(AXES)
    for text in ("acuracy", "", "accuracy,all"):
        with pytest.raises(BadRequest, match="--on"):
            parse_axes(text)


def test_every_axis_has_what_the_command_asks_of_it_and_reads_its_options_without_torch(tmp_path: Path):
    for name in AXES[1:]:
        module = axis(name)
        for function in ("add_arguments", "require_options", "measure", "lines", "scalars", "save_pictures"):
            assert callable(getattr(module, function)), (name, function)
        assert set(module.BETTER.values()) <= {"max", "min"}
    modules = ", ".join(f"videxp.evaluation.{name}" for name in ("axis", *AXES[1:]))
    (tmp_path / "asked.py").write_text(f"import sys, {modules}\nprint('torch' in sys.modules)\n")
    said = subprocess.run([sys.executable, tmp_path / "asked.py"], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_an_option_of_an_axis_that_is_not_measured_is_refused(monkeypatch: pytest.MonkeyPatch):
    class OneOption:
        @staticmethod
        def add_arguments(parser: argparse.ArgumentParser) -> None:
            parser.add_argument("--most-severe", type=int, default=5)

    monkeypatch.setattr(axes, "AXES", ("accuracy", "robustness"))
    monkeypatch.setattr(axes, "axis", lambda name: OneOption)
    refuse_options_without_axis(argparse.Namespace(most_severe=3), ["robustness"])
    refuse_options_without_axis(argparse.Namespace(most_severe=5), ["accuracy"])
    with pytest.raises(BadRequest, match="--most-severe has no effect without --on robustness"):
        refuse_options_without_axis(argparse.Namespace(most_severe=3), ["accuracy"])


@pytest.mark.parametrize("option", ["--severities", "--sever"])  # argparse takes the beginning of an option for it
def test_an_option_without_its_axis_is_refused_however_it_is_written(option: str):
    assert parse_arguments(["RUN", "--on", "robustness", option, "3"]).severities == [3]
    with pytest.raises(BadRequest, match="--severities has no effect without --on robustness"):
        parse_arguments(["RUN", option, "3"])


def test_pictures_of_another_evaluation_leave_the_runs_own(tmp_path: Path):
    run = open_run(make_run(tmp_path / "run"))
    assert picture_folder(run, run.evaluation) == run.samples
    other = picture_folder(run, run.path / "evaluation_10x3.json")
    assert other == run.samples / "evaluation_10x3"


def test_an_axis_is_written_beside_the_others_of_the_same_weights(tmp_path: Path):
    path = tmp_path / "evaluation.json"
    write_result(path, ACCURACY)
    write_result(path, {**HEAD, "robustness": SECTION})
    assert json.loads(path.read_text()) == {**ACCURACY, "robustness": SECTION}
    better = {**HEAD, "metrics": {"test/accuracy": 0.75}}
    write_result(path, better)  # the accuracy anew: what another axis found stays
    assert json.loads(path.read_text()) == {**better, "robustness": SECTION}
    assert write_result(path, {**ACCURACY, "weights": "5e6f"}) == {**ACCURACY, "weights": "5e6f"}
    assert "robustness" not in json.loads(path.read_text())  # it was of other weights
    write_result(path, {**HEAD, "robustness": SECTION})
    assert "metrics" not in json.loads(path.read_text())


def test_figures_of_the_axes_are_columns_of_a_comparison(tmp_path: Path):
    paths = [make_run(tmp_path / name) for name in ("frail", "robust", "unmeasured")]
    for path, value in zip(paths, (0.25, 0.5)):
        section = {**SECTION, "scalars": {"robustness/mpc": value}}
        (path / "evaluation.json").write_text(json.dumps({**ACCURACY, "robustness": section}))
    runs = [read_run(path) for path in paths]
    rows = [row(run) for run in runs]
    (column,) = [column for column in table_columns(runs) if column.key == "robustness/mpc"]
    assert (column.better, column.shown) == ("max", True)
    assert [cell_text(column, row) for row in rows] == ["0.2500", "0.5000", ""]
    assert best_rows(column, rows) == {1}


@pytest.mark.slow
def test_an_unknown_axis_is_refused_before_anything_is_read(tmp_path: Path):
    done = videxp_anew("evaluate", "no_such_run", "--on", "speeed", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"videxp: --on speeed: no such axis; write {', '.join(AXES)} or all\n"
