"""A damaged run among good ones is a line of the table, whatever is wrong with it."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.made import make_run
from videxp import cli


def append(run: Path, text: str) -> None:
    config = run / "config.yaml"
    config.write_text(f"{config.read_text()}{text}\n")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "seconds that are no number": lambda run: (run / "status.json").write_text('{"state": "finished", "seconds": NaN}'),
    "seconds without end": lambda run: (run / "status.json").write_text('{"state": "finished", "seconds": 1e999}'),
    "a state that is a list": lambda run: (run / "status.json").write_text('{"state": [], "seconds": []}'),
    "a deep status.json": lambda run: (run / "status.json").write_text("[" * 100_000),
    "a deep config.yaml": lambda run: append(run, "x: " + "[" * 3000 + "]" * 3000),
    "a number of 400 digits": lambda run: append(run, f"x: {'9' * 400}"),
    "an infinite number": lambda run: append(run, "x: .inf\ny: .nan"),
    "bytes that are no text": lambda run: (run / "metrics.csv").write_bytes(b"step,val/loss\n1,\xff\n"),
    "config.yaml is a pipe": lambda run: ((run / "config.yaml").unlink(), os.mkfifo(run / "config.yaml")),
    "status.json is a pipe": lambda run: ((run / "status.json").unlink(), os.mkfifo(run / "status.json")),
    "metrics.csv is a folder": lambda run: ((run / "metrics.csv").unlink(), (run / "metrics.csv").mkdir()),
    "evaluation.json is a pipe": lambda run: os.mkfifo(run / "evaluation.json"),
}


def compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    """What videxp compare says of each run; its page is written, too."""
    capsys.readouterr()
    page = folder / "page.html"
    page.unlink(missing_ok=True)
    assert cli.main(["compare", str(folder), "--html", str(page), "--json", "--metrics", "val/*"]) == 0
    assert page.stat().st_size > 10_000
    return {Path(row["run"]).name: row for row in json.loads(capsys.readouterr().out)}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_run(tmp_path / "good", state="finished", seconds=3.0)
    return tmp_path


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", DAMAGES)
def test_the_other_runs_are_compared(name: str, runs: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(runs / "good", runs / "bad")
    DAMAGES[name](runs / "bad")
    rows = compared(runs, capsys)
    assert rows.keys() == {"good", "bad"} and rows["good"]["val/accuracy"] == 0.5
    assert cli.main(["compare", str(runs), "--mean"]) == 0


def test_whatever_bytes_are_wrong(runs: Path, capsys: pytest.CaptureFixture[str]):
    draw = random.Random(0)
    pieces = [
        b"\xff",
        b"\0",
        b"NaN",
        b"1e999",
        b'"',
        b"[",
        b"{",
        b"}",
        b"\n",
        b"-",
        b"&a *a",
        b": ",
        b",,",
        b"9" * 500,
        b"",
    ]
    for number in range(40):
        bad = runs / f"bad{number}"
        shutil.copytree(runs / "good", bad)
        for file in draw.sample(sorted(bad.iterdir()), 2):
            content = file.read_bytes()
            at = draw.randrange(len(content))
            file.write_bytes(content[:at] + draw.choice(pieces) + content[at + draw.randint(0, 9) :])
    rows = compared(runs, capsys)
    assert len(rows) == 41 and rows["good"]["val/accuracy"] == 0.5
    assert {row["state"] for row in rows.values()} >= {"finished", "broken"}
