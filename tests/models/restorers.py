"""Every restoration network of conf/model/: its published number of parameters, and a version that runs in a moment.

Sources of the counts: BasicSR's and mmagic's networks, which these equal number by number (1e-7) with their weights.
"""

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

FILES = {path.stem: path for path in Path(__file__).parents[2].joinpath("conf/model").rglob("*.yaml")}
PARAMETERS = {
    "bicubic": 0,
    "srresnet": 1_517_571,
    "edvr_m": 3_300_131,
    "tdan": 1_970_819,
    "basicvsr": 6_291_311,
    "realbasicvsr": 6_294_834,
    "iconvsr": 8_694_991,
    "basicvsr_pp": 7_322_927,
}
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
