"""ConvLSTM as a classifier. Shi et al. 2015, "Convolutional LSTM Network: A Machine Learning Approach for Precipitation
Nowcasting", equation 3 and section 4.1.

The encoder of the paper's three-layer network (5x5 kernels, states of 128-64-64 on 4x4 patches folded into channels),
with a linear classifier on its last state.
The peephole terms (W_ci * C and so on) are left out, as most successors do: they tie the weights to one frame size.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.weights import load_weights


class ConvLSTMLayer(nn.Module):
    """An LSTM over time whose products are convolutions: [B,T,C,H,W] -> all its states [B,T,D,H,W]."""

    def __init__(self, d_in: int, d_state: int, *, kernel: int) -> None:
        super().__init__()
        self.d_state = d_state
        self.from_input = nn.Conv2d(d_in, 4 * d_state, kernel, padding=kernel // 2)
        self.from_state = nn.Conv2d(d_state, 4 * d_state, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """i, f, o = sigmoid; g = tanh; cell = f * cell + i * g; state = o * tanh(cell)."""
        batch_size, num_frames, _, height, width = x.shape
        inputs = self.from_input(x.flatten(0, 1)).unflatten(0, (batch_size, num_frames))  # all frames at once
        state = cell = x.new_zeros(batch_size, self.d_state, height, width)
        states = []
        for frame in inputs.unbind(dim=1):
            gates = frame + self.from_state(state)
            i, f, o, g = gates.chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            state = torch.sigmoid(o) * torch.tanh(cell)
            states.append(state)
        return torch.stack(states, dim=1)


class ConvLSTM(nn.Module):
    """Layers of ConvLSTM; the last layer's last state, averaged over space, is classified."""

    feature_map = FeatureMap("layers", "b t d h w")

    def __init__(
        self, *, num_classes: int, in_channels: int, patch: int, states: Sequence[int], kernel: int, dropout: float
    ) -> None:
        super().__init__()
        self.patch = patch
        widths = [in_channels * patch**2, *states]
        self.layers = nn.Sequential(*(ConvLSTMLayer(d_in, d_out, kernel=kernel) for d_in, d_out in pairwise(widths)))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], num_classes)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        states = self.layers(F.pixel_unshuffle(video, self.patch))  # [B,T,D,H/patch,W/patch]
        return self.head(self.dropout(states[:, -1].mean(dim=(2, 3))))


@accepts(min_size=4, size_multiple=4)
def convlstm(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    in_channels: Annotated[int, Ge(1)] = 3,
    patch: Annotated[int, Ge(1)] = 4,
    states: Sequence[Annotated[int, Ge(1)]] = (128, 64, 64),
    kernel: Annotated[int, Ge(1)] = 5,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
) -> nn.Module:
    """ConvLSTM classifier: `states` features per layer, `kernel` odd, `patch` pixels folded into channels."""
    if kernel % 2 == 0:
        raise ValueError(f"kernel={kernel}: an even kernel would shift the image at every frame; take {kernel + 1}")
    net = ConvLSTM(
        num_classes=num_classes, in_channels=in_channels, patch=patch, states=states, kernel=kernel, dropout=dropout
    )
    load_weights(net, weights, head="head")
    return net
