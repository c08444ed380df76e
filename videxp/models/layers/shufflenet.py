"""ShuffleNet V2 over pictures or clips. Ma et al. 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN
Architecture Design", figure 3 and table 5; in 3D as Köpüklü et al. 2019, "Resource Efficient 3D Convolutional Neural
Networks", table 3, inflate it."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

CONVS: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS: dict[int, Any] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOLS: dict[int, Any] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}

Shuffle = Literal["after", "before"]
"""Where channels change places. after: at the end of a block, whose successor splits them in halves (the paper).
before: at its beginning, into those of even and of odd number (the authors' later code)."""


class ShuffleNet(nn.Module):
    """[B,3,H,W] or [B,3,T,H,W] -> features at strides 8, 16 and 32, of time 4, 8 and 16.

    widths: of the stem and the three stages; all but the first are even.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        dims: Literal[2, 3] = 2,
        depths: Sequence[int] = (4, 8, 4),
        shuffle: Shuffle = "after",
    ) -> None:
        super().__init__()
        stem, *stages = widths
        stride = (2, 2) if dims == 2 else (1, 2, 2)
        conv = CONVS[dims](3, stem, 3, stride=stride, padding=1, bias=False)
        self.stem = nn.Sequential(conv, NORMS[dims](stem), nn.ReLU(inplace=True), POOLS[dims](3, stride=2, padding=1))
        self.stages = nn.ModuleList(
            _stage(d_in, d_out, depth=depth, dims=dims, shuffle=shuffle)
            for d_in, d_out, depth in zip([stem, *stages], stages, depths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _stage(d_in: int, d_out: int, *, depth: int, dims: int, shuffle: Shuffle) -> nn.Sequential:
    first = ShuffleBlock(d_in, d_out, dims=dims, stride=2, shuffle=shuffle)
    return nn.Sequential(
        first, *(ShuffleBlock(d_out, d_out, dims=dims, stride=1, shuffle=shuffle) for _ in range(depth - 1))
    )


class ShuffleBlock(nn.Module):
    """Half of the channels pass unchanged, half through the branch; at stride 2 all go through both branches."""

    def __init__(self, d_in: int, d_out: int, *, dims: int, stride: int, shuffle: Shuffle) -> None:
        super().__init__()
        half = d_out // 2
        conv, norm = CONVS[dims], NORMS[dims]

        def depthwise(width: int) -> list[nn.Module]:
            return [conv(width, width, 3, stride=stride, padding=1, groups=width, bias=False), norm(width)]

        def pointwise(width: int) -> list[nn.Module]:
            return [conv(width, half, 1, bias=False), norm(half), nn.ReLU(inplace=True)]

        branch_in = half if stride == 1 else d_in
        self.shuffle = shuffle
        self.branch = nn.Sequential(*pointwise(branch_in), *depthwise(half), *pointwise(half))
        self.shortcut = None if stride == 1 else nn.Sequential(*depthwise(d_in), *pointwise(d_in))

    def forward(self, x: Tensor) -> Tensor:
        if self.shortcut is not None:
            kept, new = self.shortcut(x), self.branch(x)
        else:
            kept, new = x.chunk(2, 1) if self.shuffle == "after" else x.unflatten(1, (-1, 2)).unbind(2)
            new = self.branch(new)
        if self.shuffle == "after":
            return torch.stack([kept, new], 2).flatten(1, 2)
        return torch.cat([kept, new], 1)
