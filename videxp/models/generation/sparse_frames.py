"""The discriminator of StyleGAN-V (Skorokhodov et al. 2022, section 3.3): a few frames, and how far apart they are.

Legend: B clips, T frames, C, H, W; N images; D features; E numbers of an embedding.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.gan import Discriminator, DiscriminatorInput, Rngs, frame_numbers, halvings, pick_frames
from videxp.models.generation.dcgan import widths
from videxp.models.layers.stylegan2 import Conv, Linear, ModulatedConv, activate, normalize


class SparseFramesDiscriminator(Discriminator):
    """Judges `frames_seen` frames of a clip and their distances in time, which modulate its convolutions (section 3.3).

    Frames are reduced one by one, then laid side by side as channels.
    """

    def __init__(self, *, frames_seen: int, size: int, num_classes: int | None, embed_size: int, width: int) -> None:
        super().__init__()
        self.frames_seen = frames_seen
        base, doublings = halvings(size)
        channels = widths(width, doublings + 1)
        single = max(doublings - 2, 1)
        self.distances = Distances(frames_seen - 1, embed_size)
        self.embed = nn.Embedding(num_classes, embed_size) if num_classes else None
        self.from_rgb = Conv(3, width, 1)
        self.each = nn.ModuleList(_Down(a, b, embed_size) for a, b in pairwise(channels[: single + 1]))
        self.join = Conv(frames_seen * channels[single], channels[single], 1)
        self.together = nn.ModuleList(_Down(a, b, embed_size) for a, b in pairwise(channels[single:]))
        self.last = Conv(channels[-1], channels[-1], 3, padding=1)
        self.hidden = Linear(channels[-1] * base**2, channels[-1])
        self.judge = Linear(channels[-1], embed_size)

    def select(self, video: Tensor, *, rngs: Rngs | None = None) -> DiscriminatorInput:
        """`frames_seen` different frames in their order; without chance spread evenly."""
        times = self.draw_times(len(video), video.shape[1], rngs=rngs).to(video.device)
        return DiscriminatorInput(pick_frames(video, times), times.float())

    def draw_times(self, batch_size: int, num_frames: int, *, rngs: Rngs | None) -> Tensor:
        """int64 [B,frames_seen], ascending, on the CPU."""
        if num_frames < self.frames_seen:
            raise ValueError(f"clips of {num_frames} frames for a discriminator of {self.frames_seen}")
        if rngs is None:
            return torch.linspace(0, num_frames - 1, self.frames_seen).round().long().expand(batch_size, -1)
        drawn = [sorted(rng.choice(num_frames, self.frames_seen, replace=False).tolist()) for rng in rngs]
        return torch.tensor(drawn)

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """-> {"logits": [B,1]}."""
        embedding = self.distances(frame_numbers(video) if times is None else times)
        if self.embed is not None:
            if label is None:
                raise ValueError("a class-conditional discriminator needs the labels")
            embedding = embedding + self.embed(label)
        x = activate(self.from_rgb(video.flatten(0, 1)))
        for block in self.each:
            x = block(x, embedding.repeat_interleave(self.frames_seen, dim=0))
        x = activate(self.join(x.unflatten(0, (-1, self.frames_seen)).flatten(1, 2)))
        for block in self.together:
            x = block(x, embedding)
        features = activate(self.hidden(activate(self.last(x)).flatten(1)))
        judgement = (self.judge(features) * normalize(embedding)).sum(dim=1, keepdim=True)
        return {"logits": judgement / math.sqrt(embedding.shape[1])}


class Distances(nn.Module):
    """The time from each frame to the next as sines and cosines: [B,T] -> [B,embed_size]."""

    def __init__(self, count: int, embed_size: int) -> None:
        super().__init__()
        self.register_buffer("frequency", math.pi / 2 ** torch.arange(8.0), persistent=False)
        self.frequency: Tensor
        self.mix1 = Linear(count * 16, embed_size)
        self.mix2 = Linear(embed_size, embed_size)

    def forward(self, times: Tensor) -> Tensor:
        angle = times.diff(dim=1)[..., None] * self.frequency
        return self.mix2(activate(self.mix1(torch.cat([angle.sin(), angle.cos()], dim=2).flatten(1))))


class _Down(nn.Module):
    """Residual block that halves the size; its first convolution is modulated: [N,D,H,W], [N,E] -> [N,D',H/2,W/2]."""

    def __init__(self, d_in: int, d_out: int, embed_size: int) -> None:
        super().__init__()
        self.conv1 = ModulatedConv(d_in, d_in, 3, style_size=embed_size, demodulate=False)
        self.conv2 = Conv(d_in, d_out, 3, padding=1)
        self.shortcut = Conv(d_in, d_out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        residual = activate(self.conv2(activate(self.conv1(x, embedding))))
        return F.avg_pool2d(residual + self.shortcut(x), 2) / math.sqrt(2)
