"""LRCN. Donahue et al. 2015, "Long-term Recurrent Convolutional Networks for Visual Recognition and Description",
section 4: an LSTM of 256 units over each frame's fc6 of CaffeNet; predictions averaged over the frames.

The paper trains with a loss at every frame; here, as everywhere in videxp, it is of the averaged logits.
"""

from collections import OrderedDict
from collections.abc import Sequence
from math import ceil
from typing import Annotated

from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.weights import load_weights


class LRCN(nn.Module):
    """[B,T,C,H,W], H = W = `size` -> [B,num_classes]."""

    feature_map = FeatureMap("features", "(b t) d h w")

    def __init__(
        self, *, num_classes: int, size: int, dropout: float, widths: Sequence[int], hidden: int, state: int
    ) -> None:
        super().__init__()
        cells = caffenet_cells(size)
        self.features = caffenet_features(widths)
        self.fc6 = nn.Linear(widths[-1] * cells**2, hidden)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(hidden, state, batch_first=True)
        self.head = nn.Linear(state, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        frames = self.relu(self.fc6(self.features(video.flatten(0, 1)).flatten(1)))
        states, _ = self.lstm(self.dropout(frames).unflatten(0, video.shape[:2]))  # [B,T,state]
        return self.head(self.dropout(states)).mean(dim=1)


def caffenet_features(widths: Sequence[int]) -> nn.Sequential:
    """The five convolutions of Krizhevsky et al. 2012, two groups in the second, fourth and fifth, pooled before norms.

    Raises `ValueError` unless there are five widths, those next to grouped convolutions even.
    """
    if len(widths) != 5 or any(width % 2 for width in widths):
        raise ValueError(f"widths={list(widths)}: give five even numbers")
    w1, w2, w3, w4, w5 = widths
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, w1, 11, stride=4),
            relu1=nn.ReLU(inplace=True),
            pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # as Caffe rounds
            norm1=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
            conv2=nn.Conv2d(w1, w2, 5, padding=2, groups=2),
            relu2=nn.ReLU(inplace=True),
            pool2=nn.MaxPool2d(3, stride=2, ceil_mode=True),
            norm2=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
            conv3=nn.Conv2d(w2, w3, 3, padding=1),
            relu3=nn.ReLU(inplace=True),
            conv4=nn.Conv2d(w3, w4, 3, padding=1, groups=2),
            relu4=nn.ReLU(inplace=True),
            conv5=nn.Conv2d(w4, w5, 3, padding=1, groups=2),
            relu5=nn.ReLU(inplace=True),
            pool5=nn.MaxPool2d(3, stride=2, ceil_mode=True),
        )
    )


def caffenet_cells(size: int) -> int:
    """Cells along a side after the convolutions: 227 -> 6. Raises `ValueError` where none is left."""
    cells = (size - 11) // 4 + 1
    for _ in range(3):
        cells = ceil((cells - 3) / 2) + 1
    if cells < 1:
        raise ValueError(f"size={size}: CaffeNet's poolings leave nothing of it; take 39 or more")
    return cells


@accepts(min_size=39)
def lrcn(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    size: Annotated[int, Ge(39)] = 227,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    widths: Sequence[Annotated[int, Ge(2)]] = (96, 256, 384, 384, 256),
    hidden: Annotated[int, Ge(1)] = 4096,
    state: Annotated[int, Ge(1)] = 256,
) -> nn.Module:
    """LRCN-fc6. Published at 16x227x227; `hidden` features of fc6, `state` units of the LSTM."""
    net = LRCN(num_classes=num_classes, size=size, dropout=dropout, widths=widths, hidden=hidden, state=state)
    load_weights(net, weights, head="head")
    return net
