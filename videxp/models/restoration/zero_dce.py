"""Zero-DCE: light for dark frames by curves, learned without targets. Guo et al. 2020, "Zero-Reference Deep Curve
Estimation for Low-Light Image Enhancement", section 3; written from the paper.

Public files load. Their curves have the other sign than the paper's equation 2: x + a (x^2 - x), and so have these.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.models.weights import Renames, load_weights

ZERO_DCE_NAMES: Renames = ((r"\bdce_net\.", ""), (r"\be_conv(\d)\.", r"conv\1."))


class ZeroDCE(nn.Module):
    """[B,T,3,H,W] in [0,1] -> the same; each frame by itself, each pixel by `iterations` curves of its own."""

    scale = 1
    radius = 0
    intermediates = ("curves", "enhanced")

    def __init__(
        self,
        *,
        channels: Annotated[int, Ge(1)] = 32,
        iterations: Annotated[int, Ge(1)] = 8,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.iterations = iterations
        inputs = [3, channels, channels, channels, 2 * channels, 2 * channels]
        for number, d_in in enumerate(inputs, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(d_in, channels, 3, padding=1))
        self.conv7 = nn.Conv2d(2 * channels, 3 * iterations, 3, padding=1)
        for conv in self.children():
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            nn.init.normal_(conv.weight, 0.0, 0.02)  # section 4.1
            nn.init.zeros_(conv.bias)
        load_weights(self, weights, renames=ZERO_DCE_NAMES)

    def forward(self, video: Tensor) -> Tensor:
        return self.forward_with_intermediates(video)[0]

    def forward_with_intermediates(self, video: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The output, and for the losses that need no target `curves` [B,T,3*iterations,H,W] and the output again."""
        frames = video.flatten(0, 1)
        curves = self.curves(frames)
        for curve in curves.split(3, dim=1):
            frames = frames + curve * (frames * frames - frames)
        output = frames.unflatten(0, video.shape[:2])
        return output, {"curves": curves.unflatten(0, video.shape[:2]), "enhanced": output}

    def intermediate_targets(self, video: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What the output is compared with is the input; the curves are compared with nothing."""
        batch, frames, _, height, width = video.shape
        nothing = video.new_zeros(()).expand(batch, frames, 3 * self.iterations, height, width)
        return {"curves": nothing, "enhanced": video}

    def curves(self, frames_NCHW: Tensor) -> Tensor:
        """[N,3*iterations,H,W] in [-1,1]."""
        layers = [self.get_submodule(f"conv{number}") for number in range(1, 8)]
        x1 = F.relu(layers[0](frames_NCHW))
        x2 = F.relu(layers[1](x1))
        x3 = F.relu(layers[2](x2))
        x4 = F.relu(layers[3](x3))
        x5 = F.relu(layers[4](torch.cat([x3, x4], 1)))
        x6 = F.relu(layers[5](torch.cat([x2, x5], 1)))
        return torch.tanh(layers[6](torch.cat([x1, x6], 1)))
