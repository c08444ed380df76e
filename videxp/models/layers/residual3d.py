"""What X3D, SlowFast and I3D share: residual bottlenecks over [B,C,T,H,W].

Module names (`branch2.conv_a`, `res_blocks`, ...) are those of pytorchvideo's published checkpoints, which thus load.
"""

from collections import OrderedDict
from collections.abc import Iterable

from torch import Tensor, nn

Size3 = tuple[int, int, int]


class ResBlock(nn.Module):
    """relu(shortcut(x) + branch2(x)); the shortcut is a strided 1x1x1 convolution where shape or size changes."""

    def __init__(self, *, branch1_conv: nn.Module | None, branch1_norm: nn.Module | None, branch2: nn.Module) -> None:
        super().__init__()
        if branch1_conv is not None:
            self.branch1_conv = branch1_conv
        if branch1_norm is not None:
            self.branch1_norm = branch1_norm
        self.branch2 = branch2
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,T,H,W] -> [B,C',T,H',W']."""
        shortcut = self.branch1_conv(x) if hasattr(self, "branch1_conv") else x
        shortcut = self.branch1_norm(shortcut) if hasattr(self, "branch1_norm") else shortcut
        return self.activation(shortcut + self.branch2(x))


class ResStage(nn.Module):
    """Residual blocks one after the other."""

    def __init__(self, blocks: Iterable[ResBlock]) -> None:
        super().__init__()
        self.res_blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,T,H,W] -> [B,C',T,H',W']."""
        return self.res_blocks(x)


def same_padding_conv(
    d_in: int, d_out: int, *, kernel: Size3, stride: Size3 = (1, 1, 1), groups: int = 1, space_dilation: int = 1
) -> nn.Conv3d:
    """A convolution without bias whose output has the input's size divided by `stride`."""
    dilation = (1, space_dilation, space_dilation)
    padding = (kernel[0] // 2, kernel[1] // 2 * space_dilation, kernel[2] // 2 * space_dilation)
    return nn.Conv3d(d_in, d_out, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False)


def stem(d_out: int, *, time_kernel: int) -> nn.Sequential:
    """7x7 convolution over `time_kernel` frames and 3x3 max pooling: a quarter of the size, all frames."""
    return nn.Sequential(
        OrderedDict(
            conv=same_padding_conv(3, d_out, kernel=(time_kernel, 7, 7), stride=(1, 2, 2)),
            norm=nn.BatchNorm3d(d_out),
            activation=nn.ReLU(inplace=True),
            pool=nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        )
    )


def bottleneck_stage(
    d_in: int, d_inner: int, d_out: int, *, time_kernels: Iterable[int], space_stride: int, space_dilation: int = 1
) -> ResStage:
    """A ResNet-50 stage: for each entry of `time_kernels` a block of Tx1x1, 1x3x3, 1x1x1; the first one is strided."""
    blocks = []
    for i, time_kernel in enumerate(time_kernels):
        shape = {"time_kernel": time_kernel, "space_stride": space_stride if i == 0 else 1}
        blocks.append(_bottleneck(d_in if i == 0 else d_out, d_inner, d_out, **shape, space_dilation=space_dilation))
    return ResStage(blocks)


def _bottleneck(
    d_in: int, d_inner: int, d_out: int, *, time_kernel: int, space_stride: int, space_dilation: int
) -> ResBlock:
    stride = (1, space_stride, space_stride)
    branch2 = nn.Sequential(
        OrderedDict(
            conv_a=same_padding_conv(d_in, d_inner, kernel=(time_kernel, 1, 1)),
            norm_a=nn.BatchNorm3d(d_inner),
            act_a=nn.ReLU(inplace=True),
            conv_b=same_padding_conv(d_inner, d_inner, kernel=(1, 3, 3), stride=stride, space_dilation=space_dilation),
            norm_b=nn.BatchNorm3d(d_inner),
            act_b=nn.ReLU(inplace=True),
            conv_c=same_padding_conv(d_inner, d_out, kernel=(1, 1, 1)),
            norm_c=nn.BatchNorm3d(d_out),
        )
    )
    changes = d_in != d_out or space_stride != 1
    return ResBlock(
        branch1_conv=same_padding_conv(d_in, d_out, kernel=(1, 1, 1), stride=stride) if changes else None,
        branch1_norm=nn.BatchNorm3d(d_out) if changes else None,
        branch2=branch2,
    )


def initialize(net: nn.Module) -> None:
    """He et al. 2015 for convolutions; blocks start as their shortcut, last norm zero (Goyal et al. 2017, 5.1)."""
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
        elif isinstance(module, ResBlock):
            last_norm = module.branch2.norm_c
            assert isinstance(last_norm, nn.BatchNorm3d)
            nn.init.zeros_(last_norm.weight)
