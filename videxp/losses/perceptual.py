"""Distance of VGG-19's activations. Legend: B clips, T frames, N = B*T frames."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from videxp.core.backbones import IMAGENET_MEAN, IMAGENET_STD, activations, torchvision_features
from videxp.core.errors import BadRequest
from videxp.core.limits import Ge

_BLOCKS = (2, 2, 4, 4, 4)  # convolutions of each block of VGG-19; each is followed by a ReLU, each block by a pooling
_LAYERS = {  # "conv1_2" -> 2: the number of the layer in torchvision's features
    f"conv{block + 1}_{conv + 1}": 2 * (sum(_BLOCKS[:block]) + conv) + block
    for block, convolutions in enumerate(_BLOCKS)
    for conv in range(convolutions)
}
REALBASICVSR = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}


class Perceptual(nn.Module):
    """The sum over layers of layer weight x mean |VGG(output) - VGG(target)|, of convolutions before their ReLU.

    layers: name (conv1_1 ... conv5_4) -> weight; None: RealBasicVSR's, which are Real-ESRGAN's; ESRGAN's (Wang et al.
    2018, sec. 3.3) are {conv5_4: 1.0}. weights: path of torchvision's ImageNet weights of VGG-19. Raises `BadRequest`
    without them, and for a layer that VGG-19 does not have. The network is frozen and no part of this module: it is in
    neither checkpoints nor averages of weights.
    """

    def __init__(
        self,
        *,
        weights: str | None = None,
        layers: dict[str, float] | None = None,
        weight: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.layer_weights = _by_number(REALBASICVSR if layers is None else layers)
        self._hidden = (torchvision_features("vgg19", weights, layers=max(self.layer_weights) + 1),)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """output, target: float [B,T,3,H,W] in [0,1], H and W of 16 or more."""
        with torch.no_grad():
            wanted = self._activations(target)
        pairs = zip(self.layer_weights.values(), self._activations(output), wanted)
        return torch.stack([weight * (a.float() - b.float()).abs().mean() for weight, a, b in pairs]).sum()

    def _activations(self, video_BTCHW: Tensor) -> list[Tensor]:
        frames_NCHW = video_BTCHW.flatten(0, 1).float()
        mean, std = (frames_NCHW.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        features = self._hidden[0].to(frames_NCHW.device)
        return activations(features, (frames_NCHW - mean) / std, tuple(self.layer_weights))


def _by_number(layers: Mapping[str, float]) -> dict[int, float]:
    """{"conv5_4": 1.0, "conv1_2": 0.1} -> {2: 0.1, 34: 1.0}."""
    unknown = [name for name in layers if name not in _LAYERS]
    if unknown or not layers:
        raise BadRequest(f"layers: {unknown[0] if unknown else 'none'}: VGG-19 has conv1_1, conv1_2, ... conv5_4")
    return dict(sorted((_LAYERS[name], weight) for name, weight in layers.items()))
