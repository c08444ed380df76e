"""Public checkpoints of classifiers load: every tensor under its name here, none left over, none missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models import classifier_names as public
from tests.models.public_names import Shapes
from tests.models.zoo import build
from videxp.models.classification.movinet import MOVINET_NAMES
from videxp.models.classification.tsn import RESNET_NAMES, TSM, TSN
from videxp.models.weights import Renames, load_weights, renamed

CASES: dict[str, tuple[str, Callable[[], Shapes], Renames]] = {
    "pytorchvideo slow": ("slow_r50_8x8", public.slow, ()),
    "pytorchvideo slowfast 4x16": ("slowfast_r50_4x16", lambda: public.slowfast(5), ()),
    "pytorchvideo slowfast 8x8": ("slowfast_r50_8x8", lambda: public.slowfast(7), ()),
    "pytorchvideo x3d": ("x3d_m", public.x3d, ()),
    "UniFormer": ("uniformer_s", public.uniformer, ()),
    "mmaction2 tsm": ("tsm_r50", lambda: public.tsm("mmaction2"), RESNET_NAMES),
    "mmaction2 tsn": ("tsn_r50", lambda: public.tsm("mmaction2", shifted=False), RESNET_NAMES),
    "MoViNet-pytorch": ("movinet_a0_stream", public.movinet_a0, MOVINET_NAMES),
    "TSM's authors": ("tsm_r50", lambda: public.tsm("authors"), RESNET_NAMES),
}


def shapes_of(tensors: dict[str, Any]) -> Shapes:
    return {key: tuple(value.shape) for key, value in tensors.items()}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_names_and_shapes_of_a_public_checkpoint_become_ours(case: str):
    name, names, renames = CASES[case]
    with torch.device("meta"):
        net = build(name)
        state = {key: torch.empty(shape) for key, shape in names().items()}
    ours = shapes_of(net.state_dict())
    if renames:
        assert ours.keys() != state.keys()  # without renaming nothing would load
    assert shapes_of(renamed(state, renames)) == ours


@pytest.mark.parametrize("style", ["mmaction2", "authors"])
def test_each_tensor_of_a_tsm_lands_where_it_belongs(style: str):
    shapes = {key: shape[:1] and (1,) * len(shape) for key, shape in public.tsm(style).items()}
    state = {key: torch.full(shape, float(i)) for i, (key, shape) in enumerate(shapes.items())}
    before, head = ("module.base_model.", "module.new_fc") if style == "authors" else ("backbone.", "cls_head.fc_cls")
    conv1, bn3 = ("conv1.net", "bn3") if style == "authors" else ("conv1.conv.net", "conv3.bn")
    found = renamed(state, RESNET_NAMES)
    assert torch.equal(found["layer3.5.conv1.weight"], state[f"{before}layer3.5.{conv1}.weight"])
    assert torch.equal(found["layer2.0.bn3.running_var"], state[f"{before}layer2.0.{bn3}.running_var"])
    assert torch.equal(found["fc.bias"], state[f"{head}.bias"])
    assert len(found) == len(state)


def test_torchvisions_names_stay_as_they_are():
    with torch.device("meta"):
        state = build("tsn_r50").state_dict()
    assert renamed(state, RESNET_NAMES).keys() == state.keys()


def test_a_checkpoint_of_mmaction2_with_other_classes_loads_all_but_its_classifier(tmp_path: Path):
    narrow = {"num_classes": 3, "dropout": 0.0, "width_per_group": 1, "depths": (1, 1, 1, 1)}
    source, target = TSM(**{**narrow, "num_classes": 4}), TSN(**narrow)
    theirs = {}
    for key, value in source.state_dict().items():
        name = key.replace("downsample.0", "downsample.conv").replace("downsample.1", "downsample.bn")
        for n in "123":
            name = name.replace(f"bn{n}.", f"conv{n}.bn.")
            name = name.replace(f"conv{n}.weight", f"conv{n}.conv.weight")
        theirs["cls_head.fc_cls." + key[3:] if key.startswith("fc.") else f"backbone.{name}"] = value
    torch.save({"state_dict": theirs, "meta": {"epoch": 50}}, tmp_path / "tsm.pth")
    load_weights(target, str(tmp_path / "tsm.pth"), head="fc", renames=RESNET_NAMES)
    loaded = target.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in source.state_dict().items() if key[:3] != "fc.")
