"""The examples of CONTRIBUTING.md work as they are written there, in a folder of one's own."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision.ops import box_iou

from tests.conftest import videxp
from tests.training import killing
from tests.training.conftest import checkpoint, command, differences, metrics
from tests.training.killing import KILLED, Kill
from videxp import cli, config
from videxp.core.own_packages import find_own_packages
from videxp.models.detection.interface import BoxTargets
from videxp.runs.folder import RunFolder
from videxp.tasks.building import load_task
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
        "mymodels/cells.py",
        "conf/model/cells.yaml",
        "mytasks/progress.py",
        "experiments/progress.yaml",
    }


@pytest.mark.slow
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
def test_the_model_of_the_example_takes_the_datas_classes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    with find_own_packages():
        network = config.build(config.compose("classification/moving_digits", ["model=tiny"]).cfg.model, num_classes=8)
    assert network(torch.zeros(2, 4, 3, 24, 24)).shape == (2, 8)
    assert cli.main(["check", "classification/moving_digits", "model=tiny"]) == 0


@pytest.mark.slow
def test_the_detector_of_the_example_finds_a_box_that_it_is_taught(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    assert cli.main(["check", "detection/moving_digits", "model=cells"]) == 0
    torch.manual_seed(0)
    with find_own_packages():
        cfg = config.compose("detection/moving_digits", ["model=cells"]).cfg
        detector = config.build(cfg.model, num_classes=2)
    video, box = torch.rand(1, 8, 3, 64, 64), torch.tensor([[20.0, 18.0, 44.0, 46.0]])
    targets = BoxTargets(box, torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
    optimizer = torch.optim.Adam(detector.parameters(), lr=0.003)
    for _ in range(150):
        optimizer.zero_grad()
        sum(detector(video, targets).values()).backward()
        optimizer.step()
    with torch.no_grad():
        found = detector(video)
    surest = int(found.scores[0].amax(1).argmax())
    assert found.scores[0, surest].argmax() == 1
    assert box_iou(found.xyxy[0, surest : surest + 1], box).item() > 0.7


# ---- a task of one's own: one Python file and one recipe, and no edit elsewhere --------------------------------------

OWN = ("mytasks/progress.py", "experiments/progress.yaml")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the task, its recipe and nothing else."""
    there = tmp_path_factory.mktemp("own")
    for name in OWN:
        (there / name).parent.mkdir()
        (there / name).write_text(FILES[name])
    return there


@pytest.fixture(scope="module")
def run(own: Path) -> Callable[..., str]:
    """`videxp ARGUMENTS` there -> what it printed."""

    def run(*arguments: str, kill: Kill | None = None, ranks: int = 1) -> str:
        statuses, printed = killing.run(*arguments, cwd=own, kill=kill, ranks=ranks, VIDEXP_ALLOW="mytasks,tests")
        assert set(statuses) == {KILLED if kill else 0}, printed
        return printed

    return run


def training(name: str) -> list[str]:
    return command(
        "trainer.limit_test_batches=null", "callbacks.checkpoint.every_n_steps=1", run=name, recipe="progress"
    )


@pytest.fixture(scope="module")
def undisturbed(own: Path, run: Callable[..., str]) -> Path:
    """A run that nobody disturbed."""
    run(*training("whole"))
    return own / "runs/whole"


@pytest.mark.slow
def test_ones_own_task_is_killed_and_resumed_to_the_bit(own: Path, run: Callable[..., str], undisturbed: Path):
    run(*training("killed"), kill=Kill("batch", nth=7))
    assert differences(checkpoint(undisturbed), checkpoint(own / "runs/killed"))  # so far
    run("resume", "runs/killed")
    assert differences(checkpoint(undisturbed), checkpoint(own / "runs/killed")) == []
    assert metrics(undisturbed) == metrics(own / "runs/killed")
    rows = json.loads(run("compare", "runs", "--json"))
    assert {row["run"] for row in rows} == {"runs/killed", "runs/whole"}
    assert {row["test/error"] for row in rows} == {last_values(read_metrics(undisturbed / "metrics.csv"))["test/error"]}


@pytest.mark.slow
def test_ones_own_task_is_evaluated_by_two_processes_and_predicts(
    own: Path, run: Callable[..., str], undisturbed: Path, monkeypatch: pytest.MonkeyPatch
):
    run("evaluate", "runs/whole", "hardware=ddp_cpu", "hardware.num_workers=0", ranks=2)
    evaluated = json.loads((undisturbed / "evaluation.json").read_text())
    monkeypatch.chdir(own)
    monkeypatch.setenv("VIDEXP_ALLOW", "mytasks,tests")
    monkeypatch.setenv("VIDEXP_CACHE", str(own / "cache"))
    with find_own_packages():
        cfg = config.load_resolved(undisturbed / "config.yaml")
        data, task = config.build(cfg.dataset), load_task(cfg, RunFolder(undisturbed).checkpoint())
    data.prepare()
    data.setup("test")
    batches = [data.transformed(data.read("test", [i]), "test", device=task.device) for i in range(31)]
    with torch.inference_mode():
        answers = [float(task.network(batch["video"]).mean()) for batch in batches]
    middle = torch.tensor([[3, 4, 5, 6]]) / 9  # of ten frames
    assert all(torch.allclose(batch["progress"], middle) for batch in batches)
    errors = [abs(answer - 0.5) for answer in answers]
    assert evaluated["metrics"]["test/error"] == pytest.approx(sum(errors) / 31, rel=1e-4)
    file = data.dataset("test").path(3)
    path, answer = run("predict", "runs/whole", str(file)).split()[-2:]
    assert path == str(file) and float(answer) == pytest.approx(answers[3], abs=1e-4)
