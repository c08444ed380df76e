"""UniFormer-S. Li et al. 2022, "UniFormer: Unified Transformer for Efficient Spatiotemporal Representation Learning",
section 3 and table 1 of the appendix.

Two stages of convolution as local attention, then two of attention over all tokens of the clip.
Keys are the authors': their `uniformer_small_k400_16x4.pth` loads by name, and their network for pictures,
`uniformer_small_in1k.pth`, inflated (`inflation.py`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import AttentionStage, FeatureMap
from videxp.models.layers.attention import Mlp, SelfAttention, initialize_linear
from videxp.models.layers.inflation import inflated
from videxp.models.layers.stages import require_four_stages
from videxp.models.weights import load_weights

_MLP_RATIO = 4


class UniFormer(nn.Module):
    """[B,T,C,H,W] -> [B,num_classes]; time is halved once, space by 32 in four steps."""

    feature_map = FeatureMap("blocks4")
    attention = (AttentionStage("blocks4", ("b (t h w)",), readout="mean", stride=(2, 32, 32)),)

    def __init__(
        self,
        *,
        num_classes: int,
        stochastic_depth: float,
        widths: Sequence[int],
        depths: Sequence[int],
        head_width: int,
    ) -> None:
        super().__init__()
        require_four_stages(depths, name="depths")
        require_four_stages(widths, name="widths")
        rates = iter(torch.linspace(0, stochastic_depth, sum(depths), device="cpu").tolist())
        self.patch_embed1 = _PatchEmbed(3, widths[0], kernel=(3, 4, 4), stride=(2, 4, 4))
        self.blocks1 = nn.Sequential(*(_LocalBlock(widths[0], next(rates)) for _ in range(depths[0])))
        self.patch_embed2 = _PatchEmbed(widths[0], widths[1])
        self.blocks2 = nn.Sequential(*(_LocalBlock(widths[1], next(rates)) for _ in range(depths[1])))
        self.patch_embed3 = _PatchEmbed(widths[1], widths[2])
        self.blocks3 = nn.Sequential(*(_GlobalBlock(widths[2], next(rates), head_width) for _ in range(depths[2])))
        self.patch_embed4 = _PatchEmbed(widths[2], widths[3])
        self.blocks4 = nn.Sequential(*(_GlobalBlock(widths[3], next(rates), head_width) for _ in range(depths[3])))
        self.norm = nn.BatchNorm3d(widths[3])
        self.head = nn.Linear(widths[3], num_classes)
        initialize_linear(self)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        features = self.blocks1(self.patch_embed1(video.transpose(1, 2)))
        features = self.blocks2(self.patch_embed2(features))
        features = self.blocks3(self.patch_embed3(features))
        features = self.blocks4(self.patch_embed4(features))  # [B,D,T/2,H/32,W/32]
        return self.head(self.norm(features).mean(dim=(2, 3, 4)))


class _PatchEmbed(nn.Module):
    """A strided convolution whose patches don't overlap in space, then a norm over the features of each."""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        kernel: tuple[int, int, int] = (1, 2, 2),
        stride: tuple[int, int, int] = (1, 2, 2),
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_out)
        self.proj = nn.Conv3d(d_in, d_out, kernel, stride=stride, padding=(kernel[0] // 2, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x).movedim(1, -1)).movedim(-1, 1)


def _depthwise(width: int, *, kernel: int) -> nn.Conv3d:
    return nn.Conv3d(width, width, kernel, padding=kernel // 2, groups=width)


class _LocalBlock(nn.Module):
    """x + position; x + local affinity (a 5x5x5 depthwise convolution); x + MLP of 1x1x1 convolutions."""

    def __init__(self, width: int, drop_rate: float) -> None:
        super().__init__()
        self.pos_embed = _depthwise(width, kernel=3)
        self.norm1 = nn.BatchNorm3d(width)
        self.conv1 = nn.Conv3d(width, width, 1)
        self.attn = _depthwise(width, kernel=5)
        self.conv2 = nn.Conv3d(width, width, 1)
        self.norm2 = nn.BatchNorm3d(width)
        fc1, fc2 = nn.Conv3d(width, _MLP_RATIO * width, 1), nn.Conv3d(_MLP_RATIO * width, width, 1)
        self.mlp = nn.Sequential(OrderedDict(fc1=fc1, act=nn.GELU(), fc2=fc2))
        self.drop_path = StochasticDepth(drop_rate, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.drop_path(self.conv2(self.attn(self.conv1(self.norm1(x)))))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class _GlobalBlock(nn.Module):
    """x + position; x + attention over all tokens; x + MLP."""

    def __init__(self, width: int, drop_rate: float, head_width: int) -> None:
        super().__init__()
        self.pos_embed = _depthwise(width, kernel=3)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = SelfAttention(width, heads=max(width // head_width, 1))
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, hidden=_MLP_RATIO * width)
        self.drop_path = StochasticDepth(drop_rate, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        tokens = x.flatten(2).transpose(1, 2)  # [B,N,D]
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        tokens = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])


@accepts(min_size=32, size_multiple=4)
def uniformer_s(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    stochastic_depth: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
    widths: Sequence[Annotated[int, Ge(1)]] = (64, 128, 320, 512),
    depths: Sequence[Annotated[int, Ge(1)]] = (3, 4, 8, 3),
    head_width: Annotated[int, Ge(1)] = 64,
) -> nn.Module:
    """UniFormer-S 16x4. Published at 16x224x224; one attention head per `head_width` features."""
    net = UniFormer(
        num_classes=num_classes,
        stochastic_depth=stochastic_depth,
        widths=widths,
        depths=depths,
        head_width=head_width,
    )
    load_weights(net, weights, head="head", convert=partial(inflated, own=net.state_dict()))
    return net
