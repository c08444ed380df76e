"""Every `$ videxp` command of the README is run, in its order, in one folder where the recipe is a shrunk one."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import videxp
from tests.films import Put
from tests.shrink import EXPERIMENTS, TINY

README = (Path(__file__).parents[1] / "README.md").read_text()
CONSOLE = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.removeprefix("$ ") for block in CONSOLE for line in block.splitlines()]
VIDEXP = [line.removeprefix("videxp ").split() for line in COMMANDS if line.startswith("videxp ")]

SHRUNK = """# @package _global_
# The main job, shrunk
defaults:
  - override /dataset: moving_digits
  - override /model: cnn3d_small
  - override /task: classification
"""


def nested(overrides: list[str]) -> str:
    """`a.b=1` -> YAML lines `a: {b: 1}`, merged by first key."""
    groups: dict[str, list[str]] = {}
    for text in overrides:
        key, value = text.split("=")
        first, *rest = key.split(".")
        inner = f"{rest[-1]}: {value}"
        for part in reversed(rest[:-1]):
            inner = f"{part}: {{{inner}}}"
        groups.setdefault(first, []).append(inner)
    layout = [line for line in groups["dataset"] if line.startswith("layout")]
    groups["dataset"] = [line for line in groups["dataset"] if not line.startswith("layout")]
    values = ", ".join(line.removeprefix("layout: {").removesuffix("}") for line in layout)
    groups["dataset"].append(f"layout: {{{values}}}")
    return "".join(f"{first}:\n" + "".join(f"  {line}\n" for line in lines) for first, lines in groups.items())


BRIEF = {
    **dict(text.split("=") for text in TINY),
    "dataset.layout.train_videos": "16",
    "dataset.layout.val_videos": "10",
    "dataset.layout.test_videos": "10",
    "trainer.max_epochs": "1",
}
SMALL = [f"{key}={value}" for key, value in BRIEF.items()]


def shrunk_restoration() -> str:
    """The recipe as it is, on a few frames of its real footage, with a tiny network for two batches."""
    text = (EXPERIMENTS / "super_resolution/sample_clips.yaml").read_text()
    assert "channels: 24" in text and "blocks: 8" in text
    text = text.replace("channels: 24", "channels: 4").replace("blocks: 8", "blocks: 1")
    text = text.replace("\ndataset:", "\ndataset:\n  clips: {test_frames: 5, val_frames: 3}")
    return re.sub("max_epochs: .*", "max_epochs: 1\n  limit_train_batches: 2", text)


def shrunk_generation() -> str:
    """The recipe as it is, of few clips and tiny networks, for two batches."""
    text = (EXPERIMENTS / "generation/moving_digits.yaml").read_text()
    for key, value in {"width": 4, "discriminator_width": 4, "num_clips": 16, "val_clips": 8, "max_epochs": 1}.items():
        assert f" {key}: " in text
        text = re.sub(rf" {key}: \d+", f" {key}: {value}", text)
    videos = "{train_videos: 32, val_videos: 10, test_videos: 16}"
    text = text.replace("\ndataset:\n", f"\ndataset:\n  layout: {videos}\n")
    return text.replace("\ntrainer:", "\ntrainer:\n  limit_train_batches: 2")


def shrunk_scenes() -> str:
    """The recipe as it is, of a few short films and a tiny network, for two batches."""
    text = (EXPERIMENTS / "scenes/scene_films.yaml").read_text()
    films = "{train_shots: 6, val_films: 1, test_films: 1, shots_per_film: 3, frames_per_shot: 30}"
    assert "batch_size: 8" in text and "max_epochs" in text
    text = text.replace("batch_size: 8", f"batch_size: 2\n  num_frames: 20\n  layout: {films}")
    return re.sub(r"max_epochs: \d+", "max_epochs: 1, limit_train_batches: 2", text)


def test_the_two_commands_come_first_and_are_targets_of_the_makefile():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    assert [command.split("#")[0].strip() for command in COMMANDS[:2]] == ["make run", "make test"]
    assert all(f"\n{target}: install" in makefile or f"\n{target}: lint" in makefile for target in ("run", "test"))


def test_the_readme_shows_every_command_that_there_is():
    from videxp.cli import command_names

    shown = {words[0] for words in VIDEXP}
    assert set(command_names()) - shown == {"completion"}


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_lightning")
def test_its_python_works_on_a_folder_of_videos(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Shrunk in pixels and epochs alone."""
    for number in range(20):
        put(f"{('run', 'walk')[number % 2]}/{number}.mp4")
    (tmp_path / "root").rename(tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    look, train = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(look.split("\n\n")[1].splitlines()) <= 5
    assert len([line for line in train.splitlines() if line]) <= 15
    batches: list[tuple[torch.Size, torch.Tensor]] = []
    exec(look, {"print": lambda *words: batches.append(words)})
    assert [shape for shape, _ in batches] == [(8, 16, 112, 112, 3)]
    names: dict[str, Any] = {}
    exec(train.replace("size=112", "size=16").replace("max_epochs=10", "max_epochs=1"), names)
    data, trainer = names["data"], names["trainer"]
    assert (data.name, data.counts, data.classes) == ("videos", {"train": 14, "val": 2, "test": 4}, ["run", "walk"])
    assert data.seen == {"val": (2, 2), "test": (4, 4)}
    assert 0 <= trainer.callback_metrics["test/accuracy"] <= 1


@pytest.mark.slow
def test_every_command_of_the_readme_works(tmp_path: Path):
    (tmp_path / "experiments/classification").mkdir(parents=True)
    (tmp_path / "experiments/classification/moving_digits.yaml").write_text(SHRUNK + nested(SMALL))
    (tmp_path / "experiments/super_resolution").mkdir(parents=True)
    (tmp_path / "experiments/super_resolution/sample_clips.yaml").write_text(shrunk_restoration())
    (tmp_path / "experiments/generation").mkdir(parents=True)
    (tmp_path / "experiments/generation/moving_digits.yaml").write_text(shrunk_generation())
    (tmp_path / "experiments/scenes").mkdir(parents=True)
    (tmp_path / "experiments/scenes/scene_films.yaml").write_text(shrunk_scenes())
    (tmp_path / "conf/dataset").mkdir(parents=True)
    config = (EXPERIMENTS.parent / "conf/dataset/sample_clips.yaml").read_text()
    short = config.replace("videxp.data.layouts.sample_clips.SampleClips", "tests.short.ShortClips")
    (tmp_path / "conf/dataset/sample_clips.yaml").write_text(short)
    assert len(VIDEXP) > 10
    layout = [word for word in SMALL if word.startswith("dataset.layout")]
    more = {"record runs/two-processes": ["--allow-dirty"], "prepare moving_digits": layout}  # the code may be changing
    for words in VIDEXP:
        done = videxp(*words, *more.get(" ".join(words[:2]), []), cwd=tmp_path, VIDEXP_ALLOW="tests")
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        assert done.stdout
