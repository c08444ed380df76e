"""The task of inpainting, on clips made here: what is scored is composited, beside fills on the same masks; and the
adversarial one."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from videxp.config.checking.metric_names import logged_metrics
from videxp.losses import AdversarialObjective, HiddenL1, VisibleL1
from videxp.metrics import hidden_psnr, psnr
from videxp.models.restoration.fills import CopyNearestVisible
from videxp.models.restoration.restoration_gan import RestorationGAN
from videxp.models.restoration.sttn import STTN, TPatchGAN
from videxp.tasks import AdversarialInpainting, Inpainting
from videxp.tasks.adversarial import frozen
from videxp.tasks.schedules import Constant

ADAM = partial(torch.optim.Adam, lr=1e-3)


def sttn() -> STTN:
    torch.manual_seed(0)
    return STTN(channels=8, blocks=1, patches=[1, 2])


def batch(*, size: int = 66) -> dict[str, Tensor]:
    target = torch.rand(2, 4, 3, size, size, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 4, 1, size, size)
    for t in range(4):
        mask[:, t, :, 5:25, 10 * t : 10 * t + 20] = 1
    video = torch.where(mask > 0, torch.full_like(target, 0.5), target)
    index = torch.arange(2)
    return {"video": video, "condition": mask, "target": target, "index": index, "epoch": torch.zeros(2).long()}


def inpainting(network: nn.Module, **arguments: Any) -> Inpainting:
    losses = arguments.pop("losses", {"hole": HiddenL1()})
    return Inpainting(network=network, optimizer=ADAM, scheduler=Constant(), losses=losses, channel="rgb", **arguments)


class Blunder(nn.Module):
    """Black everywhere, also where it was told that nothing is hidden."""

    scale, radius, told = 1, 0, "mask"

    def forward(self, video: Tensor, condition: Tensor) -> Tensor:
        return torch.zeros_like(video)


def test_what_is_scored_is_composited_and_all_rows_are_of_the_same_masks():
    clips, task = batch(), inpainting(Blunder(), baselines={"nearest": CopyNearestVisible(), "black": Blunder()})
    task.evaluation_step(clips, "test")
    values = task.evaluation_metrics("test")
    target, mask = clips["target"], clips["condition"]
    black = torch.where(mask > 0, torch.zeros_like(target), target)
    nearest = CopyNearestVisible()(clips["video"], mask)
    for name, clip in {"": black, "_black": black, "_nearest": nearest, "_input": clips["video"]}.items():
        assert float(values[f"psnr_hole{name}"]) == pytest.approx(float(hidden_psnr(clip, target, mask).mean()))
        assert float(values[f"psnr{name}"]) == pytest.approx(float(psnr(clip, target).mean()), abs=1e-5)
        assert 0 < float(values[f"ssim_65{name}"]) < 1
    assert float(values["psnr_gain"]) == pytest.approx(float(values["psnr"] - values["psnr_input"]))
    config = {"_target_": "videxp.tasks.Inpainting", "losses": {}, "baselines": {"nearest": {}, "black": {}}}
    assert {f"test/{name}" for name in values} <= set(logged_metrics(config))
    small = batch(size=64)
    task.evaluation_step(small, "val")
    assert set(task.evaluation_metrics("val")) == {"psnr", "ssim", "psnr_gain", "psnr_hole", "loss"}
    task.evaluation_step(small, "test")
    assert "ssim_65" not in task.evaluation_metrics("test") and task.rows[-1]["ssim_65"] is None


def test_the_papers_loss_is_of_the_hole_and_of_what_is_predicted_outside_of_it():
    losses = {"hole": HiddenL1(), "outside": VisibleL1(of="prediction")}
    clips, task = batch(size=32), inpainting(sttn(), losses=losses)
    log = task.training_step(clips, 0)["log"]
    prediction, hidden = task.network.predict(clips["video"], clips["condition"]), clips["condition"] > 0
    error = (prediction.detach() - clips["target"]).abs().mean(2, keepdim=True)
    assert float(log["train/hole"]) == pytest.approx(float(error[hidden].mean()), rel=1e-5)
    assert float(log["train/outside"]) == pytest.approx(float(error[~hidden].mean()), rel=1e-5)


def test_the_adversarial_task_trains_both_sides_on_composited_clips():
    gan = RestorationGAN(generator=sttn(), discriminators={"clip": TPatchGAN(width=2)})
    task = AdversarialInpainting(
        network=gan,
        optimizer=ADAM,
        scheduler=Constant(),
        losses={"hole": HiddenL1(), "outside": VisibleL1(of="prediction")},
        objective=AdversarialObjective(loss="hinge"),
        adversarial_weight=0.01,
        channel="rgb",
    )
    clips, task.batches_seen = batch(), 1
    ((part, rngs),) = task._parts(clips)
    shown = task.generated_inputs(part, rngs).inputs["clip"].video
    outside = (clips["condition"] == 0).expand_as(shown)
    assert torch.equal(shown[outside], clips["target"][outside])
    loss, _ = task._discriminator_loss(part, rngs)
    loss.backward()
    assert all(p.grad is not None for p in task.discriminators.parameters())
    with frozen(task.discriminators):
        loss, values = task._generator_loss(part, rngs)
    torch.testing.assert_close(loss, values["train/restoration"] + 0.01 * values["train/adversarial"])
    loss.backward()
    assert all(p.grad is not None for p in task.generator.parameters())
    task.evaluation_step(clips, "test")
    assert {"psnr_hole", "ssim_65", "psnr_hole_input"} <= set(task.evaluation_metrics("test"))
