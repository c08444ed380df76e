"""Penalties of gradients can be trained on with every video GAN, and a clip's are its own where no norm ties clips."""

import pytest
import torch
from torch import Tensor

from tests.models.gans import TAKES_NORM, build_tiny, norm, rngs
from tests.models.zoo import GANS
from videxp.losses import gradient_penalty, path_lengths, r1_penalty
from videxp.models import DiscriminatorInput, VideoGAN
from videxp.models.gan import normal


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def penalties(gan: VideoGAN, name: str, real: DiscriminatorInput, fake: DiscriminatorInput) -> Tensor:
    """R1 and the gradient penalty of one discriminator."""

    def logits(video: Tensor) -> Tensor:
        return gan.discriminators[name](video, times=real.times, rngs=rngs(5, 6))["logits"]

    share = torch.tensor([0.3, 0.6], dtype=real.video.dtype)
    return r1_penalty(logits, real.video) + gradient_penalty(logits, real.video, fake.video, real_share=share)


@pytest.mark.parametrize("name", GANS)
def test_penalties_can_be_trained_on_their_gradient_is_that_of_finite_differences(name: str):
    gan = build_tiny(name, **norm(name, "group")).double()
    latent = gan.generator.latent(rngs(0, 1))
    latent |= {key: code.double() for key, code in latent.items() if code.is_floating_point()}
    real = gan.real_inputs(torch.rand(2, 4, 3, 16, 16, dtype=torch.float64) * 2 - 1, rngs=rngs(2, 3))
    fake, _ = gan.fake_inputs(latent, rngs=rngs(2, 3))
    for key, discriminator in gan.discriminators.items():
        weights = [p for p in discriminator.parameters() if p.ndim > 1]
        gradients = torch.autograd.grad(penalties(gan, key, real[key], fake[key]), weights, allow_unused=True)
        directions = [torch.randn_like(p) for p in weights]
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions) if g is not None)
        values = []
        for sign in (1, -1, -1):  # forward, back, behind
            with torch.no_grad():
                for weight, direction in zip(weights, directions):
                    weight.add_(sign * 1e-6 * direction)
            values.append(penalties(gan, key, real[key], fake[key]).item())
        assert slope != 0
        assert slope == pytest.approx((values[0] - values[2]) / 2e-6, rel=1e-4)


@pytest.mark.parametrize("name", GANS)
def test_path_lengths_can_be_trained_on(name: str):
    generator = build_tiny(name).generator
    latent = generator.latent(rngs(0, 1))
    key = next(iter(sorted(generator.content_keys & latent.keys())))
    latent[key].requires_grad_()
    video = generator(latent)
    lengths = path_lengths(video, latent[key], noise=normal(rngs(2, 3), *video.shape[1:], device="cpu"))
    assert lengths.shape == (2,) and (lengths > 0).all()
    (lengths - 1).square().mean().backward()
    unused = "renders.0."  # TGANv2's coarser level, seen in training alone
    weights = [p for key, p in generator.named_parameters() if p.ndim > 3 and not key.startswith(unused)]
    assert weights and all(p.grad is not None and p.grad.isfinite().all() for p in weights)


@pytest.mark.parametrize("name", TAKES_NORM)
def test_norms_of_the_batch_tie_clips_together_and_norms_of_the_group_do_not(name: str):
    def change(kind: str) -> tuple[float, float]:
        """How a generated clip and its logit change with the other clip of the batch."""
        gan = build_tiny(name, norm=kind)
        videos = [gan(gan.generator.latent(rngs(0, other)))[:1] for other in (1, 2)]
        clips = [torch.cat([videos[0], torch.full_like(videos[0], other)]).detach() for other in (-1, 1)]
        discriminator = gan.discriminators["level1" if name == "tganv2" else "video"]
        logits = [discriminator(discriminator.select(clip).video)["logits"][0] for clip in clips]
        return (videos[0] - videos[1]).abs().max().item(), (logits[0] - logits[1]).abs().max().item()

    batch, group = change("batch"), change("group")
    assert batch[0] > 1e-3 and max(group) < 1e-5
    assert batch[1] > 1e-3 or name == "tganv2"  # whose discriminators have no norms
