"""Every classifier of conf/model/ with the figures to check against and a shrunk version that runs in milliseconds.

Sources: "tv" torchvision's weights meta data; "zoo" the model zoos of SlowFast and pytorchvideo; "mm" mmaction2's
READMEs; "paper" the paper itself; "hand" counted by hand from the layers (shown beside); "own" our own network.
Counts are with 400 classes. GMACs are for one clip of T frames of size x size.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from torch import nn

ONES = (1, 1, 1, 1)


@dataclass(frozen=True)
class Entry:
    """One line of the table; `tiny` are the arguments of the shrunk version, `clip` its frames and size."""

    module: str
    parameters: int
    source: str
    gmacs: float
    published: tuple[int, int]
    clip: tuple[int, int] = (4, 32)
    tiny: dict[str, Any] = field(default_factory=dict)
    target: str = ""


_SWIN = {"width": 12, "heads": 3, "depths": (1, 1, 2, 1)}
_MVIT = {"width": 8, "depths": (1, 1, 1, 2), "num_frames": 4, "size": 32}
_X3D = {"width_factor": 0.7, "depth_factor": 0.2, "head_width": 16}
_TSN = {"width_per_group": 8, "depths": ONES}
_VIT = {"width": 32, "heads": 2, "num_frames": 4, "size": 32}

CATALOGUE = {
    "r3d_18": Entry("torchvision_video", 33_371_472, "tv", 40.70, (16, 112), tiny={"width": 8, "depths": ONES}),
    "mc3_18": Entry("torchvision_video", 11_695_440, "tv", 43.34, (16, 112), tiny={"width": 8, "depths": ONES}),
    "r2plus1d_18": Entry("torchvision_video", 31_505_325, "tv", 40.52, (16, 112), tiny={"width": 8, "depths": ONES}),
    "s3d": Entry("torchvision_video", 8_320_048, "tv", 17.98, (16, 224), clip=(8, 34)),  # torchvision offers no width
    "mvit_v1_b": Entry("torchvision_video", 36_610_672, "tv", 70.60, (16, 224), tiny=_MVIT),
    "mvit_v2_s": Entry("torchvision_video", 34_537_744, "tv", 64.22, (16, 224), tiny=_MVIT),
    "swin3d_t": Entry("torchvision_video", 28_158_070, "tv", 43.88, (16, 224), tiny=_SWIN),
    "swin3d_s": Entry("torchvision_video", 49_816_678, "tv", 82.84, (16, 224), tiny=_SWIN),
    "swin3d_b": Entry("torchvision_video", 88_048_984, "tv", 140.67, (16, 224), tiny=_SWIN),
    "x3d_xs": Entry("x3d", 3_794_274, "zoo", 0.60, (4, 160), tiny=_X3D),
    "x3d_s": Entry("x3d", 3_794_274, "zoo", 1.96, (13, 160), tiny=_X3D),
    "x3d_m": Entry("x3d", 3_794_274, "zoo", 4.73, (16, 224), tiny=_X3D),
    "x3d_l": Entry("x3d", 6_153_384, "zoo", 18.37, (16, 312), tiny=_X3D),
    "slowfast_r50_4x16": Entry(
        "slowfast", 34_480_216, "zoo", 27.64, (32, 224), clip=(8, 32), tiny={"width": 16, "depths": ONES}
    ),
    "slowfast_r50_8x8": Entry(
        "slowfast", 34_566_488, "zoo", 50.31, (32, 224), clip=(8, 32), tiny={"width": 16, "depths": ONES}
    ),
    "tsn_r50": Entry("tsn", 24_327_632, "mm", 32.70, (8, 224), tiny=_TSN),
    "tsm_r50": Entry("tsn", 24_327_632, "mm", 32.70, (8, 224), tiny=_TSN),
    "uniformer_s": Entry(
        "uniformer", 21_400_400, "mm", 41.66, (16, 224), tiny={"widths": (8, 16, 24, 32), "depths": ONES}
    ),
    # 27,655,936 (convolutions) + 33,558,528 (fc6) + 16,781,312 (fc7) + 1,638,800 (fc8); 78,409,573 with UCF101's 101
    "c3d": Entry(
        "vgg3d",
        79_634_576,
        "hand",
        38.55,
        (16, 112),
        clip=(16, 32),
        tiny={"width": 4, "hidden": 16, "num_frames": 16, "size": 32},
    ),
    "i3d_r50": Entry("i3d", 28_043_472, "zoo", 37.10, (8, 256), tiny={"width": 8, "depths": ONES}),  # the zoo: 28.04 M
    "convlstm": Entry("recurrent", 4_327_824, "own", 53.95, (16, 112), tiny={"states": (8,), "kernel": 3}),
    "videomae_b": Entry("huggingface", 86_534_800, "mm", 180.34, (16, 224), tiny={**_VIT, "depth": 2}),
    "timesformer_b": Entry("huggingface", 121_566_352, "mm", 195.83, (8, 224), tiny={**_VIT, "depth": 2}),
    # the paper: 115.1 M, 284.4
    "vivit_b": Entry(
        "vivit", 115_062_928, "paper", 283.34, (32, 224), tiny={**_VIT, "space_depth": 2, "time_depth": 1}
    ),
    "cnn3d_small": Entry("small", 320_824, "own", 0.0995, (16, 48), tiny={"width": 4}, target="SmallCNN3D"),
    "cnn2d_small": Entry("small", 241_472, "own", 0.1254, (16, 48), tiny={"width": 4}, target="FrameCNN"),
}
OPTIONAL = {name for name, entry in CATALOGUE.items() if entry.module == "huggingface"}  # need `transformers`
# the code of another one with other numbers: left out by `make test-fast`
TWINS = {"mc3_18", "swin3d_s", "swin3d_b", "x3d_s", "x3d_m", "x3d_l", "slowfast_r50_8x8"}
ALWAYS = sorted(CATALOGUE.keys() - OPTIONAL)


def cases(names: Iterable[str]) -> list[Any]:
    """Names as parameters of a test; the twins and those that import `transformers` are slow."""
    slow = TWINS | OPTIONAL
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in sorted(names)]


def build(name: str, **arguments: Any) -> nn.Module:
    """The published network, or as `arguments` change it."""
    return constructor(name)(**arguments)


def build_tiny(name: str, **arguments: Any) -> nn.Module:
    """The same kind of network, shrunk to run in milliseconds; 5 classes."""
    return constructor(name)(**{"num_classes": 5, **CATALOGUE[name].tiny, **arguments})


def constructor(name: str) -> Any:
    """The class or function that the YAML names."""
    entry = CATALOGUE[name]
    return getattr(import_module(f"videxp.models.{entry.module}"), entry.target or name)
