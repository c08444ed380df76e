"""Every restoration network of conf/model/: its published number of parameters, and a version that runs in a moment."""

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from tests.models.catalogue import PUBLISHED

FILES = {path.stem: path for path in Path(__file__).parents[2].joinpath("conf/model").rglob("*.yaml")}
PARAMETERS = {name: facts["parameters"] for name, facts in PUBLISHED["restorers"].items()}
_FLOW = {"flow_levels": 2, "flow_width": 8}
_WINDOW = {"channels": 4, "feature_blocks": 1, "blocks": 1, "deform_groups": 2}
TINY: dict[str, dict[str, Any]] = {
    "bicubic": {},
    "srresnet": {"channels": 4, "blocks": 1},
    "edvr_m": _WINDOW,
    "tdan": _WINDOW,
    "basicvsr": {"channels": 4, "blocks": 1, **_FLOW},
    "realbasicvsr": {"channels": 4, "blocks": 1, "cleaning_blocks": 1, **_FLOW},
    "iconvsr": {"channels": 4, "blocks": 1, "refill_blocks": 1, "deform_groups": 2, **_FLOW},
    "basicvsr_pp": {"channels": 4, "blocks": 1, "feature_blocks": 1, "deform_groups": 2, **_FLOW},
}
RESTORERS = sorted(PARAMETERS)
TRAINABLE = [name for name in RESTORERS if name != "bicubic"]


def build(name: str, **arguments: Any) -> nn.Module:
    """The published network, as its YAML describes it, or as `arguments` change it."""
    return instantiate(OmegaConf.load(FILES[name]), **arguments, _convert_="all")


def build_tiny(name: str, **arguments: Any) -> nn.Module:
    """The same kind of network, shrunk, in evaluation mode, without weights that start at zero."""
    torch.manual_seed(0)
    net = build(name, **{**TINY[name], **arguments})
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.uniform_(parameter, -0.05, 0.05)  # offsets and biases
    return net.eval()


def clip(*shape: int) -> torch.Tensor:
    """Noise in [0,1], [B,T,3,h,w]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))
