"""TGANv2. Saito et al. 2020, "Train Sparsely, Generate Densely: Memory-efficient Unsupervised Training of
High-resolution Temporal GAN", sections 3 and 4 and the appendix's tables.

A ConvLSTM unfolds one code into a small map of features for each frame; residual blocks enlarge each frame by itself.
In training, each further doubling is given every other frame only (a subsampling layer), and each level of resolution
has a discriminator of its own: coarse pictures of all frames, fine ones of a few. In use all frames are rendered by the
last level. The paper also drops half the clips at each subsampling; here all are kept, so that a clip's gradient
depends on no other clip. Legend: B clips, T frames, C, H, W; D features; K classes.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, accepts
from videxp.models.classification.recurrent import ConvLSTMLayer
from videxp.models.gan import (
    Discriminator,
    DiscriminatorInput,
    Rngs,
    VideoGAN,
    VideoGenerator,
    frame_numbers,
    halvings,
    integers,
    pick_frames,
    uniform,
)
from videxp.models.generation.dcgan import Norm, Projection
from videxp.models.layers.gan_blocks import DownBlock, Render, UpBlock


class TGANv2Generator(VideoGenerator):
    """One code unfolds into content and motion, which cannot be told apart; the ConvLSTM goes on to any length."""

    def __init__(
        self,
        *,
        num_frames: int,
        size: int,
        num_classes: int | None,
        levels: int,
        latent_size: int,
        recurrent_layers: int,
        recurrent_width: int,
        width: int,
        norm: Norm,
    ) -> None:
        super().__init__(num_frames=num_frames, size=size, num_classes=num_classes, content_keys=frozenset({"code"}))
        self.latent_size, self.levels = latent_size, levels
        base, doublings = halvings(size)
        self.unfold = nn.Linear(latent_size, recurrent_width * base**2)
        self.map_shape = (recurrent_width, base, base)
        self.recurrent = nn.Sequential(
            *(ConvLSTMLayer(recurrent_width, recurrent_width, kernel=3) for _ in range(recurrent_layers))
        )
        # 192 pixels: 512, 256, 128, 64, 32, 32
        widths = [recurrent_width, *(width * min(2 ** (doublings - 2 - i), 16) for i in range(doublings - 1)), width]
        self.blocks = nn.ModuleList(
            UpBlock(d_in, d_out, num_classes=num_classes, norm=norm) for d_in, d_out in pairwise(widths)
        )
        self.renders = nn.ModuleList(Render(d, num_classes=num_classes, norm=norm) for d in widths[-levels:])

    def latent(
        self, rngs: Rngs, *, num_frames: int | None = None, device: torch.device | str = "cpu"
    ) -> dict[str, Tensor]:
        """{"code": [B,latent_size]}, uniform in [-1,1]."""
        return {"code": uniform(rngs, self.latent_size, device=device)}

    def forward(
        self, latent: Mapping[str, Tensor], *, num_frames: int | None = None, label: Tensor | None = None
    ) -> Tensor:
        """-> [B,T,3,H,W] in [-1,1], all frames at the last level."""
        x, label_N, num_frames = self._maps(latent, num_frames, label)
        for block in self.blocks:
            x = block(x, label_N)
        return self.renders[-1](x, label_N).unflatten(0, (-1, num_frames))

    def pyramid(
        self, latent: Mapping[str, Tensor], *, label: Tensor | None, rngs: Rngs | None
    ) -> list[DiscriminatorInput]:
        """A view for each level, coarse first: each has half the frames of the one before, at twice its size."""
        x, label_N, num_frames = self._maps(latent, None, label)
        times = torch.arange(num_frames, device=x.device).expand(x.shape[0] // num_frames, -1)
        first_level = len(self.blocks) - self.levels
        inputs: list[DiscriminatorInput] = []
        for position, block in enumerate(self.blocks):
            if position > first_level:  # a subsampling layer
                index = every_other(rngs, times)
                times, x = times.gather(1, index), _by_clip(x, times, index)
                label_N = None if label is None else label.repeat_interleave(times.shape[1])
            x = block(x, label_N)
            if position >= first_level:
                video = self.renders[position - first_level](x, label_N).unflatten(0, times.shape)
                inputs.append(DiscriminatorInput(video, times.float()))
        return inputs

    def _maps(
        self, latent: Mapping[str, Tensor], num_frames: int | None, label: Tensor | None
    ) -> tuple[Tensor, Tensor | None, int]:
        """The ConvLSTM's states [B*T,D,base,base]; it is given the code at the first step and zeros from then on."""
        self.require_label(label)
        num_frames = num_frames or self.num_frames
        first = self.unfold(latent["code"]).unflatten(1, self.map_shape)[:, None]
        zeros = first.new_zeros(first.shape[0], num_frames - 1, *self.map_shape)
        states = self.recurrent(torch.cat([first, zeros], dim=1))
        return states.flatten(0, 1), None if label is None else label.repeat_interleave(num_frames), num_frames


class LevelDiscriminator(Discriminator):
    """Judges one level: real clips are reduced by `shrink`, and half the frames left out `drops` times."""

    def __init__(self, *, shrink: int, drops: int, num_classes: int | None, width: int, blocks: int) -> None:
        super().__init__()
        self.shrink, self.drops = shrink, drops
        widths = [3, *(width * 2**i for i in range(blocks))]
        self.blocks = nn.Sequential(*(DownBlock(a, b, first=i == 0) for i, (a, b) in enumerate(pairwise(widths))))
        self.head = nn.Linear(widths[-1], 1)
        self.projection = Projection(num_classes, widths[-1]) if num_classes else None

    def select(self, video: Tensor, *, rngs: Rngs | None = None) -> DiscriminatorInput:
        """[B,T,3,H,W] -> [B,T/2^drops,3,H/shrink,W/shrink]: areas averaged, frames left out from a drawn start."""
        times = frame_numbers(video).long()
        for _ in range(self.drops):
            times = times.gather(1, every_other(rngs, times))
        kept = pick_frames(video, times)
        small = F.avg_pool2d(kept.flatten(0, 1), self.shrink) if self.shrink > 1 else kept.flatten(0, 1)
        return DiscriminatorInput(small.unflatten(0, times.shape), times.float())

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """-> {"logits": [B,1]}."""
        features = self.blocks(video.transpose(1, 2)).relu().sum(dim=(2, 3, 4))
        logits = self.head(features)
        return {"logits": logits if self.projection is None else logits + self.projection(features[..., None], label)}


@accepts(min_size=12, size_multiple=4)
class TGANv2(VideoGAN):
    """Four levels at 16x192x192 by default; the paper gives no counts."""

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] | None = None,
        num_frames: Annotated[int, Ge(1)] = 16,
        size: Annotated[int, Ge(12)] = 192,
        levels: Annotated[int, Ge(1)] = 4,
        latent_size: Annotated[int, Ge(1)] = 256,
        recurrent_layers: Annotated[int, Ge(1)] = 3,
        recurrent_width: Annotated[int, Ge(1)] = 512,
        width: Annotated[int, Ge(1)] = 32,
        discriminator_width: Annotated[int, Ge(1)] = 64,
        discriminator_blocks: Annotated[int, Ge(1)] = 5,
        norm: Norm = "batch",
    ) -> None:
        """levels: resolutions that are judged, each twice the one before. Raises ValueError for more levels than there
        are doublings of the size, or frames to leave out."""
        most = min(halvings(size)[1], num_frames.bit_length())
        if levels > most:
            raise ValueError(f"levels={levels}: with num_frames={num_frames} and size={size} there are at most {most}")
        generator = TGANv2Generator(
            num_frames=num_frames,
            size=size,
            num_classes=num_classes,
            levels=levels,
            latent_size=latent_size,
            recurrent_layers=recurrent_layers,
            recurrent_width=recurrent_width,
            width=width,
            norm=norm,
        )
        judges = {
            f"level{level + 1}": LevelDiscriminator(
                shrink=2 ** (levels - 1 - level),
                drops=level,
                num_classes=num_classes,
                width=discriminator_width,
                blocks=discriminator_blocks,
            )
            for level in range(levels)
        }
        super().__init__(generator=generator, discriminators=judges)

    def fake_inputs(
        self, latent: Mapping[str, Tensor], *, label: Tensor | None = None, rngs: Rngs | None
    ) -> tuple[dict[str, DiscriminatorInput], dict[str, Tensor]]:
        """The levels as they are rendered in training: no frame is drawn finer than some discriminator will see it."""
        generator = self.generator
        assert isinstance(generator, TGANv2Generator)
        return dict(zip(self.discriminators, generator.pyramid(latent, label=label, rngs=rngs))), {}


def every_other(rngs: Rngs | None, times: Tensor) -> Tensor:
    """Positions int64 [B,T//2] of every other frame of [B,T], from the first or the second on, drawn for each clip."""
    index = 2 * torch.arange(times.shape[1] // 2, device=times.device).expand(times.shape[0], -1)
    return index if rngs is None else index + integers(rngs, 2, device=times.device)[:, None]


def _by_clip(x_N: Tensor, times: Tensor, index: Tensor) -> Tensor:
    """Frames [B*T,...] -> the picked ones [B*T',...]."""
    return pick_frames(x_N.unflatten(0, times.shape), index).flatten(0, 1)
