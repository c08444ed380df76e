"""Distillation: the teacher answers as it was trained to, and is in nothing that the run keeps."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import train, videxp
from tests.films import Put, module
from tests.shrink import tiny
from tests.training.small_tasks import trainer
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass
from videxp.losses import L2, cross_entropy, distillation
from videxp.models.classification.small import SmallCNN3D
from videxp.models.restoration.srresnet import SRResNet
from videxp.models.scenes.transnetv2 import TransNetV2
from videxp.tasks import Classification, MultiLabelClassification, Restoration, Scenes
from videxp.tasks.schedules import Cosine

RECIPE = "classification/moving_digits"


def student(kind=Classification, monitor="val/accuracy", **options) -> Classification:
    torch.manual_seed(0)
    return kind(
        network=SmallCNN3D(num_classes=2, width=4),
        optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1),
        scheduler=Cosine(),
        classes=["run", "walk"],
        monitor=monitor,
        **options,
    )


@pytest.fixture
def teacher() -> SmallCNN3D:
    torch.manual_seed(1)
    return SmallCNN3D(num_classes=2, width=4)


@pytest.fixture
def fit(put: Put, tmp_path: Path, quiet_lightning):
    for i in range(4):
        put(f"train/{('run', 'walk')[i % 2]}/{i}.mp4")
    put("val/run/0.mp4")

    def fit(task: Classification) -> Classification:
        data = module(tmp_path, FolderPerClass(), batch_size=4)
        data.prepare()
        trainer(tmp_path, log_every_n_steps=1).fit(task, datamodule=data)
        return task

    return fit


def test_a_teacher_that_is_a_part_of_the_task_would_be_saved_and_would_count_on(teacher, fit):
    """Negative control: the stock way, an attribute."""
    task = student()
    task.tutor = teacher
    fit(task)
    assert any(name.startswith("tutor.") for name in task.state_dict())
    before = teacher.features.stem[1].running_mean.clone()
    task.train()
    teacher(torch.rand(2, 4, 3, 24, 24))
    assert not torch.equal(teacher.features.stem[1].running_mean, before)


def test_the_teacher_stays_as_it_is_and_is_in_no_checkpoint_and_no_optimizer(teacher, fit):
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    task = fit(student(teacher="runs/big", load_teacher=lambda run, *, student, data: teacher))
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert task.state_dict().keys() == student().state_dict().keys()
    known = {id(p) for group in task.trainer.optimizers[0].param_groups for p in group["params"]}
    assert known == {id(p) for p in task.network.parameters()}
    task.train()
    assert not teacher.training


def test_the_loss_is_the_weighted_sum_and_training_draws_what_it_would_have_drawn(teacher, fit):
    drawn = []

    def load(run, *, student, data):
        torch.rand(100)
        return teacher

    for options in ({}, {"teacher": "runs/big", "load_teacher": load, "teacher_weight": 0.3, "temperature": 2.0}):
        task = fit(student(**options))
        drawn.append(torch.rand(1))
    assert torch.equal(*drawn)
    batch = {"video": torch.rand(2, 4, 3, 24, 24), "label": torch.tensor([0, 1]), "index": torch.arange(2)}
    task.network.eval()
    out = task.training_step(batch, 0)
    ours, theirs = task(batch["video"]), teacher(batch["video"])
    wanted = 0.7 * cross_entropy(ours, batch["label"]) + 0.3 * distillation(ours, theirs, temperature=2.0)
    torch.testing.assert_close(out["loss"], wanted)
    assert out["log"]["train/distillation"] > 0


def test_a_task_that_is_only_evaluated_needs_no_teacher():
    def gone(*_, **__):
        raise AssertionError

    task = student(teacher="runs/gone", load_teacher=gone).eval()
    assert task(torch.rand(1, 4, 3, 24, 24)).shape == (1, 2)


@pytest.mark.slow
def test_a_run_learns_from_another_and_works_when_that_is_gone(tmp_path: Path, finished):
    from videxp.training.assembling import load_teacher

    big = tmp_path / "big"
    shutil.copytree(finished[0], big)
    data = type("Data", (), {"name": "other", "train_transform": None})()
    with pytest.raises(BadRequest, match=r"task.teacher=.*: it knows other classes \(10\) than these data have \(2\)"):
        load_teacher(str(big), student=student(), data=data)
    with pytest.raises(BadRequest, match=r"task.teacher=.*: learned by softmax, this task by sigmoid"):
        load_teacher(str(big), student=student(MultiLabelClassification, monitor="val/mAP"), data=data)
    other = ["task.teacher=big", "dataset.train_transform.mean=[0,0,0]", "hydra.run.dir=other"]
    refused = videxp("train", RECIPE, *tiny(*other), cwd=tmp_path)
    assert refused.returncode == 2 and "task.teacher=big: give it clips as it knows them" in refused.stderr

    refused = videxp("check", RECIPE, *tiny("task=multi_label", "task.teacher=big"), cwd=tmp_path)
    assert "task.teacher=big: learned by softmax, this task by sigmoid" in refused.stderr

    run = train("task.teacher=big", "+model.width=4", cwd=tmp_path)
    assert "train/distillation" in (run / "metrics.csv").read_text().splitlines()[0]
    assert (run / "checkpoints/best.ckpt").stat().st_size < (big / "checkpoints/best.ckpt").stat().st_size
    shutil.rmtree(big)
    done = videxp("evaluate", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def restorer(**options) -> Restoration:
    network = SRResNet(scale=2, channels=4, blocks=1)
    parts = {"optimizer": None, "scheduler": Cosine(), "losses": {"l2": L2()}}
    return Restoration(network=network, **parts, **options)


def test_a_restorer_learns_the_frames_of_its_teacher() -> None:
    torch.manual_seed(0)
    task, big = restorer(teacher="runs/big", teacher_weight=0.25), restorer().network.eval()
    task.__dict__["_teaching"] = big
    batch = {"video": torch.rand(2, 3, 3, 8, 8), "target": torch.rand(2, 3, 3, 16, 16), "index": torch.arange(2)}
    out = task.training_step(batch, 0)
    ours, theirs = task.network(batch["video"]).detach().numpy(), big(batch["video"]).detach().numpy()
    wanted = 0.75 * np.square(ours - batch["target"].numpy()).mean() + 0.25 * np.abs(ours - theirs).mean()
    np.testing.assert_allclose(out["loss"].item(), wanted, rtol=1e-5)
    np.testing.assert_allclose(out["log"]["train/distillation"].item(), np.abs(ours - theirs).mean(), rtol=1e-5)


def test_a_scene_network_learns_its_teachers_probability_of_each_frame() -> None:
    def scenes(**options) -> Scenes:
        network = TransNetV2(window_frames=8, filters=2, stacks=1, hidden=4, similarity=4, dropout=0.0)
        return Scenes(network=network, optimizer=None, scheduler=Cosine(), **options)

    torch.manual_seed(0)
    task, big = scenes(teacher="runs/big", teacher_weight=1.0, temperature=1.0).eval(), scenes().network.eval()
    task.__dict__["_teaching"] = big
    batch = {"video": torch.rand(1, 8, 3, 27, 48), "target": torch.zeros(1, 8, 2), "index": torch.arange(1)}
    out = task.training_step(batch, 0)
    p, q = (torch.stack([*network(batch["video"])]).sigmoid().detach().double() for network in (big, task.network))
    wanted = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    torch.testing.assert_close(out["loss"].double(), wanted, rtol=1e-3, atol=1e-8)


def test_tasks_say_whom_they_cannot_learn_from() -> None:
    assert student().refusal_of_teacher(restorer()) == "is a run of Restoration, none of a classification"
    assert restorer().refusal_of_teacher(student()) == "is a run of Classification, none of a restoration"
    other = restorer()
    other.network = SRResNet(scale=4, channels=4, blocks=1)
    assert restorer().refusal_of_teacher(other) == "it enlarges 4 times, this network 2 times"
    assert restorer().refusal_of_teacher(restorer()) == ""
