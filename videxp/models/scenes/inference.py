"""TransNetV2 and AutoShot as they answer fastest on a CPU: the same function of the same weights, made of a trained
network, which stays as it is. 3x3 convolutions are those of Lavin & Gray 2016, "Fast Algorithms for Convolutional
Neural Networks", section 4: F(4x4,3x3), with a fourth of the multiplications. Logits differ by float32's rounding.

Legend: T frames, C channels, H, W pixels, P tiles of 4x4 pixels, of 6x6 with their surroundings.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.scenes.dilated import DilatedNetwork, SpatialConv, TemporalConv
from videxp.models.scenes.interface import TransitionLogits

JOINT_CHANNELS = 4
"""At most; with more, a cell's convolutions are faster one after the other."""

JOINT_BRANCHES, JOINT_FRAMES = 2, 20
"""So many of its branches are one convolution, and of so many frames at once it stays in a core's cache."""

TILES_AT_ONCE = 110
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


Answer = TypeVar("Answer")


def inference_form(network: nn.Module) -> nn.Module:
    """Of a network in evaluation mode, for `torch.inference_mode`; the network itself where it has no faster form."""
    weight = next(network.parameters(), torch.empty(0))
    if isinstance(network, DilatedNetwork) and weight.device.type == "cpu" and weight.dtype == torch.float32:
        return InferenceForm(network)
    return network


class InferenceForm(nn.Module):
    """[B,T,3,H,W] in [0,1] -> `TransitionLogits`, a window by each of torch's threads."""

    def __init__(self, network: DilatedNetwork) -> None:
        if network.training:
            raise ValueError("a network in training mode has no form for inference: its batch norms still change")
        super().__init__()
        self.network = network
        with torch.no_grad():
            self.pairs = [(fuse_cell(first), fuse_cell(second)) for first, second in network.pairs()]
        self._free: list[Memory] = []

    @property
    def windows_at_once(self) -> int:
        """Two for each thread, so that one rarely waits for another; while these are answered, the next are read."""
        return 2 * torch.get_num_threads()

    def forward(self, video: Tensor) -> TransitionLogits:
        windows = in_threads(self._answer_window, video.split(1))
        return TransitionLogits(*(torch.cat(logits) for logits in zip(*windows)))

    def _answer_window(self, video: Tensor) -> TransitionLogits:
        memory = self._free.pop() if self._free else Memory()
        x = self.network.prepare(video.transpose(1, 2))[0].permute(1, 2, 3, 0).contiguous()
        pooled = []
        for first, second in self.pairs:
            x = first(x, memory, name="first")
            y = second(x, memory, name="second").add_(x)
            x = F.avg_pool2d(y.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
            pooled.append(x.permute(3, 0, 1, 2)[None])
        self._free.append(memory)
        return self.network.answer_features(video, pooled)


def in_threads(answer: Callable[[Tensor], Answer], windows: Sequence[Tensor]) -> list[Answer]:
    """The answer to each window, by as many threads as torch has: its operations are too small to be divided."""
    threads = torch.get_num_threads()

    def answer_alone(window: Tensor) -> Answer:
        torch.set_num_threads(1)
        with torch.inference_mode():
            return answer(window)

    if min(threads, len(windows)) < 2:
        return [answer(window) for window in windows]
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(answer_alone, windows))
    finally:
        torch.set_num_threads(threads)


class Memory:
    """What one window after the other is worked out in: the kernel has to clear each page of new memory."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """float32, with whatever was left in it."""
        count = math.prod(shape)
        if name not in self._held or self._held[name].numel() < count:
            self._held[name] = torch.empty(count)
        return self._held[name][:count].view(shape)


def fuse_cell(cell: nn.Module) -> "JointConv | StagedConvs":
    """A cell of dilated convolutions, its batch norm and ReLU: [T,H,W,C] -> [T,H,W,C']."""
    spatial = [conv.weight.squeeze(2) for conv in cell.modules() if isinstance(conv, SpatialConv)]
    temporal = [conv for conv in cell.modules() if isinstance(conv, TemporalConv)]
    bn = cell.get_submodule("bn")
    assert isinstance(bn, nn.BatchNorm3d) and bn.running_mean is not None and bn.running_var is not None
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    bias = bn.bias - bn.running_mean * scale
    channels = [conv.out_channels for conv in temporal]
    branches = [
        Branch(conv.weight.squeeze(-1) * of_conv[:, None, None, None], of_bias, conv.dilation[0])
        for conv, of_conv, of_bias in zip(temporal, scale.split(channels), bias.split(channels), strict=True)
    ]
    make = JointConv if spatial[0].shape[1] <= JOINT_CHANNELS else StagedConvs
    return make(spatial, branches)


class Branch(NamedTuple):
    """3 in time, `dilation` frames apart: weight [C',M,3,1] and bias [C'], for M channels."""

    weight: Tensor
    bias: Tensor
    dilation: int


class JointConv:
    """All branches of a cell that sees pictures, whose channels are few, some as one convolution of frames around."""

    def __init__(self, spatial: list[Tensor], branches: list[Branch]) -> None:
        """spatial: [M,C,3,3], of each branch or one of all."""
        pairs = list(zip(spatial * (len(branches) // len(spatial)), branches, strict=True))
        groups = [pairs[first : first + JOINT_BRANCHES] for first in range(0, len(pairs), JOINT_BRANCHES)]
        self.parts = [_join_branches(group) for group in groups]

    def __call__(self, x: Tensor, memory: "Memory", *, name: str) -> Tensor:
        frames, height, width, _ = x.shape
        filters = [len(bias) for _, _, bias in self.parts]
        y = memory.take(name, frames, height, width, sum(filters))
        outputs = y.split(filters, dim=-1)
        for (offsets, weight, bias), output in zip(self.parts, outputs, strict=True):
            reach = offsets[-1]
            padded = F.pad(x, (0, 0, 0, 0, 0, 0, reach, reach))
            for first in range(0, frames, JOINT_FRAMES):
                result = output[first : first + JOINT_FRAMES]
                around = torch.cat([padded[reach + first + offset :][: len(result)] for offset in offsets], dim=-1)
                answer = F.conv2d(around.permute(0, 3, 1, 2), weight, bias, padding=1)
                torch.clamp_min(answer.permute(0, 2, 3, 1), 0, out=result)
        return y


def _join_branches(branches: list[tuple[Tensor, Branch]]) -> tuple[list[int], Tensor, Tensor]:
    """Offsets of the frames around, in order; the weight [C',C for each of them,3,3], and the bias."""
    offsets = sorted({sign * branch.dilation for _, branch in branches for sign in (-1, 0, 1)})
    weights = []
    for within_frames, branch in branches:
        before, at, after = torch.einsum("omt,mchw->tochw", branch.weight.squeeze(-1), within_frames)
        of_offset = {-branch.dilation: before, 0: at, branch.dilation: after}
        weights.append(torch.cat([of_offset.get(offset, torch.zeros_like(at)) for offset in offsets], dim=1))
    weight = torch.cat(weights).contiguous(memory_format=torch.channels_last)
    return offsets, weight, torch.cat([branch.bias for _, branch in branches])


class StagedConvs:
    """3x3 within frames, then each branch's in time."""

    def __init__(self, spatial: list[Tensor], branches: list[Branch]) -> None:
        """As JointConv's."""
        self.branches = branches
        self.within_frames = FrameConv(torch.cat(spatial), parts=len(spatial))

    def __call__(self, x: Tensor, memory: "Memory", *, name: str) -> Tensor:
        frames, height, width, _ = x.shape
        parts = list(self.within_frames(x, memory))
        y = memory.take(name, frames, height, width, sum(len(branch.bias) for branch in self.branches))
        outputs = y.split([len(branch.bias) for branch in self.branches], dim=-1)
        inputs = parts * (len(self.branches) // len(parts))
        for part, branch, output in zip(inputs, self.branches, outputs, strict=True):
            pixels = part.flatten(1, 2)[None].permute(0, 3, 1, 2)  # [1,M,T,H*W], channels last in memory
            padding, dilation = (branch.dilation, 0), (branch.dilation, 1)
            answer = F.conv2d(pixels, branch.weight, branch.bias, padding=padding, dilation=dilation)
            answer = answer[0].permute(1, 2, 0).view(*part.shape[:3], -1)
            torch.clamp_min(answer[:, :height, :width], 0, out=output)
        return y


class FrameConv:
    """3x3 within frames: [T,H,W,C] -> [G,T,H+1,4 ceil(W/4),C'/G], whose last row and columns from W on mean nothing.

    Frames stand above one another with a row of zeros between them, so that tiles need not end where frames do.
    """

    def __init__(self, weight: Tensor, *, parts: int = 1) -> None:
        """weight: [C',C,3,3]. parts: G, of the answer, each of which lies in one piece of memory."""
        self.parts = parts
        transform = torch.tensor(TO_WEIGHTS, dtype=torch.float64)
        of_points = torch.kron(transform, transform) @ weight.double().permute(2, 3, 1, 0).reshape(9, -1)
        self.weight = of_points.view(36, *weight.shape[1::-1]).float()  # [36,C,C']
        self.to_tiles, self.to_pixels = (
            torch.kron(matrix, matrix) for matrix in (torch.tensor(TO_TILES).float(), torch.tensor(TO_PIXELS).float())
        )

    def __call__(self, x: Tensor, memory: "Memory") -> Tensor:
        frames, height, width, channels = x.shape
        columns = -(-width // 4)
        step = 4 // math.gcd(height + 1, 4)  # so many frames fill whole tiles
        at_once = step * max(1, round(TILES_AT_ONCE * 4 / (step * (height + 1) * columns)))
        turns = -(-frames // at_once)
        filters = self.weight.shape[2] // self.parts
        y = memory.take("parts", self.parts, turns * at_once, height + 1, 4 * columns, filters)
        padded = x.new_zeros(at_once * (height + 1) + 2, 4 * columns + 2, channels)
        inner = padded[1:-1].unflatten(0, (at_once, height + 1))[:, :height, 1 : width + 1]
        for part, result in zip(x.split(at_once), y.split(at_once, dim=1), strict=True):
            inner[: len(part)] = part
            self._convolve(padded, result.flatten(1, 2))
        return y[:, :frames]

    def _convolve(self, padded: Tensor, result: Tensor) -> None:
        """[4 rows + 2,4 columns + 2,C] -> [G,4 rows,4 columns,C'/G]"""
        parts, height, width, filters = result.shape
        rows, columns = height // 4, width // 4
        of_row, of_pixel, _ = padded.stride()
        size, stride = (6, 6, rows, columns, padded.shape[2]), (of_row, of_pixel, 4 * of_row, 4 * of_pixel, 1)
        tiles = padded.as_strided(size, stride)
        points = (self.to_tiles @ tiles.reshape(36, -1)).view(36, rows * columns, -1)  # [36,P,C]
        pixels = self.to_pixels @ torch.bmm(points, self.weight).view(36, -1)  # [16,P*C']
        pixels = pixels.view(4, 4, rows, columns, parts, filters)
        result.view(parts, rows, 4, columns, 4, filters).copy_(pixels.permute(4, 2, 0, 3, 1, 5))
