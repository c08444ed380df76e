"""Public checkpoints load: every tensor under its name here, none left over, none missing."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models import public_names as public
from tests.models.public_names import Shapes
from tests.models.zoo import MODELS, build
from videxp.core.errors import BadRequest
from videxp.models.restoration.basicvsr import BASICVSR_NAMES, RECURRENT_NAMES, BasicVSR
from videxp.models.restoration.edvr import EDVR, EDVR_NAMES
from videxp.models.restoration.iconvsr import ICONVSR_NAMES
from videxp.models.restoration.spynet import SPYNET_NAMES, SPyNet
from videxp.models.restoration.srresnet import HEAD_NAMES
from videxp.models.weights import Renames, renamed

STYLES = ("basicsr", "mmagic")
FAMILIES: dict[str, tuple[Callable[[str, int, int], Shapes], int, Renames]] = {
    "edvr_m": (public.edvr, 10, EDVR_NAMES),
    "basicvsr": (public.basicvsr, 30, BASICVSR_NAMES),
    "iconvsr": (public.iconvsr, 30, ICONVSR_NAMES),
    "basicvsr_pp": (public.basicvsr_pp, 7, RECURRENT_NAMES),
}
CASES = [
    pytest.param(name, style, marks=pytest.mark.slow if name == "iconvsr" else ())  # made of the other two
    for name in FAMILIES
    for style in STYLES
]


def filled(shapes: Shapes, **where: Any) -> dict[str, torch.Tensor]:
    """Tensors whose values tell from which one they are."""
    return {name: torch.full(shape, float(i), **where) for i, (name, shape) in enumerate(shapes.items())}


def check(shapes: Shapes, renames: Renames, net: torch.nn.Module) -> None:
    ours = {key: tuple(value.shape) for key, value in renamed(filled(shapes, device="meta"), renames).items()}
    assert ours == {key: tuple(value.shape) for key, value in net.state_dict().items()}


@pytest.mark.parametrize(("name", "style"), CASES)
def test_the_names_and_shapes_of_a_public_checkpoint_become_ours(name: str, style: str):
    names, blocks, renames = FAMILIES[name]
    shapes = names(style, 64, blocks)
    with torch.device("meta"):
        net = build(name)
    counted = sum(prod(shape) for key, shape in shapes.items() if not key.endswith((".mean", ".std")))
    assert counted == MODELS[name].published["parameters"]  # the list is whole
    assert shapes.keys() != net.state_dict().keys()  # without renaming nothing would load
    check(shapes, renames, net)


@pytest.mark.parametrize("style", STYLES)
def test_so_do_those_of_spynet_with_and_without_its_constants(style: str):
    for file in (True, False):
        check(public.spynet(style, file=file), SPYNET_NAMES, SPyNet())


def test_so_do_those_of_realbasicvsr_and_srresnet():
    with torch.device("meta"):
        check(public.realbasicvsr("mmagic", 64, 20), BASICVSR_NAMES, build("realbasicvsr"))
        srresnet = public.conv("conv_first", 64, 3) | public.chain("body", 64, 16) | public.head("basicsr", 64)
        check(srresnet, HEAD_NAMES, build("srresnet"))


@pytest.mark.parametrize("style", STYLES)
def test_each_tensor_lands_where_it_belongs(style: str, tmp_path: Path):
    state = filled(public.basicvsr(style, 8, 1))
    torch.save({"params": state} if style == "basicsr" else {"state_dict": state}, tmp_path / "a.pth")
    net = BasicVSR(channels=8, blocks=1, weights=str(tmp_path / "a.pth"))
    first, second, last = {
        "basicsr": ("0.basic_module.0", "0.basic_module.2", "5.basic_module.8"),
        "mmagic": ("0.basic_module.0.conv", "0.basic_module.1.conv", "5.basic_module.4.conv"),
    }[style]
    trunk, upconv = {"basicsr": ("trunk", "upconv1"), "mmagic": ("resblocks", "upsample1.upsample_conv")}[style]
    assert net.flow is not None
    pairs = {
        f"spynet.basic_module.{first}.weight": net.flow.levels[0][0].weight,  # the coarsest
        f"spynet.basic_module.{second}.weight": net.flow.levels[0][2].weight,
        f"spynet.basic_module.{last}.bias": net.flow.levels[5][8].bias,
        f"backward_{trunk}.main.0.weight": net.backward_trunk[0].weight,
        f"forward_{trunk}.main.2.0.conv2.bias": net.forward_trunk[2][0].conv2.bias,
        f"{upconv}.weight": net.head.upconv1.weight,
        "conv_last.bias": net.head.conv_last.bias,
    }
    for name, parameter in pairs.items():
        assert torch.equal(parameter, state[name]), name


def test_an_average_of_the_weights_is_taken_before_the_weights(tmp_path: Path):
    state = filled(public.realbasicvsr("mmagic", 4, 1))
    both = {f"generator.{key}": torch.zeros_like(value) for key, value in state.items()}
    both |= {f"generator_ema.{key}": value for key, value in state.items()}
    both |= {"step_counter": torch.zeros(1), "discriminator.conv_0.weight": torch.zeros(4, 3, 3, 3)}
    torch.save({"meta": {"epoch": 1}, "state_dict": both}, tmp_path / "a.pth")
    net = BasicVSR(channels=4, blocks=1, cleaning_blocks=1, weights=str(tmp_path / "a.pth"))
    assert net.cleaner is not None
    assert torch.equal(net.cleaner[1].bias, state["image_cleaning.1.bias"])
    torch.save({"params": both, "params_ema": state}, tmp_path / "b.pth")
    net = BasicVSR(channels=4, blocks=1, cleaning_blocks=1, weights=str(tmp_path / "b.pth"))
    assert torch.equal(net.fusion.bias, state["basicvsr.fusion.bias"])


def test_a_checkpoint_of_another_width_is_refused_in_one_sentence(tmp_path: Path):
    torch.save({"params": filled(public.edvr("basicsr", 16, 1))}, tmp_path / "a.pth")
    with pytest.raises(BadRequest, match=r"doesn't fit EDVR: .* has shape \[16, 3, 3, 3\], not \[8, 3, 3, 3\]"):
        EDVR(channels=8, blocks=1, weights=str(tmp_path / "a.pth"))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [("estrnn", public.estrnn(16, 15)), ("stdf_r3", public.stdf(7)), ("stdf_r1", public.stdf(3))],
    ids=["estrnn", "stdf_r3", "stdf_r1"],
)
def test_the_files_of_one_project_load_whole(name: str, shapes: Shapes, tmp_path: Path):
    torch.save({"state_dict": filled(shapes)}, tmp_path / "a.pth")
    assert sum(prod(shape) for shape in shapes.values()) == MODELS[name].published["parameters"]
    net = build(name, weights=str(tmp_path / "a.pth"))
    given = [(float(i), shape) for i, shape in enumerate(shapes.values())]
    assert sorted((float(p.flatten()[0]), tuple(p.shape)) for p in net.state_dict().values()) == given
    places = {
        "estrnn": ("cell.F_B2.rdb.dense_layers.1.conv.bias", lambda net: net.cell.encoder[3].layers[1].bias),
        "stdf_r3": ("ffnet.up_conv2.2.bias", lambda net: net.fusion.up[1][2].bias),
        "stdf_r1": ("qenet.hid_conv.4.weight", lambda net: net.enhance[6].weight),
    }
    key, parameter = places[name]
    assert parameter(net).unique().tolist() == [list(shapes).index(f"module.{key}")]
