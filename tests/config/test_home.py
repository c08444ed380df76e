"""`~` is the home folder in every path that a user gives, on the command line and in a recipe."""

from pathlib import Path

import pytest

from tests.conftest import videxp
from videxp import cli
from videxp.config import check, compose
from videxp.errors import BadRequest

RECIPE = "classification/moving_digits"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_of_a_recipe(home: Path):
    text = f"# @package _global_\ndefaults:\n  - {RECIPE}\ndataset:\n  root: ~/clips\n  cache: ~/copies\n"
    (home / "mine.yaml").write_text(text + "hydra:\n  run:\n    dir: ~/runs/first\n")
    composed = compose("mine.yaml", [])
    assert (composed.cfg.dataset.root, composed.cfg.dataset.cache) == (f"{home}/clips", f"{home}/copies")
    assert composed.run_dir == f"{home}/runs/first"
    assert composed.cfg.dataset.cache_dir == composed.cfg.hardware.cache_dir == "~/.cache/videxp"  # of any machine


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("dataset.root=~/clips", "dataset.root=HOME/clips"),
        ("--output=~/a.json", "--output=HOME/a.json"),
        ("~/runs/first", "HOME/runs/first"),
        ("+model.weights=~", "+model.weights=HOME"),
        ("~optimizer", "~optimizer"),
        ("run.notes=a~/b", "run.notes=a~/b"),
    ],
)
def test_of_a_command_line(word: str, wanted: str, home: Path):
    assert cli._expand_home(word) == wanted.replace("HOME", str(home))


def test_a_data_set_in_the_home_folder_is_prepared(films: dict[str, Path], tmp_path: Path):
    (tmp_path / "clips/list.csv").parent.mkdir()
    names = [f"{split}{label}" for split in ("train", "val", "test") for label in "xy"]
    lines = [f"{name}.mp4,{name[-1]},{name[:-1]}\n" for name in names]
    (tmp_path / "list.csv").write_text("path,label,split\n" + "".join(lines))
    for name, film in zip(names, [*films.values(), *films.values()]):
        source = film if film.suffix == ".mp4" and film.stem != "broken" else films["bar.mp4"]
        (tmp_path / f"clips/{name}.mp4").write_bytes(source.read_bytes() + name.encode())
    done = videxp("prepare", "manifest", "dataset.root=~/clips", "dataset.layout.file=~/list.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_going_on_by_itself_needs_a_folder_that_keeps_its_name(home: Path):
    composed = compose(RECIPE, ["run.resume=auto"])
    (problem,) = check(composed)
    assert str(problem) == "run.resume=auto: each command makes a new folder; name one: hydra.run.dir=FOLDER"
    assert check(compose(RECIPE, ["run.resume=auto", "hydra.run.dir=FOLDER"])) == []
    with pytest.raises(BadRequest, match=r"run\.resume=auto: each command makes a new folder"):
        cli.import_module("videxp.commands.train").main([RECIPE, "run.resume=auto"])
