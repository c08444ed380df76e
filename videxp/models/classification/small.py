"""Three small nets of our own, for CPUs and first runs: a 3-D CNN, one that sees the past alone, and a per-frame CNN as
their control.

Shapes: B clips, T frames, C channels, H, W; D features. All take float [B,T,C,H,W] and return logits [B,num_classes].
"""

from collections import OrderedDict
from typing import Annotated, cast

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.layers.streaming import begin, divide_size, join_past, running_mean


def _conv3d(d_in: int, d_out: int, *, stride: tuple[int, int, int], time_padding: int = 1) -> nn.Sequential:
    conv = nn.Conv3d(d_in, d_out, kernel_size=3, stride=stride, padding=(time_padding, 1, 1), bias=False)
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
class SmallCausalCNN3D(nn.Module):
    """Five 3x3x3 convolutions over a frame and the two before it, 16-32-32-64-64 wide: `Streaming`, without delay.

    Time is not strided: an answer after each frame, from the mean features of all frames since the state began.
    """

    feature_map = FeatureMap("features.conv2")
    delay_frames = 0

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
                stem=_conv3d(in_channels, width, stride=(1, 2, 2), time_padding=0),
                down1=_conv3d(width, 2 * width, stride=(1, 2, 2), time_padding=0),
                conv1=_conv3d(2 * width, 2 * width, stride=(1, 1, 1), time_padding=0),
                down2=_conv3d(2 * width, 4 * width, stride=(1, 2, 2), time_padding=0),
                conv2=_conv3d(4 * width, 4 * width, stride=(1, 1, 1), time_padding=0),
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * width, num_classes)

    def initial_state(
        self, batch: int, size: tuple[int, int], *, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        """Frames so far [B]; their features' total [B,D]; the two frames before that each convolution sees."""
        shapes: list[tuple[int, ...]] = [(batch,), (batch, self.head.in_features)]
        for layer in self.features:
            conv = cast(nn.Conv3d, cast(nn.Sequential, layer)[0])
            shapes.append((batch, conv.in_channels, 2, *size))
            size = divide_size(size, conv.stride[1])
        return tuple(torch.zeros(shape, device=device, dtype=dtype) for shape in shapes)

    def step(self, video: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """[B,t,C,H,W] -> logits [B,t,num_classes] after each frame, of all frames so far."""
        (count, total), kept = state[:2], []
        features = video.transpose(1, 2)
        for layer, past in zip(self.features, state[2:], strict=True):
            both, last = join_past(past, features, dim=2)
            features = layer(both)
            kept.append(last)
        means, total = running_mean(total, count, features.mean(dim=(3, 4)).transpose(1, 2))
        return self.head(self.dropout(means)), (count + video.shape[1], total, *kept)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return self.step(video, begin(self, video))[0][:, -1]


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
