"""Layer-wise learning-rate decay: a ViT's layers as BEiT numbers them, and those of any other network."""

import re

import pytest
import torch
from torch import nn

from tests.models.zoo import build, build_tiny
from videxp.models.classification.small import SmallCNN3D
from videxp.tasks import Classification
from videxp.tasks.base import parameter_groups
from videxp.tasks.layer_decay import parameter_layers, with_layer_decay
from videxp.tasks.schedules import Cosine


def layers(network: nn.Module) -> dict[str, int]:
    number = parameter_layers(network)
    return {name: number[id(parameter)] for name, parameter in network.named_parameters()}


def beit(name: str, *, depth: int) -> int:
    """A ViT's layers by the paper's rule: embeddings 0, block i at i + 1, norm and head on top."""
    if re.search(r"embed|cls_token", name):
        return 0
    block = re.search(r"(?:blocks|layer)\.(\d+)\.", name)
    return int(block[1]) + 1 if block else depth + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timesformer_b", "videomae_b"])
def test_a_vits_layers_are_numbered_as_beits(name):
    pytest.importorskip("transformers")
    found = layers(build_tiny(name, depth=3))
    assert found == {parameter: beit(parameter, depth=3) for parameter in found}
    assert max(found.values()) == 4


def test_the_two_encoders_of_a_vivit_follow_each_other():
    found = layers(build_tiny("vivit_b", space_depth=2, time_depth=2))
    first = {name: found[name] for name in ("embed.weight", "space.cls_token", "space.pos_embed")}
    assert set(first.values()) == {0}
    blocks = [found[f"{part}.blocks.{i}.attn.qkv.weight"] for part in ("space", "time") for i in range(2)]
    assert blocks == [1, 2, 3, 4]
    assert found["time.cls_token"] == 3  # what lies between goes with the later block
    assert found["time.norm.weight"] == found["head.weight"] == 5


# (layers in all, some parameters and their layers), from the papers' tables: a stem, 8 or 16 residual blocks, a head.
NETWORKS = {
    "r3d_18": (10, {"stem.0.weight": 0, "stem.1.weight": 0, "layer1.1.conv2.0.weight": 2, "fc.weight": 9}),
    "tsm_r50": (18, {"bn1.weight": 0, "layer1.2.conv3.weight": 3, "layer2.0.conv1.weight": 4, "fc.bias": 17}),
    "swin3d_t": (17, {"patch_embed.proj.weight": 0, "features.1.reduction.weight": 3, "head.weight": 16}),
    "x3d_s": (28, {"blocks.0.norm.weight": 0, "blocks.5.proj.weight": 27}),
    "slowfast_r50_4x16": (6, {"blocks.4.multipathway_blocks.1.res_blocks.2.branch2.conv_c.weight": 4}),
    "uniformer_s": (20, {"patch_embed1.proj.weight": 0, "blocks1.0.attn.weight": 1, "head.weight": 19}),
    "c3d": (11, {"conv1a.weight": 0, "conv1a.bias": 0, "conv3b.weight": 3, "fc8.bias": 10}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_of_other_networks_are_their_blocks(name):
    count, known = NETWORKS[name]
    with torch.device("meta"):
        found = layers(build(name))
    assert set(found.values()) == set(range(count))
    assert {parameter: found[parameter] for parameter in known} == known
    assert list(found.values()) == sorted(found.values())  # registered in the order of their use


def task(**options) -> Classification:
    return Classification(
        network=SmallCNN3D(num_classes=2, width=4),
        optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1),
        scheduler=Cosine(),
        classes=["left", "right"],
        monitor="val/accuracy",
        **options,
    )


def test_the_learning_rate_falls_by_the_factor_from_layer_to_layer_and_decay_stays_apart():
    one = task(layer_decay=0.5)
    groups = one.parameter_groups()
    rate = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    by_name = {name: rate[id(p)] for name, p in one.network.named_parameters()}
    assert by_name["head.weight"] == by_name["head.bias"] == 1.0
    assert by_name["features.conv2.0.weight"] == by_name["features.conv2.1.bias"] == 0.5
    assert by_name["features.stem.0.weight"] == 0.5**5
    assert groups[0]["lr_scale"] == 1.0  # the one whose learning rate is logged
    for group in groups:
        assert {p.ndim > 1 for p in group["params"]} == {"weight_decay" not in group}


def test_a_step_is_as_long_as_the_learning_rate_of_its_layer_and_stock_steps_are_alike():
    def steps(groups_of) -> dict[str, float]:
        network = SmallCNN3D(num_classes=2, width=4)
        groups = groups_of(parameter_groups(network, decay_norms_and_biases=False), network)
        optimizer = torch.optim.SGD(groups, lr=0.1)
        for group in optimizer.param_groups:
            group["lr"] *= group.pop("lr_scale", 1.0)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        after = dict(network.named_parameters())
        names = ("features.stem.0.weight", "features.conv2.0.weight", "head.weight")
        return {name: round(float((before[name] - after[name].detach()).mean()), 6) for name in names}

    assert set(steps(lambda groups, network: groups).values()) == {0.1}
    decayed = steps(lambda groups, network: with_layer_decay(groups, network, layer_decay=0.5))
    assert list(decayed.values()) == [0.003125, 0.05, 0.1]


def test_it_goes_with_freezing():
    one = task(layer_decay=0.5, trained=["head", r"features\.(down2|conv2)"])
    scales = [group["lr_scale"] for group in one.parameter_groups()]
    assert scales == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
