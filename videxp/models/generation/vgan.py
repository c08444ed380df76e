"""VGAN. Vondrick, Pirsiavash and Torralba 2016, "Generating Videos with Scene Dynamics", section 2.

A moving foreground (3-D convolutions) is laid by a mask over a background that stands still (2-D convolutions):
G(z) = m(z) * f(z) + (1 - m(z)) * b(z), section 2.2. Legend: B clips, T frames, C, H, W.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, accepts
from videxp.models.gan import (
    Discriminator,
    DiscriminatorInput,
    Rngs,
    VideoGAN,
    VideoGenerator,
    frame_numbers,
    halvings,
    normal,
)
from videxp.models.generation.dcgan import Norm, Projection, frame_decoder, norm_layer, widths


@dataclass(frozen=True)
class Streams:
    """foreground [B,T,3,H,W] in [-1,1]; mask [B,T,1,H,W] in [0,1]; background [B,1,3,H,W] in [-1,1]."""

    foreground: Tensor
    mask: Tensor
    background: Tensor

    @property
    def video(self) -> Tensor:
        """m * f + (1 - m) * b, the background repeated over time."""
        return self.mask * self.foreground + (1 - self.mask) * self.background


class VGANGenerator(VideoGenerator):
    """One code for all: content and motion cannot be told apart, and a clip has the length it was made for."""

    any_length = False

    def __init__(
        self, *, num_frames: int, size: int, num_classes: int | None, latent_size: int, width: int, norm: Norm
    ) -> None:
        super().__init__(num_frames=num_frames, size=size, num_classes=num_classes, content_keys=frozenset({"code"}))
        self.latent_size = latent_size
        d_in = latent_size + (num_classes or 0)
        self.moving = _moving_stream(d_in, num_frames=num_frames, size=size, width=width, norm=norm)
        *_, in_time = _doubles(num_frames, size)
        self.foreground = _enlarge(width, 3, in_time=in_time)
        self.mask = _enlarge(width, 1, in_time=in_time)
        self.background = frame_decoder(d_in, width=width, size=size, bias=True, norm=norm)

    def latent(
        self, rngs: Rngs, *, num_frames: int | None = None, device: torch.device | str = "cpu"
    ) -> dict[str, Tensor]:
        """{"code": [B,latent_size]} from N(0,1)."""
        return {"code": normal(rngs, self.latent_size, device=device)}

    def streams(self, latent: Mapping[str, Tensor], *, label: Tensor | None = None) -> Streams:
        """The three parts of the clips."""
        self.require_label(label)
        code = latent["code"]
        if label is not None and self.num_classes is not None:
            code = torch.cat([code, F.one_hot(label, self.num_classes).to(code)], dim=1)
        features = self.moving(code[:, :, None, None, None])
        return Streams(
            foreground=self.foreground(features).tanh().transpose(1, 2),
            mask=self.mask(features).sigmoid().transpose(1, 2),
            background=self.background(code[:, :, None, None])[:, None],
        )

    def forward(
        self, latent: Mapping[str, Tensor], *, num_frames: int | None = None, label: Tensor | None = None
    ) -> Tensor:
        """-> [B,T,3,H,W] in [-1,1]. Raises ValueError for another number of frames than it was made for."""
        if num_frames not in (None, self.num_frames):
            raise ValueError(f"num_frames={num_frames}: this VGAN makes clips of {self.num_frames} frames only")
        return self.streams(latent, label=label).video


class VGANDiscriminator(Discriminator):
    """Five 3-D convolutions, section 2.3; of its two outputs (fake, real) the logit is the difference."""

    def __init__(self, *, num_frames: int, size: int, num_classes: int | None, width: int, norm: Norm) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        d_in = 3
        base, doublings = halvings(size)
        for position, (d_out, halve) in enumerate(zip(widths(width, doublings), reversed(_doubles(num_frames, size)))):
            layers.append(nn.Conv3d(d_in, d_out, (4 if halve else 3, 4, 4), (2 if halve else 1, 2, 2), 1))
            if position:
                layers.append(norm_layer(norm, d_out, dims=3))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            d_in = d_out
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv3d(d_in, 2, (_first_frames(num_frames, size), base, base))
        self.projection = Projection(num_classes, d_in) if num_classes else None

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """-> {"logits": [B,1]}: softmax over two outputs is the sigmoid of their difference."""
        features = self.features(video.transpose(1, 2))
        fake, real = self.head(features).flatten(1).chunk(2, dim=1)
        logits = real - fake
        return {"logits": logits if self.projection is None else logits + self.projection(features, label)}


@accepts(min_size=12, size_multiple=4)
class VGAN(VideoGAN):
    """The published network by default: generator 16,245,383 parameters, discriminator 11,057,858."""

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] | None = None,
        num_frames: Annotated[int, Ge(1)] = 32,
        size: Annotated[int, Ge(12)] = 64,
        latent_size: Annotated[int, Ge(1)] = 100,
        width: Annotated[int, Ge(1)] = 64,
        discriminator_width: Annotated[int, Ge(1)] = 64,
        norm: Norm = "batch",
        mask_sparsity: Annotated[float, Ge(0)] = 0.1,
    ) -> None:
        """mask_sparsity: weight of the mask's mean in the generator's loss, so that the background is used at all."""
        generator = VGANGenerator(
            num_frames=num_frames, size=size, num_classes=num_classes, latent_size=latent_size, width=width, norm=norm
        )
        judge = VGANDiscriminator(
            num_frames=num_frames, size=size, num_classes=num_classes, width=discriminator_width, norm=norm
        )
        super().__init__(generator=generator, discriminators={"video": judge})
        self.mask_sparsity = mask_sparsity

    def fake_inputs(
        self, latent: Mapping[str, Tensor], *, label: Tensor | None = None, rngs: Rngs | None
    ) -> tuple[dict[str, DiscriminatorInput], dict[str, Tensor]]:
        """Whole clips, and the term "mask": mask_sparsity * mean |m| (section 2.2)."""
        generator = self.generator
        assert isinstance(generator, VGANGenerator)
        streams = generator.streams(latent, label=label)
        terms = {"mask": self.mask_sparsity * streams.mask.mean()}
        return {"video": DiscriminatorInput(streams.video, frame_numbers(streams.video))}, terms


def _doubles(num_frames: int, size: int) -> list[bool]:
    """Which of the generator's doublings in space double time, too: the last ones, down to 2 or an odd number.

    32 frames of 64 pixels -> all four; 4 frames of 64 pixels -> the last one.
    """
    doublings, in_time = halvings(size)[1], 0
    while num_frames % 2 == 0 and num_frames > 2:
        num_frames, in_time = num_frames // 2, in_time + 1
    return [position >= doublings - in_time for position in range(doublings)]


def _first_frames(num_frames: int, size: int) -> int:
    return num_frames >> sum(_doubles(num_frames, size))


def _enlarge(d_in: int, d_out: int, *, in_time: bool) -> nn.ConvTranspose3d:
    """Doubles space, and time if `in_time`."""
    return nn.ConvTranspose3d(d_in, d_out, (4 if in_time else 3, 4, 4), (2 if in_time else 1, 2, 2), 1)


def _moving_stream(d_in: int, *, num_frames: int, size: int, width: int, norm: Norm) -> nn.Sequential:
    """[B,d_in,1,1,1] -> [B,width,T/2,H/2,W/2]; at 32 frames of 64 pixels: 2x4x4x512 ... 16x32x32x64."""
    base, doublings = halvings(size)
    doubled = _doubles(num_frames, size)
    first, *others = reversed(widths(width, doublings))
    layers: list[nn.Module] = [nn.ConvTranspose3d(d_in, first, (_first_frames(num_frames, size), base, base))]
    for before, after, in_time in zip([first, *others], others, doubled):
        layers += [norm_layer(norm, before, dims=3), nn.ReLU(inplace=True)]
        layers.append(_enlarge(before, after, in_time=in_time))
    return nn.Sequential(*layers, norm_layer(norm, width, dims=3), nn.ReLU(inplace=True))
