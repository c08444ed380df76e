"""TransNetV2 and AutoShot as they answer fastest on a CPU: the same function of the same weights, made of a trained
network, which stays as it is. 3x3 convolutions are those of Lavin & Gray 2016, "Fast Algorithms for Convolutional
Neural Networks", section 4: F(4x4,3x3), with a fourth of the multiplications. Logits differ by float32's rounding.

Legend: T frames, C channels, H, W pixels, N frames at once, P tiles of 4x4 pixels, of 6x6 with their surroundings.
"""

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.scenes.dilated import DilatedNetwork, SpatialConv, TemporalConv
from videxp.models.scenes.interface import TransitionLogits

TILES_AT_ONCE = 150
"""So many fit into a core's cache, with what comes of them."""

# B^T, G and A^T of F(4x4,3x3), by the points 0, 1, -1, 2, -2 and infinity
TO_TILES = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
TO_WEIGHTS = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
TO_PIXELS = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def inference_form(network: nn.Module) -> nn.Module:
    """Of a network in evaluation mode, for `torch.inference_mode`; the network itself where it has no faster form."""
    weight = next(network.parameters(), torch.empty(0))
    if isinstance(network, DilatedNetwork) and weight.device.type == "cpu" and weight.dtype == torch.float32:
        return InferenceForm(network)
    return network


class InferenceForm(nn.Module):
    """[B,T,3,H,W] in [0,1] -> `TransitionLogits`, window by window."""

    def __init__(self, network: DilatedNetwork) -> None:
        if network.training:
            raise ValueError("a network in training mode has no form for inference: its batch norms still change")
        super().__init__()
        self.network = network
        with torch.no_grad():
            self.pairs = [(FusedCell(first), FusedCell(second)) for first, second in network.pairs()]

    def forward(self, video: Tensor) -> TransitionLogits:
        windows = [self._answer_window(window) for window in video.split(1)]
        return TransitionLogits(*(torch.cat(logits) for logits in zip(*windows)))

    def _answer_window(self, video: Tensor) -> TransitionLogits:
        x = self.network.prepare(video.transpose(1, 2))[0].permute(1, 2, 3, 0).contiguous()
        pooled = []
        for first, second in self.pairs:
            x = first(x)
            x = F.avg_pool2d(second(x).add_(x).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
            pooled.append(x.permute(3, 0, 1, 2)[None])
        return self.network.answer_features(video, pooled)


class FusedCell:
    """A cell of dilated convolutions, its batch norm and ReLU: [T,H,W,C] -> [T,H,W,C']."""

    def __init__(self, cell: nn.Module) -> None:
        spatial = [conv for conv in cell.modules() if isinstance(conv, SpatialConv)]
        temporal = [conv for conv in cell.modules() if isinstance(conv, TemporalConv)]
        bn = cell.get_submodule("bn")
        assert isinstance(bn, nn.BatchNorm3d) and bn.running_mean is not None and bn.running_var is not None
        scale = bn.weight / (bn.running_var + bn.eps).sqrt()
        bias = bn.bias - bn.running_mean * scale
        ends = [0, *accumulate(conv.out_channels for conv in temporal)]
        self.temporal = [
            (conv.weight.squeeze(-1) * scale[start:end, None, None, None], bias[start:end], conv.dilation[0])
            for conv, (start, end) in zip(temporal, pairwise(ends), strict=True)
        ]
        self.shared = len(spatial) == 1
        self.spatial = FrameConv(torch.cat([conv.weight.squeeze(2) for conv in spatial]))

    def __call__(self, x: Tensor) -> Tensor:
        frames, height, width, _ = x.shape
        shared = self.spatial(x)
        pixels = shared.flatten(1, 2)[None].permute(0, 3, 1, 2)  # [1,C,T,H*W], channels last in memory
        inputs = [pixels] * len(self.temporal) if self.shared else pixels.chunk(len(self.temporal), dim=1)
        outputs = [
            F.conv2d(part, weight, bias, padding=(dilation, 0), dilation=(dilation, 1))
            for part, (weight, bias, dilation) in zip(inputs, self.temporal, strict=True)
        ]
        y = torch.cat(outputs, dim=1)[0].permute(1, 2, 0).view(frames, height, shared.shape[2], -1)
        return y[:, :, :width].relu_()


class FrameConv:
    """3x3 within frames: [T,H,W,C] -> [T,H,4 ceil(W/4),C'], whose columns from W on mean nothing."""

    def __init__(self, weight: Tensor) -> None:
        """weight: [C',C,3,3]."""
        transform = torch.tensor(TO_WEIGHTS, dtype=torch.float64)
        of_points = torch.kron(transform, transform) @ weight.double().permute(2, 3, 1, 0).reshape(9, -1)
        self.weight = of_points.view(36, *weight.shape[1::-1]).float()  # [36,C,C']
        self.to_tiles, self.to_pixels = (
            torch.kron(matrix, matrix) for matrix in (torch.tensor(TO_TILES).float(), torch.tensor(TO_PIXELS).float())
        )

    def __call__(self, x: Tensor) -> Tensor:
        frames, height, width, channels = x.shape
        rows, columns = -(-height // 4), -(-width // 4)
        y = x.new_empty(frames, height, 4 * columns, self.weight.shape[2])
        at_once = max(1, round(TILES_AT_ONCE / (rows * columns)))
        padded = x.new_zeros(min(at_once, frames), 4 * rows + 2, 4 * columns + 2, channels)
        for part, result in zip(x.split(at_once), y.split(at_once), strict=True):
            padded[: len(part), 1 : height + 1, 1 : width + 1] = part
            self._convolve(padded[: len(part)], result)
        return y

    def _convolve(self, padded: Tensor, result: Tensor) -> None:
        """[N,4 rows + 2,4 columns + 2,C] -> [N,H,4 columns,C']"""
        _, channels, filters = self.weight.shape
        number, height, width, _ = result.shape
        rows, columns = padded.shape[1] // 4, width // 4
        of_frame, of_row, of_pixel, _ = padded.stride()
        tiles = padded.as_strided(
            (6, 6, number, rows, columns, channels), (of_row, of_pixel, of_frame, 4 * of_row, 4 * of_pixel, 1)
        )
        points = (self.to_tiles @ tiles.reshape(36, -1)).view(36, -1, channels)  # [36,P,C]
        pixels = self.to_pixels @ torch.bmm(points, self.weight).view(36, -1)  # [16,P*C']
        pixels = pixels.view(4, 4, number, rows, columns, filters).permute(2, 3, 0, 4, 1, 5)
        whole, rest = divmod(height, 4)
        result = result.view(number, height, columns, 4, filters)
        result[:, : 4 * whole].unflatten(1, (whole, 4)).copy_(pixels[:, :whole])
        if rest:
            result[:, 4 * whole :] = pixels[:, whole, :rest]
