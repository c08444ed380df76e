"""STTN: inpainting by attention between patches of all frames, at several sizes. Zeng, Fu & Chao 2020, "Learning Joint
Spatial-Temporal Transformations for Video Inpainting", section 3, and its discriminator, T-PatchGAN.

The defaults are the published generator (16,556,163 parameters); the authors' file, {'netG': ...}, loads.

Shapes: B clips, T frames, C = 3, H, W pixels in [0,1]; h = H / 4, w = W / 4; D features; the mask is 1 where a pixel is
hidden.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge
from videxp.models.gan import Discriminator, Rngs
from videxp.models.layers.restoration_blocks import pad_to_multiple
from videxp.models.weights import Renames, load_weights

Grid = tuple[int, ...]
HIDDEN_SHARE = 0.5  # a patch of which more is hidden is not attended to
SPECTRAL_NAMES: Renames = (
    (r"\.weight_orig$", ".parametrizations.weight.original"),
    (r"\.weight_(u|v)$", r".parametrizations.weight.0._\1"),
)


class STTN(nn.Module):
    """video [B,T,3,H,W] and mask [B,T,1,H,W] -> [B,T,3,H,W]: the video outside the mask, what was predicted within it.

    Hidden pixels of `video` are not looked at. All frames see one another: give the ones to be filled and, from
    elsewhere in the video, some for reference.
    """

    scale: ClassVar[int] = 1
    radius: ClassVar[int | None] = None
    told: ClassVar[str] = "mask"
    intermediates: ClassVar[tuple[str, ...]] = ("prediction",)
    reference_step: ClassVar[int] = 10  # in long videos: of the frames beside those to be filled

    def __init__(
        self,
        *,
        channels: Annotated[int, Ge(4)] = 256,
        blocks: Annotated[int, Ge(1)] = 8,
        patches: Sequence[Annotated[int, Ge(1)]] = (1, 3, 6, 12),
        mask_attention: bool | None = None,
        weights: str | None = None,
    ) -> None:
        """
        patches: for each head, along height and width, in how many patches it cuts a frame; at 432 x 240 these are the
            published ones (108 x 60, 36 x 20, 18 x 10 and 9 x 5 features).
        mask_attention: whether patches that are mostly hidden are not attended to, as the paper says. The authors' code
            drops the result of its `masked_fill`, so that their weights were trained without. None: not with `weights`.
        """
        super().__init__()
        if channels % math.lcm(4, len(patches)):
            raise BadRequest(
                f"model.channels={channels} is no multiple of 4 and of the {len(patches)} heads (model.patches)"
            )
        self.multiple = 4 * math.lcm(*patches)
        attends = weights is None if mask_attention is None else mask_attention
        quarter, half = channels // 4, channels // 2
        self.encoder = nn.Sequential(
            nn.Conv2d(3, quarter, 3, stride=2, padding=1),
            leaky(),
            nn.Conv2d(quarter, quarter, 3, padding=1),
            leaky(),
            nn.Conv2d(quarter, half, 3, stride=2, padding=1),
            leaky(),
            nn.Conv2d(half, channels, 3, padding=1),
            leaky(),
        )
        self.transformer = nn.ModuleList(
            TransformerBlock(channels, patches=tuple(patches), mask_attention=attends) for _ in range(blocks)
        )
        self.decoder = nn.Sequential(
            Doubled(channels, half),
            leaky(),
            nn.Conv2d(half, quarter, 3, padding=1),
            leaky(),
            Doubled(quarter, quarter),
            leaky(),
            nn.Conv2d(quarter, 3, 3, padding=1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.normal_(module.weight, 0.0, 0.02)
                nn.init.zeros_(module.bias)
        load_weights(self, weights)

    def forward(self, video: Tensor, condition: Tensor) -> Tensor:
        return composited(video, self.predict(video, condition), condition)

    def forward_with_intermediates(self, video: Tensor, condition: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(output, what was predicted everywhere): the papers' loss is of that outside the mask, too."""
        prediction = self.predict(video, condition)
        return composited(video, prediction, condition), {"prediction": prediction}

    def intermediate_targets(self, video: Tensor, condition: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"prediction": target}

    def predict(self, video: Tensor, mask: Tensor) -> Tensor:
        """[B,T,3,H,W] of all pixels, in [0,1]."""
        size = video.shape[-2:]
        video, mask = pad_to_multiple(video, self.multiple), pad_to_multiple(mask, self.multiple)
        seen = torch.where(mask > 0.5, torch.zeros_like(video), 2 * video - 1)
        x = self.encoder(seen.flatten(0, 1)).unflatten(0, video.shape[:2])
        hidden = F.interpolate(mask.flatten(0, 1), scale_factor=0.25).unflatten(0, mask.shape[:2])
        for block in self.transformer:
            x = block(x, hidden)
        prediction = torch.tanh(self.decoder(x.flatten(0, 1))).unflatten(0, video.shape[:2])
        return (prediction[..., : size[0], : size[1]] + 1) / 2


class TransformerBlock(nn.Module):
    """[B,T,D,h,w], mask [B,T,1,h,w] -> [B,T,D,h,w]: attention (equations 2 to 5), then convolutions; both residual."""

    def __init__(self, channels: int, *, patches: Grid, mask_attention: bool) -> None:
        super().__init__()
        self.attention = PatchAttention(channels, patches=patches, mask_attention=mask_attention)
        self.feed_forward = FeedForward(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attention(x, mask)
        return x + self.feed_forward(x)


class FeedForward(nn.Module):
    """[B,T,D,h,w] -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2),
            leaky(),
            nn.Conv2d(channels, channels, 3, padding=1),
            leaky(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class PatchAttention(nn.Module):
    """[B,T,D,h,w], mask [B,T,1,h,w] -> [B,T,D,h,w]: each head attends between patches, of a size of its own, of all
    frames."""

    def __init__(self, channels: int, *, patches: Grid, mask_attention: bool) -> None:
        super().__init__()
        self.patches = patches
        self.mask_attention = mask_attention
        self.query_embedding = nn.Conv2d(channels, channels, 1)
        self.key_embedding = nn.Conv2d(channels, channels, 1)
        self.value_embedding = nn.Conv2d(channels, channels, 1)
        self.output_linear = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), leaky())

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        frames = x.flatten(0, 1)
        embeddings = (self.query_embedding, self.key_embedding, self.value_embedding)
        chunks = [embed(frames).unflatten(0, x.shape[:2]).chunk(len(self.patches), dim=2) for embed in embeddings]
        heads = [self._head(q, k, v, mask, grid=grid) for grid, q, k, v in zip(self.patches, *chunks)]
        return self.output_linear(torch.cat(heads, dim=2).flatten(0, 1)).unflatten(0, x.shape[:2])

    def _head(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, *, grid: int) -> Tensor:
        """[B,T,d,h,w] each -> [B,T,d,h,w]."""
        query, key, patches = into_patches(query, grid), into_patches(key, grid), into_patches(value, grid)
        return from_patches(attend(query, key, patches, self._allowed(mask, grid)), like=value, grid=grid)

    def _allowed(self, mask: Tensor, grid: int) -> Tensor | None:
        """bool [B,1,n]: patches that may be attended to; all of a clip of which every patch is hidden."""
        if not self.mask_attention:
            return None
        seen = (into_patches(mask, grid).mean(-1) <= HIDDEN_SHARE).unsqueeze(1)
        return seen | ~seen.any(-1, keepdim=True)


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None) -> Tensor:
    """[B,n,d] each, n patches of d values -> [B,n,d]."""
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    return scores.softmax(-1) @ value


def into_patches(x: Tensor, grid: int) -> Tensor:
    """[B,T,d,h,w] -> [B,T*grid*grid,d*(h/grid)*(w/grid)]."""
    cut = x.unflatten(4, (grid, -1)).unflatten(3, (grid, -1))  # [B,T,d,gy,ph,gx,pw]
    return cut.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(1, 3)


def from_patches(patches: Tensor, *, like: Tensor, grid: int) -> Tensor:
    """`into_patches` undone: to the shape of `like`."""
    _, frames, depth, height, width = like.shape
    cut = patches.unflatten(1, (frames, grid, grid)).unflatten(4, (depth, height // grid, width // grid))
    return cut.permute(0, 1, 4, 2, 5, 3, 6).flatten(5).flatten(3, 4)


class Doubled(nn.Module):
    """[N,d_in,h,w] -> [N,d_out,2h,2w]: bilinear, then a convolution."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(d_in, d_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


def composited(video: Tensor, prediction: Tensor, mask: Tensor) -> Tensor:
    """The prediction where the mask is 1; elsewhere the video, bit for bit."""
    return torch.where(mask > 0.5, prediction.to(video.dtype), video)


def leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)


class TPatchGAN(Discriminator):
    """Judges patches of space and time: six 3-D convolutions with spectral norms, 17,832,256 parameters at width 64.

    Chang et al. 2019, "Free-form Video Inpainting with 3D Gated Convolution and Temporal PatchGAN", section 3.3, as in
    STTN. Each clip is judged by itself; the authors' code strings the clips of a batch together as one.
    """

    def __init__(self, *, width: Annotated[int, Ge(1)] = 64, weights: str | None = None) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 4 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for i, (d_in, d_out) in enumerate(pairwise(widths)):
            is_last = i == len(widths) - 2
            padding = (1, 1, 1) if i == 0 else (1, 2, 2)
            conv = nn.Conv3d(d_in, d_out, (3, 5, 5), stride=(1, 2, 2), padding=padding, bias=is_last)
            nn.init.normal_(conv.weight, 0.0, 0.02)
            layers += [conv] if is_last else [spectral_norm(conv), leaky()]
        self.conv = nn.Sequential(*layers)
        load_weights(self, weights, renames=SPECTRAL_NAMES)

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """[B,T,3,H,W] in [0,1] -> {"logits": [B,P]}."""
        return {"logits": self.conv((2 * video - 1).transpose(1, 2)).flatten(1)}
