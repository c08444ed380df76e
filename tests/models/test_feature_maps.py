"""What each classifier says of the places of its features and tokens: a wrong order of axes draws plausible maps."""

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.zoo import CLASSIFIERS, MODELS, OPTIONAL, build_tiny, cases
from videxp.core.token_layout import FeatureMap, feature_map_of, grid_of, pack_like, read_axes, unpack
from videxp.evaluation.explaining.maps import features_tapped

FRAMES, SIZE = 16, 96
THIRD = {0: slice(0, 6), 1: slice(5, 11), 2: slice(10, 16)}  # of the frames
PLACE = (2, 0, 1)  # thirds of time, height and width: no two axes alike


def build(name: str, **arguments: Any) -> nn.Module:
    """The shrunk network, for clips that are large enough to tell places apart."""
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    known = {**MODELS[name].config, **MODELS[name].tiny}
    shape = {key: value for key, value in (("num_frames", FRAMES), ("size", SIZE)) if key in known}
    torch.manual_seed(0)
    return build_tiny(name, **shape, **arguments).eval()


def features(net: Any, video: Tensor, where: FeatureMap) -> Tensor:
    """[D,t,h,w] at the declared feature map."""
    seen: list[Tensor] = []
    with torch.no_grad(), features_tapped(net, where, clip_THW=(FRAMES, SIZE, SIZE)) as tap:
        tap.register_forward_hook(lambda _, __, output: seen.append(output))
        net(video)
    (found,) = seen
    return found[0]


def peaks_follow(net: Any, *, where: Callable[[Any], FeatureMap | None] = feature_map_of) -> bool:
    """Whether a change in one place of a clip is largest in that place of the feature map that `where` tells, along
    each axis that is long enough to tell."""
    declared = where(net)
    assert declared is not None
    generator = torch.Generator().manual_seed(1)
    clip = 0.3 * torch.randn(1, FRAMES, 3, SIZE, SIZE, generator=generator)
    before = features(net, clip, declared)
    changed = clip.clone()
    rows, columns = (slice(third * SIZE // 3, (third + 1) * SIZE // 3) for third in PLACE[1:])
    part = changed[:, THIRD[PLACE[0]], :, rows, columns]
    part.copy_(2 * torch.randn(part.shape, generator=generator))
    change_THW = (features(net, changed, declared) - before).abs().sum(0)
    for axis, third in enumerate(PLACE):
        of_axis = change_THW.sum([other for other in range(3) if other != axis])
        peak = (int(of_axis.argmax()) + 0.5) / len(of_axis)
        if len(of_axis) > 2 and not third / 3 - 0.17 <= peak <= (third + 1) / 3 + 0.17:
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(name for name in CLASSIFIERS if not MODELS[name].twin))
def test_the_declared_feature_map_is_where_the_network_says(name: str):
    assert peaks_follow(build(name))


@pytest.mark.slow
def test_tokens_taken_in_another_order_do_not_follow():
    pytest.importorskip("transformers")
    net: Any = build("timesformer_b", attention="joint_space_time")
    assert net.feature_map.axes == "b (1 h w t) d" and peaks_follow(net)
    net.feature_map = replace(net.feature_map, axes="b (1 t h w) d")  # of the same shape
    assert not peaks_follow(net)


def test_axes_are_unpacked_and_packed_again():
    grid = grid_of((8, 32, 48), (2, 16, 16))
    assert grid == {"t": 4, "h": 2, "w": 3}
    features = torch.randn(2, 5, 4, 2, 3)
    for axes, names in (
        ("b d t h w", "bdthw"),
        ("(b t) d h w", "btdhw"),
        ("b t h w d", "bthwd"),
        ("b (t h w) d", "bthwd"),
        ("b (1 h w t) d", "bhwtd"),
        ("(b t) (1 h w) d", "bthwd"),
    ):
        lengths = dict(zip("bdthw", features.shape))
        ordered = features.permute(["bdthw".index(name) for name in names])
        groups = [[name for name in group if name != "1"] for group in read_axes(axes)]
        packed = ordered.reshape([prod(lengths[name] for name in group) for group in groups])
        if "1" in axes:
            packed = torch.cat([torch.randn_like(packed[:, :1]), packed], dim=1)
        assert torch.equal(unpack(packed, axes, grid), features)
        assert torch.equal(pack_like(features, packed, axes), packed)
    with pytest.raises(ValueError, match="7 places along axis 1"):
        unpack(torch.randn(2, 7, 5), "b (t h w) d", grid)
    for wrong in ("t b d", "b (t h) (w t) d", "b x", ""):
        with pytest.raises(ValueError, match="no layout of axes"):
            read_axes(wrong)
