"""Continuous time: motion without jumps or repeats, any times and frame rates, and the layers of StyleGAN2."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.models.gans import build_tiny, rngs
from videxp.models.generation.continuous_gan import MotionCodes
from videxp.models.layers.stylegan2 import Linear as EqualisedLinear
from videxp.models.layers.stylegan2 import ModulatedConv


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def codes_at(times: list[float], motion: MotionCodes, *, anchors: int = 4) -> Tensor:
    noise = torch.randn(1, anchors + 20, 5, generator=torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        return motion.double()(noise, torch.tensor([times], dtype=torch.float64))[0]


def test_motion_is_continuous_where_a_plain_sine_would_jump():
    motion = MotionCodes(noise_size=5, width=6, step=4)
    before, at, after = codes_at([4 - 1e-6, 4, 4 + 1e-6], motion)
    assert (before - at).abs().max() < 1e-4 and (after - at).abs().max() < 1e-4
    assert (codes_at([3.0], motion) - at).abs().max() > 0.1  # and yet it moves
    with torch.no_grad():  # the wave alone: what is left when its own values at the anchors are not taken off
        motion.anchor.weight.zero_()
    at_anchor, inside = codes_at([4.0], motion), codes_at([5.0], motion)
    assert at_anchor.abs().max() < 1e-12 < inside.abs().max()
    u = torch.randn(2, 6).double()
    amplitude, phase = motion.amplitude(u), motion.phase(u)
    waves = amplitude * (motion.frequency * torch.tensor([[4.0], [0.0]]) + phase).sin()
    assert (waves[0] - waves[1]).abs().max() > 0.1  # left of the anchor and right of it


def test_motion_does_not_repeat():
    motion = MotionCodes(noise_size=5, width=6, step=4)
    codes = codes_at([t * 1.0 for t in range(40)], motion, anchors=12)
    distance = (codes[:, None] - codes[None]).norm(dim=2) + 1e9 * torch.eye(40)
    assert distance.min() > 1e-2


def test_a_clip_can_be_seen_at_any_times_and_frame_rates():
    generator = build_tiny("continuous_gan").generator.eval()
    latent = generator.latent(rngs(0, 1))
    with torch.no_grad():
        plain = generator(latent)
        doubled = generator(latent, times=torch.arange(8) / 2)
        torch.testing.assert_close(doubled[:, ::2], plain)
        own = generator(latent, times=torch.tensor([[3.0, 0.5], [1.0, 1.0]]))
    torch.testing.assert_close(own[0], doubled[0, [6, 1]])
    torch.testing.assert_close(own[1], doubled[1, [2, 2]])
    with pytest.raises(ValueError, match=r"times from 0 to 7, but the latent reaches from 0 to 6: .*num_frames"):
        generator(latent, num_frames=8)
    with pytest.raises(ValueError, match="times from -1 to 0, but the latent reaches from 0 to 6"):
        generator(latent, times=torch.tensor([-1.0, 0.0]))


@pytest.mark.parametrize("num_frames", [1, 3, 4, 5, 7])
def test_the_noise_reaches_as_far_as_was_asked_for(num_frames: int):
    generator = build_tiny("continuous_gan").generator  # an anchor at every third frame
    assert generator(generator.latent(rngs(0), num_frames=num_frames), num_frames=num_frames).shape[1] == num_frames


def test_only_the_frames_that_will_be_judged_are_drawn_and_they_are_those_of_the_clip():
    gan = build_tiny("continuous_gan", num_frames=9).eval()
    latent = gan.generator.latent(rngs(0, 1))
    with torch.no_grad():
        given, whole = gan.fake_inputs(latent, rngs=rngs(2, 3))[0]["video"], gan(latent)
    assert given.video.shape[1] == 3 and (given.times.diff(dim=1) > 0).all()
    picked = torch.stack([whole[i, given.times[i].long()] for i in range(2)])
    torch.testing.assert_close(given.video, picked)
    drawn = gan.discriminators["video"].draw_times(300, 9, rngs=rngs(*range(300)))
    assert drawn.unique().tolist() == list(range(9))


def test_the_discriminator_knows_how_far_apart_frames_are_and_not_when_they_were():
    discriminator = build_tiny("continuous_gan").discriminators["video"]
    frames = torch.rand(1, 3, 3, 16, 16)

    def judged(*times: float) -> Tensor:
        return discriminator(frames, times=torch.tensor([times]))["logits"]

    torch.testing.assert_close(judged(0, 1, 2), judged(5, 6, 7))
    assert not torch.allclose(judged(0, 1, 2), judged(0, 1, 3))
    with pytest.raises(ValueError, match="clips of 2 frames for a discriminator of 3"):
        discriminator.select(frames[:, :2])


def test_a_style_given_back_as_w_draws_the_same_clip():
    generator = build_tiny("continuous_gan").generator
    latent = generator.latent(rngs(0, 1))
    torch.testing.assert_close(generator({**latent, "w": generator.style(latent)}), generator(latent))


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_is_the_one_with_each_images_own_weights(demodulate: bool):
    conv = ModulatedConv(4, 5, 3, style_size=6, demodulate=demodulate)
    x, style = torch.randn(2, 4, 7, 7), torch.randn(2, 6)
    expected = []
    for image, scale in zip(x, conv.style(style)):  # equations 1 to 3 of StyleGAN2, one image at a time
        weight = conv.weight / 6 * scale[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected.append(F.conv2d(image, weight, padding=1))
    torch.testing.assert_close(conv(x, style), torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_equalised_layers_keep_the_variance_whatever_their_width():
    for width in (16, 1024):
        out = EqualisedLinear(width, 64, learning_rate=0.01)(torch.randn(256, width))
        assert out.std().item() == pytest.approx(1, rel=0.2)
