"""A restoration network against discriminators: the counts, the losses, and what is used in the end."""

from pathlib import Path

import pytest
import torch

from tests.conftest import train, videxp
from tests.shrink import tiny
from videxp import config
from videxp.models.restoration.restoration_gan import UNetDiscriminator
from videxp.models.summary import count_parameters
from videxp.tasks.adversarial import frozen
from videxp.training.assembling import build_task
from videxp.video import open_video, write_video

RECIPE = "super_resolution/realbasicvsr_gan_reds"


def test_the_discriminator_is_real_esrgans_and_judges_each_pixel():
    judge = UNetDiscriminator()
    assert count_parameters(judge) == 4_376_897
    assert UNetDiscriminator(width=4)(torch.rand(2, 3, 3, 17, 24))["logits"].shape == (2, 3 * 16 * 24)


@pytest.fixture
def task_and_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    cfg = config.compose(RECIPE, tiny("logger=csv", "hardware.cache_dir=cache", recipe=RECIPE, cwd=tmp_path)).cfg
    task = build_task(cfg, classes=[])
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, 3, 32, 32, generator=generator)
    index = torch.arange(2)
    batch = {"video": target[..., ::4, ::4].clone(), "target": target, "index": index, "epoch": torch.zeros(2).long()}
    return task, batch


@pytest.mark.slow
def test_the_loss_is_the_restorations_and_a_share_of_the_discriminators(task_and_batch):
    task, batch = task_and_batch
    task.batches_seen = 1
    ((part, rngs),) = task._parts(batch)
    with frozen(task.discriminators):
        loss, values = task._generator_loss(part, rngs)
    _, restoration, _ = task.restored(batch)
    adversarial = values["train/adversarial"]
    torch.testing.assert_close(loss, restoration + 0.05 * adversarial)
    loss.backward()
    assert all(p.grad is not None for p in task.generator.parameters() if p.requires_grad)
    assert all(p.grad is None for p in task.discriminators.parameters())


@pytest.mark.slow
def test_what_is_evaluated_and_used_is_the_average(task_and_batch):
    task, batch = task_and_batch
    before = task(batch["video"])
    with torch.no_grad():
        for parameter in task.generator.parameters():
            parameter.zero_()
    torch.testing.assert_close(task(batch["video"]), before, rtol=0, atol=0)
    assert task.deployed is task.average


@pytest.mark.slow
def test_it_trains_evaluates_restores_and_is_exported(tmp_path: Path):
    run = train(cwd=tmp_path, recipe=RECIPE, run="run")
    header = (run / "metrics.csv").read_text().splitlines()[0]
    assert all(name in header for name in ("train/restoration", "train/discriminator_accuracy", "test/psnr_gain"))
    write_video(tmp_path / "small.mp4", torch.randint(0, 256, (4, 16, 24, 3), dtype=torch.uint8), fps=8)
    done = videxp("predict", "run", "small.mp4", "-o", "large.mp4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with open_video(tmp_path / "large.mp4") as reader:
        assert reader.size == (64, 96) and reader.num_frames == 4
    exported = videxp("export", "run", "--format", "safetensors", "-o", "restorer.safetensors", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    first_stage = "super_resolution/realbasicvsr_reds"  # the weights of the average are those of the bare network
    words = tiny("model.weights=restorer.safetensors", recipe=first_stage, cwd=tmp_path)
    checked = videxp("check", first_stage, "--batch", *words, cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
