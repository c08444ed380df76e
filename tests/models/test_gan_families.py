"""What makes a video GAN what its paper says it is, on numbers that can be checked by eye."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.models.gans import build_tiny, rngs
from videxp.models.gan import with_noise
from videxp.models.generation.mocogan import time_kernels
from videxp.models.generation.tganv2 import TGANv2, every_other


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def constant(video: Tensor) -> bool:
    """Whether all frames are the same."""
    return torch.allclose(video, video[:, :1].expand_as(video), atol=1e-6)


# --- VGAN --------------------------------------------------------------------------------------------------------


def test_vgan_lays_its_foreground_over_a_background_that_stands_still():
    gan = build_tiny("vgan")
    generator = gan.generator
    streams = generator.streams(generator.latent(rngs(0, 1)))
    assert streams.background.shape == (2, 1, 3, 16, 16) and streams.mask.shape == (2, 4, 1, 16, 16)
    m, f, b = (x.detach() for x in (streams.mask, streams.foreground, streams.background))
    torch.testing.assert_close(streams.video.detach(), torch.lerp(b.expand_as(f), f, m.expand_as(f)))
    with torch.no_grad():
        generator.mask.bias.fill_(-100)  # nothing moves
        still = generator(generator.latent(rngs(0, 1)))
    assert constant(still) and not constant(f)


def test_the_mask_of_vgan_costs_a_tenth_of_its_mean():
    gan = build_tiny("vgan")
    latent = gan.generator.latent(rngs(0))
    inputs, terms = gan.fake_inputs(latent, rngs=None)
    streams = gan.generator.streams(latent)
    assert terms["mask"].item() == pytest.approx(0.1 * streams.mask.mean().item(), rel=1e-4)
    torch.testing.assert_close(inputs["video"].video, streams.video)


# --- MoCoGAN -----------------------------------------------------------------------------------------------------


def test_mocogans_motion_is_the_gru_of_torch_over_the_noise():
    generator = build_tiny("mocogan").generator
    latent = generator.latent(rngs(0, 1))
    gru = torch.nn.GRU(3, 3, batch_first=True)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(gru, f"{name}_l0").copy_(getattr(generator.recurrent, name))
        expected, _ = gru(latent["motion"], latent["start"][None])
        torch.testing.assert_close(generator.motion_codes(latent, 4), expected)


def test_without_motion_mocogans_clip_stands_still_and_with_it_it_moves():
    generator = build_tiny("mocogan").generator.eval()
    latent = generator.latent(rngs(0))
    with torch.no_grad():
        assert not constant(generator(latent))
        for parameter in generator.recurrent.parameters():
            parameter.zero_()
        assert constant(generator({**latent, "start": torch.zeros(1, 3)}))
    with pytest.raises(ValueError, match="num_frames=5, but the latent was drawn for 4 frames"):
        generator(latent, num_frames=5)


def test_mocogans_image_discriminator_sees_frames_from_all_over_the_clip_and_nothing_else():
    video = torch.arange(4.0)[None, :, None, None, None].expand(64, 4, 3, 16, 16)
    discriminator = build_tiny("mocogan").discriminators["image"]
    given = discriminator.select(video, rngs=rngs(*range(64)))
    assert given.video.shape == (64, 1, 3, 16, 16)
    assert torch.equal(given.video[:, 0, 0, 0, 0], given.times[:, 0])
    assert set(given.times[:, 0].tolist()) == {0, 1, 2, 3}
    assert set(discriminator.select(video).times[:, 0].tolist()) == {2}  # without chance: the middle


def test_the_categories_of_mocogan_are_discovered_or_are_the_classes():
    generator = build_tiny("mocogan", categories=5).generator
    found = generator.latent(rngs(*range(100)))["category"]
    assert set(found.tolist()) == set(range(5))
    conditional = build_tiny("mocogan", categories=5, num_classes=3)
    assert "category" not in conditional.generator.latent(rngs(0))
    assert conditional.discriminators["video"](torch.zeros(1, 4, 3, 16, 16))["category"].shape == (1, 3)
    without = build_tiny("mocogan", categories=0)
    assert without.discriminators["video"](torch.zeros(1, 4, 3, 16, 16)).keys() == {"logits"}


def test_noise_has_its_deviation_and_none_is_added_without_chance():
    zeros = torch.zeros(2, 64, 64)
    noisy = with_noise(zeros, sigma=0.2, rngs=rngs(0, 1))
    assert noisy.std().item() == pytest.approx(0.2, rel=0.05) and not torch.equal(noisy[0], noisy[1])
    assert with_noise(zeros, sigma=0.2, rngs=None) is zeros
    discriminator = build_tiny("mocogan", noise=0.2).discriminators["video"].eval()
    clip = torch.zeros(1, 4, 3, 16, 16)
    judged = [discriminator(clip, rngs=rngs(seed) if seed is not None else None)["logits"] for seed in (0, 0, 1, None)]
    assert torch.equal(judged[0], judged[1])
    assert not torch.allclose(judged[0], judged[2]) and not torch.allclose(judged[0], judged[3])


@pytest.mark.parametrize(
    ("frames", "layers", "expected"),
    [(16, 5, [4] * 5), (16, 4, [4] * 4), (4, 3, [2, 2, 2]), (1, 3, [1, 1, 1]), (8, 5, [2, 2, 3, 2, 3])],
)
def test_time_is_used_up_evenly(frames: int, layers: int, expected: list[int]):
    assert time_kernels(frames, layers) == expected
    assert frames - sum(k - 1 for k in expected) >= 1


# --- TGANv2 ------------------------------------------------------------------------------------------------------


def test_every_other_frame_from_a_drawn_start():
    times = torch.arange(5)[None].expand(32, -1)
    picked = every_other(rngs(*range(32)), times).tolist()
    assert {tuple(row) for row in picked} == {(0, 2), (1, 3)}
    assert every_other(None, times)[0].tolist() == [0, 2]


def test_each_level_of_tganv2_has_half_the_frames_at_twice_the_size():
    gan = build_tiny("tganv2", levels=3, num_frames=8, size=40)
    inputs, _ = gan.fake_inputs(gan.generator.latent(rngs(0, 1)), rngs=rngs(2, 3))
    real = gan.real_inputs(torch.rand(2, 8, 3, 40, 40), rngs=rngs(4, 5))
    for level, (frames, size) in enumerate([(8, 10), (4, 20), (2, 40)], start=1):
        for given in (inputs[f"level{level}"], real[f"level{level}"]):
            assert given.video.shape == (2, frames, 3, size, size)
            assert (given.times.diff(dim=1) == 2 ** (level - 1)).all()
    nested = inputs["level2"].times[:, :, None] == inputs["level3"].times[:, None]
    assert nested.any(dim=1).all()  # a frame that is drawn finer was there before


def test_a_real_level_is_the_clip_averaged_over_areas():
    gan = build_tiny("tganv2")
    video = torch.rand(1, 4, 3, 16, 16)
    coarse, fine = (gan.real_inputs(video, rngs=None)[f"level{n}"] for n in (1, 2))
    torch.testing.assert_close(coarse.video[0], F.interpolate(video[0], size=(8, 8), mode="area"))
    assert fine.times.tolist() == [[0, 2]] and torch.equal(fine.video, video[:, ::2])


def test_what_is_rendered_in_use_is_what_the_last_level_is_trained_to_render():
    gan = build_tiny("tganv2").eval()
    latent = gan.generator.latent(rngs(0, 1))
    with torch.no_grad():
        last = gan.fake_inputs(latent, rngs=None)[0]["level2"]
        torch.testing.assert_close(last.video, gan(latent)[:, last.times[0].long()])


def test_levels_that_cannot_be_are_refused_with_the_most_that_can():
    with pytest.raises(ValueError, match="levels=4: with num_frames=4 and size=64 there are at most 3"):
        TGANv2(num_frames=4, size=64)
    with pytest.raises(ValueError, match="levels=4: with num_frames=16 and size=40 there are at most 3"):
        TGANv2(num_frames=16, size=40)
