"""Parts that TransNetV2 and AutoShot are made of: dilated separable convolutions, and how alike frames are.

Legend: B windows, T frames, C channels, H, W, D features.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.models.scenes.interface import SceneNetwork, TransitionLogits, WindowFrames

SIMILARITY_FRAMES = 101
"""A frame is compared with itself, the 50 before it and the 50 after it."""
ROUNDING = 1e-4  # in levels of 255: k / 255 * 255 may come out a little below k


class DilatedNetwork(SceneNetwork):
    """Pairs of layers [B,C,T,H,W] -> [B,C',T,H,W], each with a shortcut and a pooling; then fully connected layers on
    each frame's features and on how alike it is to its neighbors."""

    frame_size: ClassVar[tuple[int, int]] = (27, 48)

    def __init__(
        self,
        *,
        widths: Iterable[int],
        features: int,
        similarity: int,
        hidden: int,
        dropout: float,
        window_frames: WindowFrames,
    ) -> None:
        """widths: channels after each pair. features: of a frame after the last pooling. similarity: of each branch."""
        super().__init__(window_frames=window_frames)
        self.frame_sim_layer = FrameSimilarity(sum(widths), similarity)
        self.color_hist_layer = ColorHistograms(similarity)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(features + 2 * similarity, hidden)
        self.cls_layer1 = nn.Linear(hidden, 1)
        self.cls_layer2 = nn.Linear(hidden, 1)

    def pairs(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """The layers, the first ones first."""
        raise NotImplementedError

    def prepare(self, video_BCTHW: Tensor) -> Tensor:
        """What the first layer sees."""
        return video_BCTHW

    def forward(self, video: Tensor) -> TransitionLogits:
        height, width = video.shape[-2:]
        if (height, width) != self.frame_size:
            wanted = "{}x{}".format(*self.frame_size)
            raise BadRequest(f"{type(self).__name__} takes frames of {wanted} pixels, not {height}x{width}")
        x = self.prepare(video.transpose(1, 2)).contiguous(memory_format=torch.channels_last_3d)
        pooled = []
        for first, second in self.pairs():
            x = first(x).relu_()
            x = _of_each_frame(partial(F.avg_pool2d, kernel_size=2), second(x).relu_() + x)
            pooled.append(x)
        return self.answer_features(video, pooled)

    def answer_features(self, video: Tensor, pooled: list[Tensor]) -> TransitionLogits:
        """Of [B,T,3,H,W] and what each pair of layers made of it, pooled: [B,C,T,h,w]."""
        flat = pooled[-1].permute(0, 2, 3, 4, 1).flatten(2)
        features = torch.cat([self.color_hist_layer(video), self.frame_sim_layer(pooled), flat], dim=-1)
        hidden = self.dropout(self.fc1(features).relu())
        return TransitionLogits(self.cls_layer1(hidden).squeeze(-1), self.cls_layer2(hidden).squeeze(-1))


class SeparableConv(nn.Module):
    """3x3 within frames, unless they share another layer's (`middle` None); then 3 in time, `dilation` frames apart."""

    def __init__(self, d_in: int, middle: int | None, d_out: int, *, dilation: int) -> None:
        super().__init__()
        spatial = [] if middle is None else [SpatialConv(d_in, middle)]
        temporal = TemporalConv(d_in if middle is None else middle, d_out, dilation=dilation)
        self.layers = nn.ModuleList([*spatial, temporal])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class SpatialConv(nn.Conv3d):
    """3x3 within frames: [B,C,T,H,W] -> [B,C',T,H,W], in two dimensions, which libraries do faster."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__(d_in, d_out, (1, 3, 3), padding=(0, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return _of_each_frame(partial(F.conv2d, weight=self.weight.squeeze(2), padding=1), x)


class TemporalConv(nn.Conv3d):
    """3 in time, `dilation` frames apart: [B,C,T,H,W] -> [B,C',T,H,W], with the pixels of a frame in one dimension."""

    def __init__(self, d_in: int, d_out: int, *, dilation: int) -> None:
        super().__init__(d_in, d_out, (3, 1, 1), padding=(dilation, 0, 0), dilation=(dilation, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.squeeze(-1)
        pixels = x.movedim(1, -1).flatten(2, 3).movedim(-1, 1)  # [B,C,T,H*W]
        y = F.conv2d(pixels, weight, padding=self.padding[:2], dilation=self.dilation[:2])
        return y.unflatten(3, x.shape[3:])


def _of_each_frame(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Of frames [N,C,H,W], on [B,C,T,H,W]; a view on them where channels are last in memory."""
    frames = x.transpose(1, 2).flatten(0, 1)
    return function(frames).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)


class FrameSimilarity(nn.Module):
    """Cosines between learned features of frames: [[B,C,T,H,W], ...] -> [B,T,D]."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.projection = nn.Linear(d_in, d_out)
        self.fc = nn.Linear(SIMILARITY_FRAMES, d_out)

    def forward(self, pooled: list[Tensor]) -> Tensor:
        means_BTC = torch.cat([x.mean((3, 4)) for x in pooled], dim=1).transpose(1, 2)
        return self.fc(similarity_to_neighbors(F.normalize(self.projection(means_BTC), dim=-1))).relu()


class ColorHistograms(nn.Module):
    """Cosines between histograms of frames: [B,T,3,H,W] in [0,1] -> [B,T,D]."""

    def __init__(self, d_out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(SIMILARITY_FRAMES, d_out)

    def forward(self, video: Tensor) -> Tensor:
        return self.fc(similarity_to_neighbors(F.normalize(color_histograms(video), dim=-1))).relu()


def similarity_to_neighbors(features_BTD: Tensor) -> Tensor:
    """Products of each frame's features with those of its neighbors, the earliest first: [B,T,SIMILARITY_FRAMES]; 0
    where there is no neighbor."""
    batch, length, _ = features_BTD.shape
    reach = SIMILARITY_FRAMES // 2
    products_BTT = F.pad(features_BTD @ features_BTD.transpose(1, 2), (reach, reach))
    frame = torch.arange(length, device=features_BTD.device)
    neighbor = torch.arange(SIMILARITY_FRAMES, device=features_BTD.device)
    return products_BTT.gather(2, (frame[:, None] + neighbor).expand(batch, -1, -1))


def color_histograms(video: Tensor) -> Tensor:
    """Pixels of each frame in each of 8x8x8 boxes of RGB: [B,T,3,H,W] in [0,1] -> float [B,T,512].

    By levels truncated to whole numbers from 0 to 255, as the authors' training counts its augmented frames, too.
    """
    batch, length = video.shape[:2]
    red, green, blue = ((video.float() * 255 + ROUNDING).long().clamp(0, 255) >> 5).unbind(2)
    box_NP = ((red << 6) + (green << 3) + blue).reshape(batch * length, -1)
    first_box_N1 = 512 * torch.arange(batch * length, device=video.device)[:, None]
    index = (box_NP + first_box_N1).flatten()
    counts = torch.zeros(batch * length * 512, device=video.device)
    return counts.scatter_add(0, index, torch.ones_like(index, dtype=counts.dtype)).view(batch, length, 512)


def initialize_as_keras(network: nn.Module) -> None:
    """The authors' start: `he_normal` for convolutions, Glorot's uniform for linear layers, biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            fan_in = module.weight[0].numel()
            # Keras cuts the normal distribution at two deviations, and makes up for what that takes from its spread
            deviation = math.sqrt(2 / fan_in) / 0.87962566103423978
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
