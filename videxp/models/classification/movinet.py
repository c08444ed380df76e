"""MoViNet stream: causal, a video in steps of any length. Kondratyuk et al. 2021, "MoViNets: Mobile Video Networks for
Efficient Video Recognition", section 3.2 and tables 6 and 7; here the (2+1)D variant that the authors published
(tensorflow/models, official/projects/movinet, README.md): A0, A1 and A2 are without positional encoding.

State dicts of Atze00/MoViNet-pytorch (`modelA0_stream_statedict_v3`), which are the authors' weights, load; padding is
TensorFlow's, as theirs must be. N = B * t frames, D features.
"""

from collections import OrderedDict
from typing import Annotated, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth

from videxp.core.limits import Ge, Gt, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.layers.stages import multiple_of_8
from videxp.models.layers.streaming import begin, divide_size, join_past, running_mean
from videxp.models.weights import Renames, load_weights

MOVINET_NAMES: Renames = (
    (r"^conv1\.conv_1\.conv2d\.", "stem.conv."),
    (r"^conv1\.conv_1\.", "stem."),
    (r"^conv7\.", "last."),
    (r"^classifier\.0\.conv_1\.conv2d\.", "hidden."),
    (r"^classifier\.3\.conv_1\.conv2d\.", "classifier."),
    (r"\.deep\.conv_1\.", ".space."),
    (r"\.deep\.conv_2\.", ".time."),
    (r"\.res\.[01]\.", ".skip."),
    (r"\.(fc[12])\.conv_1\.conv2d\.", r".\1."),
    (r"\.conv_1\.", "."),
    (r"\.conv2d\.", ".conv."),
)


class Widths(NamedTuple):
    """Of a variant: features of the stem, the stages and the last layer."""

    stem: int
    stages: tuple[tuple[int, str], ...]
    """Features of a stage, and its layers: `184x5x3 112x3x3`, features within, frames and pixels of the kernel."""
    last: int


VARIANTS = {
    "a0": Widths(
        8,
        (
            (8, "24x1x5"),
            (32, "80x3x3 80x3x3 80x3x3"),
            (56, "184x5x3 112x3x3 184x3x3"),
            (56, "184x5x3 184x3x3 184x3x3 184x3x3"),
            (104, "384x5x3 280x1x5 280x1x5 344x1x5"),
        ),
        480,
    ),
    "a1": Widths(
        16,
        (
            (16, "40x1x5 40x3x3"),
            (40, "96x3x3 120x3x3 96x3x3 96x3x3"),
            (64, "216x5x3 128x3x3 216x3x3 168x3x3 216x3x3"),
            (64, "216x5x3 216x3x3 216x3x3 128x3x3 128x1x5 216x3x3"),
            (136, "456x5x3 360x1x5 360x1x5 360x1x5 456x1x5 456x3x3 544x1x3"),
        ),
        600,
    ),
    "a2": Widths(
        16,
        (
            (16, "40x1x5 40x3x3 64x3x3"),
            (40, "96x3x3 120x3x3 96x3x3 96x3x3 120x3x3"),
            (72, "240x5x3 160x3x3 240x3x3 192x3x3 240x3x3"),
            (72, "240x5x3 240x3x3 240x3x3 240x3x3 144x1x5 240x3x3"),
            (144, "480x5x3 384x1x5 384x1x5 480x1x5 480x1x5 480x3x3 576x1x3"),
        ),
        640,
    ),
}
_STRIDES = (2, 2, 2, 1, 2)  # of each stage's first layer


@accepts()
class MoViNetStream(nn.Module):
    """[B,T,C,H,W] -> [B,num_classes] after the last frame; `step` answers after each, `Streaming`.

    An answer is of all frames since the state began: a stream without end begins anew where what is asked about does.
    width_factor: of all features but the classifier's.
    """

    feature_map = FeatureMap("last", "(b t) d h w")
    delay_frames = 0

    def __init__(
        self,
        *,
        variant: Literal["a0", "a1", "a2"],
        num_classes: Annotated[int, Ge(1)] = 600,
        weights: str | None = None,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.2,
        stochastic_depth: Annotated[float, Interval(ge=0, lt=1)] = 0.2,
        width_factor: Annotated[float, Gt(0)] = 1.0,
        head_width: Annotated[int, Ge(1)] = 2048,
    ) -> None:
        super().__init__()

        def scaled(width: int) -> int:
            return multiple_of_8(width * width_factor)

        stem, stages, last = VARIANTS[variant]
        self.stem = _conv(3, scaled(stem), kernel=3, stride=2, act=True)
        d_in, count = scaled(stem), sum(len(layers.split()) for _, layers in stages)
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for i, ((width, layers), stride) in enumerate(zip(stages, _STRIDES, strict=True)):
            for j, layer in enumerate(layers.split()):
                inner, frames, pixels = map(int, layer.split("x"))
                blocks[f"b{i}_l{j}"] = _Block(
                    d_in,
                    scaled(inner),
                    scaled(width),
                    frames=frames,
                    pixels=pixels,
                    stride=stride if j == 0 else 1,
                    drop_rate=stochastic_depth * (len(blocks) + 1) / count,
                )
                d_in = scaled(width)
        self.blocks = nn.ModuleDict(blocks)
        self.last = _conv(d_in, scaled(last), act=True)
        self.hidden = nn.Conv2d(scaled(last), head_width, 1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(head_width, num_classes, 1)
        self._initialize()
        load_weights(self, weights, head="classifier", renames=MOVINET_NAMES)

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)

    def initial_state(
        self, batch: int, size: tuple[int, int], *, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        """Frames so far [B]; for each block its features of the frames before [B,k-1,D,h,w], where it looks back, and
        their total [B,D]; the total of the last features [B,D]."""
        shapes: list[tuple[int, ...]] = [(batch,)]
        size = divide_size(size, 2)
        for block in self._blocks:
            size = divide_size(size, block.stride)
            shapes += block.state_shapes(batch, size)
        shapes.append((batch, self.hidden.in_channels))
        return tuple(torch.zeros(shape, device=device, dtype=dtype) for shape in shapes)

    def step(self, video: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """[B,t,C,H,W] -> logits [B,t,num_classes] after each frame, of all frames so far."""
        pooled, state = self._pool(video, state)
        return self._classify(pooled.flatten(0, 1)).unflatten(0, pooled.shape[:2]), state

    def forward(self, video: Tensor) -> Tensor:
        pooled, _ = self._pool(video, begin(self, video))
        return self._classify(pooled[:, -1])

    @property
    def _blocks(self) -> "list[_Block]":
        return [cast(_Block, block) for block in self.blocks.values()]

    def _pool(self, video: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The mean features over all frames so far, after each [B,t,D]."""
        batch, frames = video.shape[:2]
        count, rest, following = state[0], state[1:], []
        x = self.stem(video.flatten(0, 1))
        for block in self._blocks:
            x, after = block(x, count, rest[: block.num_states])
            following += after
            rest = rest[block.num_states :]
        features = self.last(x).mean(dim=(2, 3)).unflatten(0, (batch, frames))
        pooled, total = running_mean(rest[0], count, features)
        return pooled, (count + frames, *following, total)

    def _classify(self, pooled: Tensor) -> Tensor:
        """[N,D] -> [N,num_classes]."""
        hidden = F.silu(self.hidden(pooled[:, :, None, None]))
        return self.classifier(self.dropout(hidden)).flatten(1)


class _Block(nn.Module):
    """x + alpha * project(excite(time(space(expand(x))))): [N,D,h,w] -> [N,D',h',w']; alpha starts at 0 (ReZero)."""

    def __init__(
        self, d_in: int, d_inner: int, d_out: int, *, frames: int, pixels: int, stride: int, drop_rate: float
    ) -> None:
        super().__init__()
        self.stride = stride
        self.past = frames - 1
        self.width = d_inner
        self.expand = _conv(d_in, d_inner, act=True)
        self.space = _conv(d_inner, d_inner, kernel=pixels, stride=stride, groups=d_inner, act=True)
        if self.past:
            self.time = nn.Sequential(
                OrderedDict(
                    conv=nn.Conv2d(d_inner, d_inner, (frames, 1), groups=d_inner, bias=False),
                    norm=nn.BatchNorm2d(d_inner, eps=1e-3),
                    act=nn.Hardswish(),
                )
            )
        self.se = _RunningExcitation(d_inner)
        self.project = _conv(d_inner, d_out, act=False)
        self.skip = _conv(d_in, d_out, act=False) if stride > 1 or d_in != d_out else None
        self.alpha = nn.Parameter(torch.tensor(0.0))
        self.drop_path = StochasticDepth(drop_rate, mode="row")

    @property
    def num_states(self) -> int:
        return 2 if self.past else 1

    def state_shapes(self, batch: int, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """size: of its outputs."""
        total = (batch, self.width)
        return [(batch, self.past, self.width, *size), total] if self.past else [total]

    def forward(self, x: Tensor, count: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        batch, after = count.shape[0], []
        inner = self.space(self.expand(x))
        if self.past:
            inner, past = self._look_back(inner, state[0])
            after.append(past)
        inner, total = self.se(inner, count, state[-1])
        branch = self.alpha * self.project(inner)
        branch = self.drop_path(branch.unflatten(0, (batch, -1))).flatten(0, 1)  # a clip's frames together
        if self.skip is not None:
            x = self.skip(same_average(x) if self.stride > 1 else x)
        return x + branch, [*after, total]

    def _look_back(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """A convolution over the frames before and this one: [N,D,h,w] -> the same."""
        height, width = x.shape[-2:]
        both, past = join_past(past, x.unflatten(0, (past.shape[0], -1)), dim=1)
        both = both.flatten(3).transpose(1, 2)  # [B,D,k-1+t,h*w]
        return self.time(both).transpose(1, 2).unflatten(3, (height, width)).flatten(0, 1), past


class _RunningExcitation(nn.Module):
    """Squeeze-and-excitation by the mean over all frames so far and that of the frame itself: [N,D,h,w] -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = multiple_of_8(width / 2)
        self.fc1 = nn.Conv2d(2 * width, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor, count: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        of_frame = x.mean(dim=(2, 3)).unflatten(0, (count.shape[0], -1))  # [B,t,D]
        so_far, total = running_mean(total, count, of_frame)
        squeezed = F.hardswish(self.fc1(torch.cat([so_far, of_frame], dim=2).flatten(0, 1)[:, :, None, None]))
        scale = (0.2 * self.fc2(squeezed) + 0.5).clamp(0, 1)  # Keras' hard sigmoid, not PyTorch's
        return x * scale, total


class _SameConv2d(nn.Conv2d):
    """Padded as by TensorFlow: at stride 2 an even side is padded less before than after."""

    def forward(self, input: Tensor) -> Tensor:
        if self.stride[0] == 1:
            return super().forward(input)
        return F.conv2d(
            _pad_for_stride_2(input, self.kernel_size[0]), self.weight, None, self.stride, 0, 1, self.groups
        )


def _pad_for_stride_2(x: Tensor, kernel: int) -> Tensor:
    height, width = x.shape[-2:]
    before, after = (kernel - 3) // 2, (kernel - 1) // 2
    return F.pad(x, (before + width % 2, after, before + height % 2, after))


def same_average(x: Tensor) -> Tensor:
    """3x3 averages at every other pixel, over those that are there: [N,D,h,w] -> [N,D,ceil(h/2),ceil(w/2)]."""
    there = torch.ones_like(x[:1, :1])
    total, count = (F.avg_pool2d(_pad_for_stride_2(part, 3), 3, 2) for part in (x, there))
    return total / count


def _conv(d_in: int, d_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool) -> nn.Sequential:
    padding = kernel // 2 if stride == 1 else 0
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=_SameConv2d(d_in, d_out, kernel, stride=stride, padding=padding, groups=groups, bias=False),
        norm=nn.BatchNorm2d(d_out, eps=1e-3),
    )
    return nn.Sequential(layers | OrderedDict(act=nn.Hardswish())) if act else nn.Sequential(layers)
