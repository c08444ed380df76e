"""ViViT-B/16x2, factorised encoder. Arnab et al. 2021, "ViViT: A Video Vision Transformer", section 3.3 (model 2).

Tubelets of 2x16x16; a ViT-B over the tokens of each time step, then four layers over the steps' class tokens.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import AttentionStage, FeatureMap
from videxp.models.layers.attention import Mlp, SelfAttention, initialize_linear
from videxp.models.weights import load_weights

_TUBELET = (2, 16, 16)


class ViViT(nn.Module):
    """[B,T,C,H,W] -> [B,num_classes], for the clip shape that it was made for."""

    attention = (
        AttentionStage("space", ("(b t) (1 h w)",), readout="class", stride=_TUBELET),
        AttentionStage("time", ("b (1 t)",), readout="class", stride=_TUBELET),
    )

    box_features = FeatureMap("space.blocks", "(b t) (1 h w) d", stride=_TUBELET)

    @property
    def feature_map(self) -> FeatureMap:
        """What the last block over space attends over: after it the class tokens alone are read."""
        return FeatureMap(f"space.blocks.{len(self.space.blocks) - 1}.norm1", "(b t) (1 h w) d", stride=_TUBELET)

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        size: int,
        dropout: float,
        width: int,
        heads: int,
        space_depth: int,
        time_depth: int,
    ) -> None:
        super().__init__()
        num_steps, num_patches = num_frames // _TUBELET[0], (size // _TUBELET[1]) ** 2
        self.embed = nn.Conv3d(3, width, _TUBELET, stride=_TUBELET)
        self.space = _Encoder(width, num_tokens=num_patches, heads=heads, depth=space_depth, dropout=dropout)
        self.time = _Encoder(width, num_tokens=num_steps, heads=heads, depth=time_depth, dropout=dropout)
        self.head = nn.Linear(width, num_classes)
        initialize_linear(self)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        tubelets = self.embed(video.transpose(1, 2))  # [B,D,T/2,H/16,W/16]
        batch_size = tubelets.shape[0]
        patches = tubelets.flatten(3).permute(0, 2, 3, 1).flatten(0, 1)  # [B*T/2,N,D]
        steps = self.space(patches).unflatten(0, (batch_size, -1))  # [B,T/2,D]
        return self.head(self.time(steps))


class _Encoder(nn.Module):
    """A class token in front, learned positions, `depth` blocks; returns the class token: [B,N,D] -> [B,D]."""

    def __init__(self, width: int, *, num_tokens: int, heads: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, num_tokens + 1, width).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(_Block(width, heads=heads, dropout=dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        tokens = self.blocks(self.dropout(tokens + self.pos_embed))
        return self.norm(tokens[:, 0])


class _Block(nn.Module):
    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = SelfAttention(width, heads=heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, hidden=4 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.attn(self.norm1(tokens)))
        return tokens + self.dropout(self.mlp(self.norm2(tokens)))


@accepts(min_frames=2, frames_multiple=2, min_size=16, size_multiple=16)
def vivit_b(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    num_frames: Annotated[int, Ge(2)] = 32,
    size: Annotated[int, Ge(16)] = 224,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    width: Annotated[int, Ge(1)] = 768,
    heads: Annotated[int, Ge(1)] = 12,
    space_depth: Annotated[int, Ge(1)] = 12,
    time_depth: Annotated[int, Ge(1)] = 4,
) -> nn.Module:
    """ViViT-B/16x2 factorised encoder. Published at 32x224x224, stride 2; made for `num_frames` and `size`."""
    net = ViViT(
        num_classes=num_classes,
        num_frames=num_frames,
        size=size,
        dropout=dropout,
        width=width,
        heads=heads,
        space_depth=space_depth,
        time_depth=time_depth,
    )
    load_weights(net, weights, head="head")
    return net
