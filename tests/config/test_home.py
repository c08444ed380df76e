"""`~` is the home folder in every path that a user gives, on the command line and in a recipe."""

from pathlib import Path

import pytest

from tests.conftest import videxp
from videxp import cli
from videxp.config import check, compose
from videxp.core.errors import BadRequest
from videxp.core.files import expand_home

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
    assert (
        composed.cfg.dataset.preparing.cache_dir == composed.cfg.hardware.cache_dir == "~/.cache/videxp"
    )  # of any machine


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


@pytest.mark.slow
def test_going_on_by_itself_needs_a_folder_that_keeps_its_name(home: Path):
    composed = compose(RECIPE, ["run.resume=auto"])
    (problem,) = check(composed)
    assert str(problem) == "run.resume=auto: each command makes a new folder; name one: hydra.run.dir=FOLDER"
    assert check(compose(RECIPE, ["run.resume=auto", "hydra.run.dir=FOLDER"])) == []
    with pytest.raises(BadRequest, match=r"run\.resume=auto: each command makes a new folder"):
        cli.import_module("videxp.cli.commands.train").main([RECIPE, "run.resume=auto"])


@pytest.mark.slow
@pytest.mark.usefixtures("no_home")
def test_without_a_home_folder_all_works_that_needs_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RuntimeError, match="home directory"):
        Path("~/clips").expanduser()
    assert cli.main(["list", "recipes"]) == 0
    assert cli.main(["check", RECIPE, f"hardware.cache_dir={tmp_path}"]) == 0
    capsys.readouterr()
    for words in (["prepare", "moving_digits"], ["train", RECIPE, "dataset.root=~/clips"]):
        assert cli.main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "the home folder ~ is not known: set HOME=FOLDER, or write the whole path" in line


def test_the_home_folder_of_nobody():
    with pytest.raises(
        BadRequest, match=r"~nobody-here/clips: .* there is no user nobody-here, or write the whole path"
    ):
        expand_home("~nobody-here/clips")
    assert expand_home("clips/~") == Path("clips/~")
