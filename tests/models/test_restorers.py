"""What every restoration network does: [B,T,3,h,w] in, [B,T,3,s*h,s*w] out, for any T, h and w; `radius` is true.

A recurrent one has no radius; `future`, where it has that, is how many frames it looks ahead.
"""

import inspect
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from tests.models.restorers import TRAINABLE, build_tiny, clip, informed
from tests.models.zoo import CLASSIFIERS, FILES, GANS, MODELS, RESTORERS, build
from videxp.core.signatures import signature
from videxp.models.restoration.edvr import EDVR
from videxp.models.restoration.spynet import SPyNet
from videxp.models.summary import count_parameters, gmacs

SLOW = {True: pytest.mark.slow, False: ()}  # covered in part by another case that is not


def scales(name: str) -> tuple[int, ...]:
    if "scale" not in signature(MODELS[name].config["_target_"]).parameters:
        return (1,)
    return (2, 4) if name == "iconvsr" else (1, 2, 4)


def scaled(name: str, scale: int) -> nn.Module:
    """Tiny; told its scale where it has a choice."""
    return build_tiny(name, **({} if scales(name) == (1,) else {"scale": scale}))


@pytest.mark.parametrize("name", RESTORERS)
def test_parameters_are_the_published_ones_to_the_last(name: str):
    with torch.device("meta"):
        assert count_parameters(build(name)) == MODELS[name].published["parameters"]


@pytest.mark.slow
def test_other_published_counts():
    with torch.device("meta"):
        assert count_parameters(build("spynet")) == 1_440_300
        assert count_parameters(SPyNet(levels=5)) == 5 * 240_050  # the paper's: 1.2 M
        assert count_parameters(build("edvr_m", tsa=False)) == 2_996_259
        assert count_parameters(EDVR(channels=128, blocks=40)) == 20_633_827  # EDVR-L
        assert count_parameters(build("basicvsr_pp", channels=128, blocks=25)) == 43_780_463
        assert count_parameters(build("basicvsr", flow="none")) == 4_851_011
        assert count_parameters(build("realbasicvsr").cleaner) == 1_480_643
        assert count_parameters(build("estrnn", blocks=9)) == 1_763_387
        assert count_parameters(build("stdf_r3").fusion) == 211_677
        large = {"channels": 64, "quality_channels": 64, "quality_layers": 16}  # STDF-R3L
        assert count_parameters(build("stdf_r3", **large)) == 1_274_622


def test_each_yaml_is_a_classifier_or_not_as_its_constructor_takes_classes():
    targets = {name: OmegaConf.load(path)["_target_"] for name, path in FILES.items()}
    assert len(targets) > 30
    classifiers = {name for name, target in targets.items() if "num_classes" in signature(target).parameters}
    detectors = {name for name in classifiers if targets[name].startswith("videxp.models.detection.")}
    others = {*GANS, *detectors}  # a GAN's classes are what it can be asked for, a detector's those of boxes
    assert classifiers - others == set(CLASSIFIERS)
    assert {*RESTORERS, "spynet"} <= targets.keys() - classifiers


@pytest.mark.parametrize("name", [*RESTORERS, "spynet"])
def test_a_yaml_says_in_its_first_line_what_it_is(name: str):
    comment = FILES[name].read_text().splitlines()[0]
    assert comment.startswith("# ") and comment.endswith("params") and len(comment) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("name", RESTORERS)
def test_any_number_of_frames_and_any_size_come_out_scaled(name: str):
    for scale in scales(name):
        net = scaled(name, scale)
        assert net.scale == scale
        for frames, height, width in [(1, 17, 23), (2, 5, 6), (3, 1, 1)][: None if scale == 4 else 1]:
            with torch.no_grad():
                output = net(clip(2, frames, 3, height, width))
            assert output.shape == (2, frames, 3, scale * height, scale * width)
            assert output.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", RESTORERS)
def test_an_output_depends_on_the_frames_within_the_radius_and_no_others(name: str):
    net, video = build_tiny(name).double(), clip(1, 7, 3, 6, 7).double()
    for changed in (0, 3):
        other = video.clone()
        other[:, changed] += 0.2 * torch.rand_like(other[:, changed])
        with torch.no_grad():
            change = (net(other) - net(video)).abs().amax(dim=(0, 2, 3, 4))
        reached = [i for i in range(7) if change[i] > 0]
        past, future = (7, getattr(net, "future", 7)) if net.radius is None else (net.radius, net.radius)
        assert reached == [i for i in range(7) if -future <= i - changed <= past]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_gradient_reaches_every_parameter(name: str):
    for scale in {scales(name)[0], scales(name)[-1]}:
        net = scaled(name, scale).train()
        (net(clip(1, 3, 3, 16, 16)) * torch.randn(16 * scale, 16 * scale)).sum().backward()
        assert [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_a_fresh_network_gives_every_parameter_a_gradient_be_it_zero(name: str):
    net = informed(build(name, **MODELS[name].tiny))  # offsets start at zero, and let no gradient through
    net(clip(1, 2, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())  # or DDP would wait for it


@pytest.mark.slow
@pytest.mark.parametrize("name", RESTORERS)
def test_a_clip_gets_the_same_alone_as_in_a_batch_and_from_channels_last_memory(name: str):
    net, video = build_tiny(name), clip(3, 3, 3, 8, 12)
    view = video.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    assert not view.is_contiguous()
    with torch.no_grad():
        output = net(video)
        torch.testing.assert_close(net(video[1:2]), output[1:2], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(net(view), output, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", TRAINABLE)
def test_saved_weights_come_back(name: str, tmp_path: Path):
    net = build_tiny(name)
    torch.save({"state_dict": {f"network.{key}": value for key, value in net.state_dict().items()}}, tmp_path / "a.pt")
    again = build_tiny(name, weights=str(tmp_path / "a.pt")).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in net.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW[name != "basicvsr_pp"]) for name in RESTORERS])
def test_the_cost_is_counted_on_the_meta_device(name: str):
    assert (gmacs(build_tiny(name), num_frames=2, size=9) > 0) == (name in TRAINABLE)


@pytest.mark.parametrize("name", RESTORERS)
def test_it_runs_in_mixed_precision(name: str):
    net, video = build_tiny(name), clip(1, 3, 3, 8, 8)
    with torch.no_grad():
        expected = net(video)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(net(video).float(), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("name", ["basicvsr", "realbasicvsr", "iconvsr", "basicvsr_pp"])
def test_all_that_estimates_flow_lies_under_flow_and_can_be_left_out(name: str, tmp_path: Path):
    with_flow, without = build_tiny(name), build_tiny(name, flow="none")
    named = {key for key, _ in with_flow.named_parameters()} - {key for key, _ in without.named_parameters()}
    assert named and all(key.startswith("flow.") for key in named)
    assert isinstance(with_flow.flow, SPyNet) and without.flow is None
    torch.save(with_flow.flow.state_dict(), tmp_path / "flow.pt")
    torch.manual_seed(5)
    loaded = build(name, **{"flow_weights": str(tmp_path / "flow.pt"), "flow_levels": 2, "flow_width": 8}).flow
    assert torch.equal(loaded.levels[0][0].weight, with_flow.flow.levels[0][0].weight)


def test_a_number_of_groups_that_does_not_divide_the_channels_is_refused_with_both():
    with pytest.raises(ValueError, match=r"deform_groups=8 doesn't divide 12 channels"):
        EDVR(channels=12)


def test_every_knob_has_a_limit_or_a_choice_of_values():
    for name in [*RESTORERS, "spynet"]:
        constructor: type[nn.Module] = type(build_tiny(name)) if name != "spynet" else SPyNet
        for parameter in list(inspect.signature(constructor).parameters.values()):
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
            assert parameter.annotation not in (int, float), f"{name}: {parameter.name}"
