"""The examples of CONTRIBUTING.md work as they are written there, in a folder of one's own."""

import re
from pathlib import Path

import pytest

from tests.conftest import videxp
from tests.shrink import tiny
from videxp import cli
from videxp.training.loggers.metrics_file import last_values, read_metrics
from videxp.video import write_video

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
FILES = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", TEXT, flags=re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_examples_are_found():
    assert set(FILES) == {
        "pyproject.toml",
        "conf/dataset/gestures.yaml",
        "mymodels/tiny.py",
        "conf/model/tiny.yaml",
        "mytasks/regression.py",
        "conf/task/label_regression.yaml",
    }


def test_the_recipes_of_the_example_and_of_the_readme_are_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(folder)
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    texts = [found for text in (TEXT, readme) for found in re.findall(r"```yaml\n(# @package.*?)```", text, flags=re.S)]
    assert len(texts) == 2
    for number, text in enumerate(texts):
        path = folder / f"experiments/gestures/{number}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        assert cli.main(["check", f"gestures/{number}", "dataset=moving_digits"]) == 0, capsys.readouterr().err


@pytest.mark.slow
def test_the_data_set_of_the_example_is_prepared(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    import numpy as np

    root = tmp_path_factory.mktemp("gestures")
    for split in ("train", "test"):
        for number in range(4):
            path = root / split / ("wave", "nod")[number % 2] / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            level = 20 * number + 100 * (split == "test")
            write_video(path, np.full((4, 32, 32, 3), level, dtype=np.uint8), fps=10)
    done = videxp("prepare", "gestures", f"dataset.root={root}", "dataset.layout.val_fraction=0.5", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 train, 2 val, 4 test" in done.stdout


@pytest.mark.slow
def test_the_model_and_the_task_of_the_examples_train_and_are_evaluated(folder: Path):
    overrides = tiny("model=tiny", "task=label_regression", "logger=csv", "trainer.max_epochs=1", "hydra.run.dir=run")
    done = videxp("train", "classification/moving_digits", *overrides, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "val/error" in done.stdout
    assert "test/error" in last_values(read_metrics(folder / "run/metrics.csv"))
    evaluated = videxp("evaluate", "run", cwd=folder)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "test/error" in evaluated.stdout
