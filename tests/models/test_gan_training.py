"""The video GANs are trained for real, for a moment: the step that a task would take, with chance for each clip."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.gans import TAKES_NORM, build_tiny, norm, rngs
from tests.models.zoo import GANS
from videxp.losses import discriminator_loss, generator_loss
from videxp.models import VideoGAN


def moving_squares(count: int, rng: np.random.Generator) -> Tensor:
    """A white square goes to the right on black: [count,4,3,16,16]."""
    video = -torch.ones(count, 4, 3, 16, 16)
    for clip in video:
        top, left = rng.integers(4, 8, size=2).tolist()
        for frame in range(4):
            clip[frame, :, top : top + 5, left - 4 + 2 * frame : left + 1 + 2 * frame] = 1
    return video


def losses(gan: VideoGAN, real: Tensor, seeds: range) -> tuple[Tensor, Tensor]:
    """(discriminators', generator's), all chance from one generator for each clip."""
    chance = rngs(*seeds)
    latent = gan.generator.latent(chance)
    latent |= {key: code.to(real) for key, code in latent.items() if code.is_floating_point()}
    fake, terms = gan.fake_inputs(latent, rngs=chance)
    shown = gan.real_inputs(real, rngs=chance)
    of_judges, of_generator = torch.zeros(()), sum(terms.values(), torch.zeros(()))
    for name, judge in gan.discriminators.items():
        real_logits = judge(shown[name].video, times=shown[name].times, rngs=chance)["logits"]
        apart = judge(fake[name].video.detach(), times=fake[name].times, rngs=chance)["logits"]
        of_judges = of_judges + discriminator_loss(real_logits, apart, kind="hinge")
        judged = judge(fake[name].video, times=fake[name].times, rngs=chance)["logits"]
        of_generator = of_generator + generator_loss(judged, kind="hinge")
    return of_judges, of_generator


def distance_to_real(gan: VideoGAN, real_mean: Tensor) -> float:
    """Mean absolute difference of the mean clips."""
    with torch.no_grad():
        video = gan.eval()(gan.generator.latent(rngs(*range(1000, 1064))))
    gan.train()
    return (video.mean(dim=0) - real_mean).abs().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("vgan", 45), ("mocogan", 40), ("tganv2", 20), ("continuous_gan", 18)])
def test_a_few_steps_bring_generated_clips_nearer_to_real_ones(name: str, steps: int):
    torch.manual_seed(0)
    gan, draws = build_tiny(name), np.random.default_rng(0)
    real_mean = moving_squares(500, draws).mean(dim=0)
    sides = [gan.discriminators, gan.generator]
    optimizers = [torch.optim.Adam(side.parameters(), lr=4e-3, betas=(0.0, 0.99)) for side in sides]
    before = distance_to_real(gan, real_mean)
    for step in range(steps):
        of_both = losses(gan, moving_squares(8, draws), range(8 * step, 8 * step + 8))
        for side, loss, optimizer in zip(sides, of_both, optimizers):
            optimizer.zero_grad()
            loss.backward(inputs=list(side.parameters()), retain_graph=True)
        for optimizer in optimizers:
            optimizer.step()
    assert distance_to_real(gan, real_mean) < 0.9 * before


def gradients(gan: VideoGAN, real: Tensor, seeds: range) -> dict[str, Tensor]:
    gan.zero_grad()
    sum(losses(gan, real, seeds)).backward()
    return {key: p.grad.clone() for key, p in gan.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", GANS)
def test_two_processes_with_half_the_clips_each_have_the_gradient_of_one_with_all(name: str):
    real = moving_squares(4, np.random.default_rng(0)).double()

    def difference(kind: str) -> float:
        torch.manual_seed(0)
        gan = build_tiny(name, **norm(name, kind)).double()
        halves = [gradients(gan, real[:2], range(2)), gradients(gan, real[2:], range(2, 4))]
        whole = gradients(gan, real, range(4))
        return max((whole[key] - (halves[0][key] + halves[1][key]) / 2).abs().max().item() for key in whole)

    if name in TAKES_NORM:
        assert difference("batch") > 1e-3  # as published: statistics of each process's own clips
    assert difference("group") < 1e-9
