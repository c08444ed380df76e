"""Two small nets of our own, for CPUs and first runs: a 3-D CNN, and a per-frame CNN as its control.

Shapes: B clips, T frames, C channels, H, W; D features. Both take float [B,T,C,H,W] and return logits [B,num_classes].
"""

from collections import OrderedDict
from typing import Annotated

from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap


def _conv3d(d_in: int, d_out: int, *, stride: tuple[int, int, int]) -> nn.Sequential:
    conv = nn.Conv3d(d_in, d_out, kernel_size=3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(d_out), nn.ReLU(inplace=True))


def _conv2d(d_in: int, d_out: int, *, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(d_in, d_out, kernel_size=3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(d_out), nn.ReLU(inplace=True))


@accepts()
class SmallCNN3D(nn.Module):
    """Five 3x3x3 convolutions, 16-32-32-64-128 wide, global average pool: 320,824 parameters, 0.10 GMACs at 16x48x48.

    Space is halved three times and time twice, the first convolution keeping every frame: fast motion is still motion
    there. Given a permuted view of channels-last memory, every layer runs channels-last without a copy.
    """

    feature_map = FeatureMap("features")

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] = 8,
        in_channels: Annotated[int, Ge(1)] = 3,
        width: Annotated[int, Ge(1)] = 16,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                stem=_conv3d(in_channels, width, stride=(1, 2, 2)),
                down1=_conv3d(width, 2 * width, stride=(2, 2, 2)),
                conv1=_conv3d(2 * width, 2 * width, stride=(1, 1, 1)),
                down2=_conv3d(2 * width, 4 * width, stride=(2, 2, 2)),
                conv2=_conv3d(4 * width, 8 * width, stride=(1, 1, 1)),
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, num_classes)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        features = self.features(video.transpose(1, 2))  # [B,D,T/4,H/8,W/8]
        return self.head(self.dropout(features.mean(dim=(2, 3, 4))))


@accepts()
class FrameCNN(nn.Module):
    """As deep and as costly in 2-D, each frame on its own, logits averaged over frames: blind to the order of frames.

    The control for a motion data set: what it scores above chance, single frames give away.
    """

    feature_map = FeatureMap("features", "(b t) d h w")

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] = 8,
        in_channels: Annotated[int, Ge(1)] = 3,
        width: Annotated[int, Ge(1)] = 24,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                stem=_conv2d(in_channels, width, stride=2),
                down1=_conv2d(width, 2 * width, stride=2),
                conv1=_conv2d(2 * width, 2 * width, stride=1),
                down2=_conv2d(2 * width, 4 * width, stride=2),
                down3=_conv2d(4 * width, 8 * width, stride=2),
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, num_classes)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        batch_size, num_frames = video.shape[:2]
        features = self.features(video.flatten(0, 1))  # [B*T,D,H/16,W/16]
        frame_logits = self.head(self.dropout(features.mean(dim=(2, 3))))
        return frame_logits.unflatten(0, (batch_size, num_frames)).mean(dim=1)
