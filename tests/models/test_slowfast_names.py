"""PySlowFast's and mmaction2's checkpoints of SlowFast, Slow-only and X3D load, and compute what they did."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models import slowfast_names as public
from tests.models.public_names import Shapes
from tests.models.zoo import build, build_tiny
from videxp.core.errors import BadRequest
from videxp.models.classification.slowfast import slow_frames
from videxp.models.classification.slowfast_names import SLOW_NAMES, SLOWFAST_NAMES, X3D_NAMES, x3d_as_pytorchvideos
from videxp.models.weights import Renames, renamed

STYLES = ("pyslowfast", "mmaction2")
CASES: dict[str, tuple[str, Callable[[str], Shapes], Renames]] = {
    "slow": ("slow_r50_8x8", public.slow, SLOW_NAMES),
    "slowfast 4x16": ("slowfast_r50_4x16", lambda style: public.slowfast(style, fusion_kernel=5), SLOWFAST_NAMES),
    "slowfast 8x8": ("slowfast_r50_8x8", lambda style: public.slowfast(style, fusion_kernel=7), SLOWFAST_NAMES),
    "x3d": ("x3d_m", public.x3d, X3D_NAMES),
}


@cache
def our_shapes(name: str, style: str) -> Shapes:
    with torch.device("meta"):
        variant = {"variant": "mmaction2"} if style == "mmaction2" and name.startswith("slowfast") else {}
        return {key: tuple(value.shape) for key, value in build(name, **variant).state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("case", CASES)
def test_the_names_and_shapes_of_a_public_checkpoint_become_ours(case: str, style: str):
    name, names, renames = CASES[case]
    ours = our_shapes(name, style)
    state = {key: torch.empty(shape, device="meta") for key, shape in names(style).items()}
    assert ours.keys().isdisjoint(state)  # without renaming nothing would load
    found = renamed(state, renames)
    assert len(found) == len(state)
    found = x3d_as_pytorchvideos(found) if case == "x3d" else found
    assert {key: value.shape for key, value in found.items()} == ours


PLACES = {  # in PySlowFast, in mmaction2, here
    "slow": [
        ("s1.pathway0_stem.bn.running_mean", "backbone.conv1.bn.running_mean", "blocks.0.norm.running_mean"),
        ("s2.pathway0_res0.branch1.weight", "backbone.layer1.0.downsample.conv.weight",
         "blocks.1.res_blocks.0.branch1_conv.weight"),
        ("s5.pathway0_res2.branch2.b_bn.weight", "backbone.layer4.2.conv2.bn.weight",
         "blocks.4.res_blocks.2.branch2.norm_b.weight"),
        ("head.projection.bias", "cls_head.fc_cls.bias", "blocks.5.proj.bias"),
    ],
    "slowfast 4x16": [
        ("s1.pathway1_stem.conv.weight", "backbone.fast_path.conv1.conv.weight",
         "blocks.0.multipathway_blocks.1.conv.weight"),
        ("s1_fuse.conv_f2s.weight", "backbone.slow_path.conv1_lateral.conv.weight",
         "blocks.0.multipathway_fusion.conv_fast_to_slow.weight"),
        ("s4_fuse.conv_f2s.weight", "backbone.slow_path.layer3_lateral.conv.weight",
         "blocks.3.multipathway_fusion.conv_fast_to_slow.weight"),
        ("s4.pathway0_res5.branch2.c.weight", "backbone.slow_path.layer3.5.conv3.conv.weight",
         "blocks.3.multipathway_blocks.0.res_blocks.5.branch2.conv_c.weight"),
        ("s3.pathway1_res0.branch1_bn.bias", "backbone.fast_path.layer2.0.downsample.bn.bias",
         "blocks.2.multipathway_blocks.1.res_blocks.0.branch1_norm.bias"),
        ("head.projection.weight", "cls_head.fc_cls.weight", "blocks.6.proj.weight"),
    ],
    "x3d": [
        ("s1.pathway0_stem.conv_xy.weight", "backbone.conv1_s.conv.weight", "blocks.0.conv.conv_t.weight"),
        ("s1.pathway0_stem.conv.weight", "backbone.conv1_t.conv.weight", "blocks.0.conv.conv_xy.weight"),
        ("s4.pathway0_res10.branch2.se.fc2.bias", "backbone.layer3.10.se_module.fc2.bias",
         "blocks.3.res_blocks.10.branch2.norm_b.1.block.2.bias"),
        ("s4.pathway0_res9.branch2.b_bn.bias", "backbone.layer3.9.conv2.bn.bias",
         "blocks.3.res_blocks.9.branch2.norm_b.0.bias"),
        ("head.conv_5_bn.weight", "backbone.conv5.bn.weight", "blocks.5.pool.pre_norm.weight"),
        ("head.lin_5.weight", "cls_head.fc1.weight", "blocks.5.pool.post_conv.weight"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("case", PLACES)
def test_each_tensor_lands_where_it_belongs(case: str, style: str):
    _, names, renames = CASES[case]
    state = {key: torch.full((1,) * len(shape), float(i)) for i, (key, shape) in enumerate(names(style).items())}
    found = renamed(state, renames)
    for theirs, mmaction2s, ours in PLACES[case]:
        assert torch.equal(found[ours], state[theirs if style == "pyslowfast" else mmaction2s]), ours


@pytest.mark.slow
def test_pytorchvideos_names_stay_as_they_are():
    for name, _, renames in CASES.values():
        state = dict.fromkeys(our_shapes(name, "pyslowfast"), torch.empty(0))
        assert renamed(state, renames).keys() == state.keys()


def randomised(net: nn.Module) -> nn.Module:
    """In evaluation, with norms that do something."""
    generator = torch.Generator().manual_seed(0)
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5 if "norm" in key or "proj" in key else value)
    return net.eval()


def mmaction2s_x3d(net: Any) -> dict[str, Tensor]:
    """The tensors of a tiny X3D under mmaction2's names."""
    letters = {"a": "1", "b": "2", "c": "3"}
    state = {}
    for key, value in net.state_dict().items():
        name = key
        for stage in range(1, 5):
            name = name.replace(f"blocks.{stage}.res_blocks.", f"backbone.layer{stage}.")
        for letter, n in letters.items():
            name = name.replace(f".branch2.conv_{letter}.", f".conv{n}.conv.")
            for norm in (f".branch2.norm_{letter}.0.", f".branch2.norm_{letter}."):
                name = name.replace(norm, f".conv{n}.bn.") if ".1.block." not in name else name
        pairs = {"branch2.norm_b.1.block.0.": "se_module.fc1.", "branch2.norm_b.1.block.2.": "se_module.fc2."}
        pairs |= {"branch1_conv.": "downsample.conv.", "branch1_norm.": "downsample.bn."}
        pairs |= {"blocks.0.conv.conv_t.": "backbone.conv1_s.conv.", "blocks.0.conv.conv_xy.": "backbone.conv1_t.conv."}
        pairs |= {"blocks.0.norm.": "backbone.conv1_t.bn.", "blocks.5.proj.": "cls_head.fc2."}
        pairs |= {"blocks.5.pool.pre_conv.": "backbone.conv5.conv.", "blocks.5.pool.pre_norm.": "backbone.conv5.bn."}
        pairs |= {"blocks.5.pool.post_conv.": "cls_head.fc1."}
        for ours, theirs in pairs.items():
            name = name.replace(ours, theirs)
        state[name] = value.flatten(1) if name == "cls_head.fc1.weight" else value
    return state


def test_an_x3d_of_mmaction2_computes_the_same_here_though_it_has_a_norm_more(tmp_path: Path):
    theirs: Any = build_tiny("x3d_s")
    block = theirs.blocks[1].res_blocks[0]
    block.branch1_norm = nn.BatchNorm3d(block.branch1_conv.out_channels)  # as PySlowFast and mmaction2 have it
    randomised(theirs)
    torch.save({"state_dict": mmaction2s_x3d(theirs), "meta": {"epoch": 1}}, tmp_path / "x3d.pth")
    video = torch.rand(2, 4, 3, 32, 32)
    with torch.no_grad():
        expected = theirs(video)
        ours = build_tiny("x3d_s", weights=str(tmp_path / "x3d.pth")).eval()(video)
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
        del block.branch1_norm  # the negative control: without it the answer is another
        assert not torch.allclose(theirs(video), expected, rtol=1e-3)


def test_mmaction2s_slowfast_is_another_network_and_is_refused_by_the_papers(tmp_path: Path):
    for alpha in (4, 8):
        video = torch.arange(32.0).reshape(1, 1, 32, 1, 1)
        theirs = nn.functional.interpolate(video, mode="nearest", scale_factor=(1 / alpha, 1, 1)).flatten().tolist()
        assert slow_frames(32, alpha=alpha, variant="mmaction2") == theirs
        assert slow_frames(32, alpha=alpha) != theirs
    net: Any = build_tiny("slowfast_r50_8x8", variant="mmaction2").eval()
    *stages, _, head = net.blocks
    clip = torch.rand(2, 3, 8, 32, 32)
    with torch.no_grad():
        slow, fast = clip[:, :, ::4], clip
        for stage in stages:
            slow, fast = (path(x) for path, x in zip(stage.multipathway_blocks, (slow, fast)))
            if stage.multipathway_fusion is not None:
                slow = torch.cat([slow, stage.multipathway_fusion.conv_fast_to_slow(fast)], dim=1)
        features = torch.cat([x.mean(dim=(2, 3, 4)) for x in (fast, slow)], dim=1)
        torch.testing.assert_close(net(clip.transpose(1, 2)), head.proj(features))
    torch.save({"state_dict": net.state_dict()}, tmp_path / "a.pth")
    with pytest.raises(BadRequest, match=r"multipathway_fusion\.norm\.weight is missing"):
        build_tiny("slowfast_r50_8x8", weights=str(tmp_path / "a.pth"))
