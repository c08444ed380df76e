"""Residual blocks of GANs with class-conditional norms, in the manner of SNGAN (Miyato et al. 2018), in 2-D and 3-D.

Shapes: N images or frames, D features, T frames, H, W; K classes.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.generation.dcgan import Norm, norm_layer


class ConditionalNorm(nn.Module):
    """A norm whose scale and shift depend on the class, if there are classes: [N,D,H,W], label int64 [N]."""

    def __init__(self, width: int, *, num_classes: int | None, norm: Norm) -> None:
        super().__init__()
        self.norm = norm_layer(norm, width, dims=2)
        self.scale = nn.Embedding(num_classes, width) if num_classes else None
        self.shift = nn.Embedding(num_classes, width) if num_classes else None
        for table in (self.scale, self.shift):
            if table is not None:
                nn.init.zeros_(table.weight)  # at first as though there were no classes

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        x = self.norm(x)
        if self.scale is None or self.shift is None or label is None:
            return x
        return x * (1 + self.scale(label)[:, :, None, None]) + self.shift(label)[:, :, None, None]


class UpBlock(nn.Module):
    """A residual block that doubles the size, nearest first: [N,D,H,W] -> [N,D',2H,2W]."""

    def __init__(self, d_in: int, d_out: int, *, num_classes: int | None, norm: Norm) -> None:
        super().__init__()
        self.norm1 = ConditionalNorm(d_in, num_classes=num_classes, norm=norm)
        self.conv1 = nn.Conv2d(d_in, d_out, 3, padding=1)
        self.norm2 = ConditionalNorm(d_out, num_classes=num_classes, norm=norm)
        self.conv2 = nn.Conv2d(d_out, d_out, 3, padding=1)
        self.shortcut = nn.Conv2d(d_in, d_out, 1)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        residual = self.conv1(_double(self.norm1(x, label).relu()))
        return self.conv2(self.norm2(residual, label).relu()) + _double(self.shortcut(x))


class Render(nn.Module):
    """Features to pixels in [-1,1]: [N,D,H,W] -> [N,3,H,W]."""

    def __init__(self, width: int, *, num_classes: int | None, norm: Norm) -> None:
        super().__init__()
        self.norm = ConditionalNorm(width, num_classes=num_classes, norm=norm)
        self.conv = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        return self.conv(self.norm(x, label).relu()).tanh()


class DownBlock(nn.Module):
    """A residual 3-D block that halves what is longer than one: [B,D,T,H,W]; the first one only space."""

    def __init__(self, d_in: int, d_out: int, *, first: bool) -> None:
        super().__init__()
        d_hidden = d_out if first else d_in
        self.first = first
        self.conv1 = nn.Conv3d(d_in, d_hidden, 3, padding=1)
        self.conv2 = nn.Conv3d(d_hidden, d_out, 3, padding=1)
        self.shortcut = nn.Conv3d(d_in, d_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.conv2(self.conv1(x if self.first else x.relu()).relu())
        return self._halve(residual + self.shortcut(x))

    def _halve(self, x: Tensor) -> Tensor:
        kernel = [min(2, n) for n in x.shape[2:]]
        if self.first:
            kernel[0] = 1
        return F.avg_pool3d(x, kernel, ceil_mode=True, count_include_pad=False)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
