"""What every video GAN does: counts, the contract of generator and discriminators, whose chance is whose."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.gans import build_tiny, rngs
from tests.models.zoo import GANS, MODELS, build
from videxp.models import DiscriminatorInput, VideoGAN, count_parameters
from videxp.models.gan import halvings
from videxp.models.generation.mocogan import MoCoGAN

CONF = Path(__file__).parents[2] / "conf/model"
KINDS = list(product(GANS, [None, 3]))  # unconditional and class-conditional
LABEL = torch.tensor([2, 0])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def label_for(num_classes: int | None) -> Tensor | None:
    return LABEL if num_classes else None


def judge(gan: VideoGAN, inputs: dict[str, DiscriminatorInput], **arguments: Any) -> dict[str, dict[str, Tensor]]:
    return {
        name: discriminator(inputs[name].video, times=inputs[name].times, **arguments)
        for name, discriminator in gan.discriminators.items()
    }


def total(judged: dict[str, dict[str, Tensor]]) -> Tensor:
    """A random weighing of all outputs."""
    return sum((out * torch.randn(out.shape)).sum() for named in judged.values() for out in named.values())


# --- the published ones ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GANS)
def test_a_yaml_on_its_own_is_the_published_generator_and_discriminators(name: str):
    with torch.device("meta"):
        gan: Any = build(name)
    published = MODELS[name].published
    assert count_parameters(gan.generator) == published["generator"]
    assert {key: count_parameters(d) for key, d in gan.discriminators.items()} == published["discriminators"]


@pytest.mark.parametrize("name", GANS)
def test_a_yaml_says_in_its_first_line_what_it_is_and_whose_count_is_whose(name: str):
    first = (CONF / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ") and len(first) <= 120
    millions = MODELS[name].published["generator"] / 1e6
    assert f"generator {millions:.1f}" in first or f"generator {millions:.2f}" in first
    assert "discriminator" in first and "params" in first


def test_the_patch_discriminator_of_mocogan_is_the_published_one_too():
    with torch.device("meta"):
        assert count_parameters(MoCoGAN(video_discriminator="patch").discriminators["video"]) == 2_650_880


# --- the contract ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "num_classes"), KINDS)
def test_codes_become_clips_that_are_judged(name: str, num_classes: int | None):
    gan = build_tiny(name, num_classes=num_classes)
    generator, label = gan.generator, label_for(num_classes)
    assert (generator.num_frames, generator.size, generator.num_classes) == (4, 16, num_classes)
    latent = generator.latent(rngs(0, 1))
    assert generator.content_keys & latent.keys() and all(len(code) == 2 for code in latent.values())
    video = gan(latent, label=label)
    assert video.shape == (2, 4, 3, 16, 16) and video.abs().max() <= 1
    assert not torch.allclose(video[0], video[1])
    real, (fake, _) = gan.real_inputs(video, rngs=rngs(2, 3)), gan.fake_inputs(latent, label=label, rngs=rngs(2, 3))
    assert real.keys() == fake.keys() == gan.discriminators.keys()
    for key in real:
        assert real[key].video.shape == fake[key].video.shape
        assert real[key].times.shape == fake[key].times.shape == real[key].video.shape[:2]
    for out in judge(gan, fake, label=label, rngs=rngs(4, 5)).values():
        assert out["logits"].ndim == 2 and len(out["logits"]) == 2


@pytest.mark.parametrize("name", GANS)
@pytest.mark.parametrize(("num_frames", "size"), [(8, 40), (5, 12), (2, 28)])
def test_other_lengths_and_sizes_work(name: str, num_frames: int, size: int):
    gan = build_tiny(name, num_frames=num_frames, size=size)
    latent = gan.generator.latent(rngs(0))
    with torch.no_grad():
        assert gan.eval()(latent).shape == (1, num_frames, 3, size, size)
        assert all(out["logits"].isfinite().all() for out in judge(gan, gan.fake_inputs(latent, rngs=None)[0]).values())


@pytest.mark.parametrize(("name", "num_classes"), KINDS)
def test_gradient_reaches_every_parameter(name: str, num_classes: int | None):
    gan, label = build_tiny(name, num_classes=num_classes), label_for(num_classes)
    inputs, terms = gan.fake_inputs(gan.generator.latent(rngs(0, 1)), label=label, rngs=rngs(2, 3))
    (total(judge(gan, inputs, label=label)) + sum(terms.values())).backward()
    unreached = {key for key, p in gan.named_parameters() if p.grad is None or not p.grad.any()}
    # a bias before a norm over all places is taken away by it, and classes that no clip has are not touched
    assert {key for key in unreached if not key.endswith("bias")} == set()
    assert [key for key, p in gan.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(("name", "num_classes"), KINDS)
def test_the_label_matters_to_both_sides_and_is_asked_for(name: str, num_classes: int | None):
    gan, label = build_tiny(name, num_classes=num_classes).eval(), label_for(num_classes)
    latent = gan.generator.latent(rngs(0, 0))
    wrong, says = (None, "3 classes, but none") if num_classes else (LABEL, "no classes, but a label")
    with pytest.raises(ValueError, match=says):
        gan(latent, label=wrong)
    if num_classes:
        for parameter in gan.parameters():  # what starts at zero hides the class
            if not parameter.any():
                nn.init.normal_(parameter)
        video = gan(latent, label=label)
        assert not torch.allclose(video[0], video[1])
        if name != "mocogan":  # whose discriminator tells the class instead of being told
            inputs = gan.real_inputs(video[:1].expand(2, -1, -1, -1, -1), rngs=None)
            for out in judge(gan, inputs, label=label).values():
                assert not torch.allclose(out["logits"][0], out["logits"][1])


def test_the_patch_discriminator_of_mocogan_is_told_the_class():
    gan = build_tiny("mocogan", num_classes=3, video_discriminator="patch").eval()
    judged = gan.discriminators["video"](torch.ones(2, 4, 3, 16, 16), label=LABEL)
    assert "category" not in judged and not torch.allclose(judged["logits"][0], judged["logits"][1])


# --- chance ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GANS)
def test_what_a_clip_draws_depends_on_its_own_generator_alone(name: str):
    batch, alone = (torch.randn(n, 5, generator=torch.Generator().manual_seed(0)) for n in (2, 1))
    assert not torch.equal(batch[1:], alone)  # one generator for the batch: a clip's numbers depend on its place

    gan = build_tiny(name)
    before = torch.get_rng_state()
    both, second = gan.generator.latent(rngs(7, 8)), gan.generator.latent(rngs(8))
    assert all(torch.equal(both[key][1:], second[key]) for key in both)
    video = torch.rand(2, 4, 3, 16, 16)
    torch.set_rng_state(before)
    inputs = gan.real_inputs(video, rngs=rngs(7, 8)), gan.real_inputs(video[1:], rngs=rngs(8))
    for key in gan.discriminators:
        assert torch.equal(inputs[0][key].video[1:], inputs[1][key].video)
    gan.eval()  # norms of the batch aside
    judged = judge(gan, inputs[0], rngs=rngs(7, 8)), judge(gan, inputs[1], rngs=rngs(8))
    for key in gan.discriminators:
        torch.testing.assert_close(judged[0][key]["logits"][1:], judged[1][key]["logits"])
    fake = [gan.fake_inputs(gan.generator.latent(rngs(7, 8)), rngs=rngs(7, 8))[0] for _ in range(2)]
    assert all(torch.equal(fake[0][key].video, fake[1][key].video) for key in gan.discriminators)
    assert torch.equal(torch.get_rng_state(), before)  # torch's global generator was not asked


@pytest.mark.parametrize("name", ["mocogan", "tganv2", "continuous_gan"])
def test_a_longer_clip_of_the_same_seed_begins_as_the_shorter_one(name: str):
    whole = [rngs(0)[0].standard_normal((3, frames)) for frames in (4, 9)]
    assert (whole[0] != whole[1][:, :4]).any()  # drawn dimension by dimension instead of frame by frame
    generator = build_tiny(name).generator.eval()
    with torch.no_grad():
        short, long = (generator(generator.latent(rngs(3, 4), num_frames=n), num_frames=n) for n in (4, 9))
    assert long.shape[1] == 9
    torch.testing.assert_close(long[:, :4], short)


def test_the_convolutions_of_vgan_refuse_another_length():
    generator = build_tiny("vgan").generator
    with pytest.raises(ValueError, match="num_frames=9: this VGAN makes clips of 4 frames only"):
        generator(generator.latent(rngs(0)), num_frames=9)


@pytest.mark.parametrize("name", GANS)
def test_content_and_motion_can_be_mixed(name: str):
    generator = build_tiny(name).generator.eval()
    one, other = generator.latent(rngs(1)), generator.latent(rngs(2))
    mixed = generator.combine(content=one, motion=other)
    assert mixed.keys() == one.keys()
    assert all(torch.equal(mixed[key], (one if key in generator.content_keys else other)[key]) for key in mixed)
    with torch.no_grad():
        videos = [generator(latent) for latent in (one, other, mixed)]
    moves = not one.keys() <= generator.content_keys  # VGAN and TGANv2 have one code for both
    assert torch.allclose(videos[2], videos[0]) == (not moves)
    assert not torch.allclose(videos[2], videos[1])


# --- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"), [(64, (4, 4)), (192, (3, 6)), (40, (5, 3)), (16, (4, 2)), (12, (3, 2)), (28, (7, 2))]
)
def test_a_size_is_a_small_base_doubled(size: int, expected: tuple[int, int]):
    assert halvings(size) == expected


@pytest.mark.parametrize(("size", "nearest"), [(36, 32), (50, 48), (8, 12), (66, 64), (1, 12), (0, 12)])
def test_another_size_is_refused_with_the_nearest_that_works(size: int, nearest: int):
    with pytest.raises(ValueError, match=f"size={size} is not .*nearest that is: {nearest}$"):
        halvings(size)


@pytest.mark.parametrize("name", GANS)
def test_the_smallest_clip_declared_runs(name: str):
    declared = MODELS[name].accepts
    levels = {"levels": 1} if "levels" in MODELS[name].tiny else {}
    gan = build_tiny(name, num_frames=declared.min_frames, size=declared.min_size, **levels).eval()
    assert gan(gan.generator.latent(rngs(0))).shape == (1, declared.min_frames, 3, declared.min_size, declared.min_size)
    with pytest.raises(ValueError, match="size=11"):
        build_tiny(name, size=declared.min_size - 1)
