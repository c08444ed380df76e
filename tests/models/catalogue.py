"""Every classifier of conf/model/ with a shrunk version that runs in milliseconds, and the published figures."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

PUBLISHED: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "benchmarks/published.yaml").read_text())
ONES = (1, 1, 1, 1)


@dataclass(frozen=True)
class Entry:
    """`clip` has the frames and size of the shrunk version, `tiny` its arguments; `target`: another name than ours."""

    module: str
    clip: tuple[int, int] = (4, 32)
    tiny: dict[str, Any] = field(default_factory=dict)
    target: str = ""


_SWIN = {"width": 12, "heads": 3, "depths": (1, 1, 2, 1)}
_MVIT = {"width": 8, "depths": (1, 1, 1, 2), "num_frames": 4, "size": 32}
_X3D = {"width_factor": 0.7, "depth_factor": 0.2, "head_width": 16}
_TSN = {"width_per_group": 8, "depths": ONES}
_VIT = {"width": 32, "heads": 2, "num_frames": 4, "size": 32}

CATALOGUE = {
    "r3d_18": Entry("torchvision_video", tiny={"width": 8, "depths": ONES}),
    "mc3_18": Entry("torchvision_video", tiny={"width": 8, "depths": ONES}),
    "r2plus1d_18": Entry("torchvision_video", tiny={"width": 8, "depths": ONES}),
    "s3d": Entry("torchvision_video", clip=(8, 34), tiny={"width": 8, "depths": (1, 1, 1)}),
    "mvit_v1_b": Entry("torchvision_video", tiny=_MVIT),
    "mvit_v2_s": Entry("torchvision_video", tiny=_MVIT),
    "swin3d_t": Entry("torchvision_video", tiny=_SWIN),
    "swin3d_s": Entry("torchvision_video", tiny=_SWIN),
    "swin3d_b": Entry("torchvision_video", tiny=_SWIN),
    "x3d_xs": Entry("x3d", tiny=_X3D),
    "x3d_s": Entry("x3d", tiny=_X3D),
    "x3d_m": Entry("x3d", tiny=_X3D),
    "x3d_l": Entry("x3d", tiny=_X3D),
    "slowfast_r50_4x16": Entry("slowfast", clip=(8, 32), tiny={"width": 16, "depths": ONES}),
    "slowfast_r50_8x8": Entry("slowfast", clip=(8, 32), tiny={"width": 16, "depths": ONES}),
    "slow_r50_8x8": Entry("slowfast", tiny={"width": 8, "depths": ONES}),
    "tsn_r50": Entry("tsn", tiny=_TSN),
    "tsm_r50": Entry("tsn", tiny=_TSN),
    "tsn_timm": Entry("timm_backbones", tiny={"backbone": "test_resnet"}),
    "tsm_timm": Entry("timm_backbones", tiny={"backbone": "test_resnet"}),
    "uniformer_s": Entry("uniformer", tiny={"widths": (8, 16, 24, 32), "depths": ONES}),
    "c3d": Entry(
        "vgg3d",
        clip=(16, 32),
        tiny={"width": 4, "hidden": 16, "num_frames": 16, "size": 32},
    ),
    "i3d_r50": Entry("i3d", tiny={"width": 8, "depths": ONES}),
    "convlstm": Entry("recurrent", tiny={"states": (8,), "kernel": 3}),
    "lrcn": Entry("frame_lstm", clip=(4, 47), tiny={"widths": (8, 8, 8, 8, 8), "hidden": 16, "state": 8, "size": 47}),
    "videomae_b": Entry("huggingface", tiny={**_VIT, "depth": 2}),
    "timesformer_b": Entry("huggingface", tiny={**_VIT, "depth": 2}),
    "vjepa2_l": Entry("huggingface", tiny={**_VIT, "depth": 2, "pooler_depth": 1}),
    "vivit_b": Entry("vivit", tiny={**_VIT, "space_depth": 2, "time_depth": 1}),
    "cnn3d_small": Entry("small", tiny={"width": 4}, target="SmallCNN3D"),
    "cnn2d_small": Entry("small", tiny={"width": 4}, target="FrameCNN"),
}
_PACKAGES = {"huggingface": "transformers", "timm_backbones": "timm"}
OPTIONAL = {name: _PACKAGES[entry.module] for name, entry in CATALOGUE.items() if entry.module in _PACKAGES}
# the code of another one with other numbers: left out by `make test-fast`
TWINS = {"mc3_18", "swin3d_s", "swin3d_b", "x3d_s", "x3d_m", "x3d_l", "slowfast_r50_8x8"}
ALWAYS = sorted(CATALOGUE.keys() - OPTIONAL.keys())


def cases(names: Iterable[str]) -> list[Any]:
    """Names as parameters of a test; the twins and those that import an optional package are slow."""
    slow = TWINS | OPTIONAL.keys()
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
    return getattr(import_module(f"videxp.models.classification.{entry.module}"), entry.target or name)
