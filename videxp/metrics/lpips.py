"""LPIPS, the distance of deep features (Zhang et al. 2018, eq. 1), without a download. Legend: N frames, C, H, W."""

from pathlib import Path
from typing import ClassVar, Literal

import torch
import torchmetrics
from torch import Tensor, nn

from videxp.core.backbones import Backbone, activations, torchvision_features
from videxp.core.errors import BadRequest
from videxp.core.tensor_files import read_tensors
from videxp.metrics.restoration import in_chunks

_NETS: dict[str, tuple[Backbone, tuple[int, ...]]] = {  # net -> torchvision's name, the activations that are compared
    "alex": ("alexnet", (1, 4, 7, 9, 11)),
    "squeeze": ("squeezenet1_1", (1, 4, 7, 9, 10, 11, 12)),
    "vgg": ("vgg16", (3, 8, 15, 22, 29)),
}
_SHIFT = (-0.030, -0.088, -0.188)  # of frames in [-1,1], as LPIPS was fitted
_SCALE = (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """LPIPS of each frame, version 0.1: [...,3,H,W] in [0,1] -> [...], 0 where frames are equal; lower is better.

    net: "alex" is what papers report. weights: path of torchvision's ImageNet weights of that network. linear_weights:
    path of the weights of its channels; None: the published ones, which are part of the torchmetrics package. Raises
    `BadRequest` for weights that are missing or another network's.
    """

    better: ClassVar[str] = "min"
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        net: Literal["alex", "squeeze", "vgg"] = "alex",
        weights: str | None = None,
        linear_weights: str | None = None,
    ) -> None:
        super().__init__()
        name, self.layers = _NETS[net]
        used = [weights, *([linear_weights] if linear_weights else [])]
        self.protocol = f"LPIPS 0.1 of {name} ({', '.join(Path(str(path)).name for path in used)})"
        self.features = torchvision_features(name, weights, layers=self.layers[-1] + 1)
        self.linear = nn.ParameterList(_linear_weights(linear_weights or _published(net), len(self.layers)))
        self.requires_grad_(False)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return in_chunks(self._distance, output, target)

    def _distance(self, a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
        total = torch.zeros((), device=a_NCHW.device)
        for linear, a, b in zip(self.linear, self._unit_activations(a_NCHW), self._unit_activations(b_NCHW)):
            total = total + (linear * (a - b).square()).sum(1).mean((1, 2))
        return total

    def _unit_activations(self, frames_NCHW: Tensor) -> list[Tensor]:
        frames = (2 * frames_NCHW.float().clamp(0, 1) - 1 - self.shift) / self.scale
        found = activations(self.features, frames, self.layers)
        return [x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt() for x in found]


def _published(net: str) -> str:
    return str(Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / f"{net}.pth")


def _linear_weights(source: str, count: int) -> list[nn.Parameter]:
    """The weights of each layer's channels, [1,C,1,1]; keys are `lin0.model.1.weight` and so on, as published."""
    state = read_tensors(source)
    keys = [f"lin{number}.model.1.weight" for number in range(count)]
    missing = [key for key in keys if key not in state]
    if missing:
        raise BadRequest(f"linear_weights={source} holds no LPIPS weights of {count} layers: {missing[0]} is missing")
    return [nn.Parameter(state[key], requires_grad=False) for key in keys]
