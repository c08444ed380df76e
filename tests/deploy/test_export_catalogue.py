"""Networks of every kind as graphs: shrunk, exported, run by onnxruntime at other sizes, compared with torch.

Legend of axes: B clips, T frames, H, W pixels.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from tests.models import gans, restorers, zoo
from tests.models.zoo import CLASSIFIERS, DETECTORS, GANS, MODELS, RESTORERS, SCENES
from videxp.deploy.exporting.writing import OPSET, is_fixed

AXES = {"B": 0, "T": 1, "H": 3, "W": 4}
"""Of a clip [B,T,3,H,W]."""

FREE = {
    "autoshot": "BT",
    "basicvsr": "BHW",
    "basicvsr_forward": "BHW",
    "basicvsr_pp": "B",
    "bicubic": "B",
    "blended_fills": "",
    "bsvd_64": "BTHW",
    "c3d": "B",
    "cnn2d_small": "BTHW",
    "cnn3d_small": "B",
    "cnn3d_small_stream": "BTHW",
    "content_difference": "BTHW",
    "continuous_gan": "B",
    "convlstm": "BHW",
    "dncnn": "BTHW",
    "edvr_m": "BHW",
    "estrnn": "BHW",
    "exemplar_unet_gru": "BHW",
    "fastdvdnet": "BHW",
    "fastestdet": "B",
    "i3d_r50": "BTHW",
    "iconvsr": "B",
    "lab_unet_gru": "BHW",
    "lrcn": "B",
    "lut3d": "BTHW",
    "mocogan": "B",
    "movinet_a0_stream": "BT",
    "mvit_v1_b": "B",
    "mvit_v2_s": "B",
    "r2plus1d_18": "BTHW",
    "r3d_18": "BHW",
    "realbasicvsr": "BHW",
    "s3d": "BTHW",
    "slow_r50_8x8": "BHW",
    "slowfast_r50_4x16": "BHW",
    "srresnet": "BTHW",
    "stdf_r1": "BHW",
    "stdf_r3": "BHW",
    "sttn": "HW",
    "swin3d_t": "",
    "tdan": "BHW",
    "tganv2": "B",
    "timesformer_b": "B",
    "transnetv2": "BT",
    "tsm_r50": "BTHW",
    "tsm_r50_online": "BTHW",
    "tsm_timm": "BTHW",
    "tsn_r50": "BHW",
    "tsn_timm": "BTHW",
    "udvd": "BHW",
    "uniformer_s": "BT",
    "vgan": "B",
    "videomae_b": "B",
    "vivit_b": "B",
    "vjepa2_l": "BTHW",
    "x3d_xs": "BTHW",
    "zero_dce": "BTHW",
}
"""Network -> the axes that may differ from call to call: exported with them free, each was compared through onnxruntime
at another length of these, all outputs within 1e-5 of their greatest value. Here, where that would take ten minutes,
every network becomes a graph, and those of `COMPARED` are compared. "": compared at the size of the export alone, but
for swin3d_t, of which onnxruntime's answers were not."""

COMPARED = ("cnn2d_small", "cnn3d_small", "content_difference", "dncnn", "vgan")
"""One of each family, and what once failed in onnxruntime."""

NOT_TRIED = (
    "fasterrcnn_resnet50_fpn_v2",
    "retinanet_resnet50_fpn_v2",
    "ssdlite320_mobilenet_v3_large",
    "yowo_v2_nano",
    "yowo_v2_tiny",
)
"""Not known to export."""

QUICK = ("cnn2d_small", "dncnn", "vgan")


class Flat(nn.Module):
    """A network with tensors in and a tuple of tensors out; `codes` are the names of a generator's inputs."""

    def __init__(self, network: nn.Module, codes: Sequence[str] = ()) -> None:
        super().__init__()
        self.network, self.codes = network, codes

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        answer = self.network(dict(zip(self.codes, inputs))) if self.codes else self.network(*inputs)
        return tuple(answer) if isinstance(answer, tuple) else (answer,)


def network_of(name: str) -> tuple[Flat, tuple[Tensor, ...]]:
    """The shrunk network in evaluation mode, and an example of its inputs, the batch 2."""
    torch.manual_seed(0)
    if name in GANS:
        generator = gans.build_tiny(name).generator.eval()
        codes = generator.latent(gans.rngs(1, 2))
        return Flat(generator, sorted(codes)), tuple(codes[key] for key in sorted(codes))
    frames, size = MODELS[name].tiny_clip
    if name in CLASSIFIERS:
        net: nn.Module = zoo.build_tiny(name)
    elif name in RESTORERS:
        net = restorers.build_tiny(name)
        frames = 3 if getattr(net, "radius", None) is not None else 2  # a recurrent graph has all its frames unrolled
    else:
        net = zoo.build(name, **MODELS[name].tiny)
        size = getattr(net, "frame_size", None) or size
    height, width = (size, size) if isinstance(size, int) else size
    return Flat(net.eval().requires_grad_(False)), (restorers.clip(2, frames, 3, height, width),)


def resized(example: Tensor, axes: str, *, more_pixels: int) -> Tensor:
    """Another clip, longer along free axes: a clip more, twice the frames and pixels; of codes, one more."""
    if example.ndim < 5:
        return torch.cat([example.flip(0), example[:1]])
    shape = list(example.shape)
    for axis in axes:
        length = shape[AXES[axis]]
        shape[AXES[axis]] = {"B": length + 1, "T": 2 * length}.get(axis, 2 * length + more_pixels)
    return torch.rand(shape, generator=torch.Generator().manual_seed(2))


def free_axes(program: ExportedProgram, tried: str) -> str:
    """Axes of the first input that the program left free."""
    nodes = {node.name: node for node in program.graph.nodes}
    shape = nodes[program.graph_signature.user_inputs[0]].meta["val"].shape
    return "".join(axis for axis in tried if not is_fixed(shape[AXES[axis]]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMPARED]
)
@torch.no_grad()
def test_a_graph_answers_as_its_network_at_every_size_that_it_leaves_free(name: str):
    net, example = network_of(name)
    axes = FREE[name]
    free = tuple({AXES[axis]: Dim.AUTO for axis in axes} for _ in example)
    program = torch.export.export(net, example, dynamic_shapes=(free,))
    assert free_axes(program, axes) == axes
    model = torch.onnx.export(program, example, dynamo=True, opset_version=OPSET, verbose=False)
    assert model is not None
    session = onnxruntime.InferenceSession(model.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    more_pixels = 2 if name in RESTORERS else 0  # to no multiple of what they divide by
    other = tuple(resized(one, axes, more_pixels=more_pixels) for one in example)
    answers = session.run(None, {port.name: one.numpy() for port, one in zip(session.get_inputs(), other, strict=True)})
    for answer, expected in zip(answers, net(*other), strict=True):
        assert expected.std() > 0
        assert np.abs(answer - expected.numpy()).max() < 1e-5 * float(expected.abs().max())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The tensor attributes self.network.lstm._flat_weights")  # torch's own list of them
@pytest.mark.parametrize("name", [name for name in FREE if name not in COMPARED])
@torch.no_grad()
def test_every_network_is_a_graph(name: str):
    """Which asks nothing of what is in its tensors."""
    net, example = network_of(name)
    nodes = torch.export.export(net, example).graph.nodes
    assert any(node.op == "call_function" for node in nodes)


def test_of_every_network_it_is_said_which_axes_are_free():
    every = {*CLASSIFIERS, *RESTORERS, *GANS, *SCENES, *DETECTORS}
    said = {*FREE, *NOT_TRIED}
    assert {name for name in every if not MODELS[name].twin} <= said <= every and not {*FREE} & {*NOT_TRIED}
    assert {*COMPARED} <= FREE.keys()
