"""C3D. Tran et al. 2015, "Learning Spatiotemporal Features with 3D Convolutional Networks", section 3.2, figure 3."""

from typing import Annotated

from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.weights import load_weights


class C3D(nn.Module):
    """Eight 3x3x3 convolutions, five max poolings, two hidden layers whose size the clip's shape decides."""

    feature_map = FeatureMap("conv5b")

    def __init__(
        self, *, num_classes: int, num_frames: int, size: int, dropout: float, width: int, hidden: int
    ) -> None:
        super().__init__()
        if num_frames < 16 or size < 16:
            raise ValueError(f"num_frames={num_frames}, size={size}: C3D pools clips down by 16 in time and in space")
        w1, w2, w3, w4 = width, 2 * width, 4 * width, 8 * width
        self.conv1a = nn.Conv3d(3, w1, 3, padding=1)
        self.conv2a = nn.Conv3d(w1, w2, 3, padding=1)
        self.conv3a = nn.Conv3d(w2, w3, 3, padding=1)
        self.conv3b = nn.Conv3d(w3, w3, 3, padding=1)
        self.conv4a = nn.Conv3d(w3, w4, 3, padding=1)
        self.conv4b = nn.Conv3d(w4, w4, 3, padding=1)
        self.conv5a = nn.Conv3d(w4, w4, 3, padding=1)
        self.conv5b = nn.Conv3d(w4, w4, 3, padding=1)
        self.pool_space = nn.MaxPool3d((1, 2, 2))
        self.pool = nn.MaxPool3d(2)
        self.pool_last = nn.MaxPool3d(2, padding=(0, 1, 1))  # 7x7 -> 4x4 at 112x112
        self.relu = nn.ReLU(inplace=True)
        self.fc6 = nn.Linear(w4 * (num_frames // 16) * (size // 32 + 1) ** 2, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, num_classes)
        self.dropout = nn.Dropout(dropout)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.fc8.weight, std=0.01)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        x = self.pool_space(self.relu(self.conv1a(video.transpose(1, 2))))
        x = self.pool(self.relu(self.conv2a(x)))
        x = self.pool(self.relu(self.conv3b(self.relu(self.conv3a(x)))))
        x = self.pool(self.relu(self.conv4b(self.relu(self.conv4a(x)))))
        x = self.pool_last(self.relu(self.conv5b(self.relu(self.conv5a(x)))))
        x = self.dropout(self.relu(self.fc6(x.flatten(1))))
        x = self.dropout(self.relu(self.fc7(x)))
        return self.fc8(x)


@accepts(min_frames=16, min_size=16)
def c3d(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    num_frames: Annotated[int, Ge(16)] = 16,
    size: Annotated[int, Ge(16)] = 112,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    width: Annotated[int, Ge(1)] = 64,
    hidden: Annotated[int, Ge(1)] = 4096,
) -> nn.Module:
    """C3D. Published at 16x112x112 with 487 (Sports-1M) and 101 (UCF101) classes; made for `num_frames` and `size`."""
    net = C3D(num_classes=num_classes, num_frames=num_frames, size=size, dropout=dropout, width=width, hidden=hidden)
    load_weights(net, weights, head="fc8")
    return net
