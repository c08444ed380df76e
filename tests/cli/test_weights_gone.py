"""`model.weights` begins a training; from then on the run's checkpoints hold everything, and its file may be gone."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import videxp
from tests.shrink import tiny
from videxp.config import load_resolved
from videxp.core.errors import BadRequest
from videxp.models.classification.torchvision_video import r3d_18
from videxp.training.assembling import build_task, load_classifier

MODEL = ["model=r3d_18", "+model.width=4", "+model.depths=[1,1,1,1]"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run that began with weights, whose file is gone since; and what `videxp train` printed."""
    folder = tmp_path_factory.mktemp("begun")
    torch.save(r3d_18(num_classes=400, width=4, depths=(1, 1, 1, 1)).state_dict(), folder / "r3d.pth")
    small = tiny(*MODEL, "model.weights=r3d.pth", "trainer.max_epochs=1", "hydra.run.dir=run")
    done = videxp("train", "classification/moving_digits", *small, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "r3d.pth").unlink()
    return folder / "run", done.stdout


@pytest.mark.slow
def test_evaluate_predict_and_resume_go_without_the_weights_that_the_run_began_with(begun: tuple[Path, str]):
    run, _ = begun
    cwd = run.parent
    cfg = load_resolved(run / "config.yaml")
    assert cfg.model.weights == "r3d.pth"  # what the run began with stays on record
    with pytest.raises(BadRequest, match="no such file"):
        build_task(cfg, classes=["a", "b"])
    task, _ = load_classifier(str(run), key="task.teacher")
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, best[key]) for key, value in task.state_dict().items())
    assert videxp("evaluate", "run", cwd=cwd).returncode == 0
    shutil.copytree(run, cwd / "again")
    (cwd / "again/status.json").write_text(json.dumps({"state": "interrupted"}))
    done = videxp("resume", "again", cwd=cwd)
    assert done.returncode == 0 and "goes on after batch" in done.stdout and "r3d.pth" not in done.stdout


@pytest.mark.slow
def test_the_terminal_says_what_was_loaded_and_what_starts_afresh(begun: tuple[Path, str]):
    assert (
        "\n  weights r3d.pth: 60 of 62 tensors; the classifier (fc) starts afresh: 400 classes there, 10 here\n"
        in (begun[1])
    )
