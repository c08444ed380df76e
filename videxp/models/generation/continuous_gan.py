"""A GAN whose clips are functions of continuous time, in the manner of StyleGAN-V: any length, any frame rate.

Skorokhodov et al. 2022, "StyleGAN-V: A Continuous Video Generator with the Price, Image Quality and Perks of
StyleGAN2". From section 3 of the paper: the motion codes, the synthesis that gets them beside its constant input, and
one discriminator of a few frames that knows how far apart they are (`sparse_frames`). Of our own: the picture ends in a
tanh, and there are neither noise inputs nor statistics of the batch, so that a clip depends on nothing but its codes.
Legend: B clips, T frames, A anchors in time, C, H, W; D features; K classes.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge, accepts
from videxp.models.gan import DiscriminatorInput, Rngs, VideoGAN, VideoGenerator, halvings, normal, pick_frames
from videxp.models.generation.dcgan import widths
from videxp.models.generation.sparse_frames import SparseFramesDiscriminator
from videxp.models.layers.stylegan2 import Conv, Linear, Synthesis, activate, normalize

_KERNEL = 11  # of the two convolutions over the motion noise


class MotionCodes(nn.Module):
    """Noise at equidistant anchors in time to a code at any moment: [B,n,noise_size], times [B,T] -> [B,T,width].

    Section 3.1: convolutions make the noise a trajectory u; between two anchors the code is a sine whose amplitude,
    period and phase are u's, less its own values at the two anchors (else it would jump there), plus a learned
    value at each anchor, all interpolated linearly: acyclic and continuous.
    """

    def __init__(self, *, noise_size: int, width: int, step: int) -> None:
        super().__init__()
        self.step = step
        self.smooth1 = Conv(noise_size, width, _KERNEL, dims=1)
        self.smooth2 = Conv(width, width, _KERNEL, dims=1)
        self.amplitude, self.period, self.phase = (Linear(width, width) for _ in range(3))
        self.anchor = Linear(width, width)
        periods = step * torch.logspace(-2, 2, width, base=2.0)  # frames: from a quarter of a step to four steps
        self.register_buffer("frequency", 2 * math.pi / periods, persistent=False)
        self.frequency: Tensor

    def noise_length(self, num_frames: int) -> int:
        """How many noise vectors `num_frames` frames need: anchors around them, and the convolutions' margins."""
        return (num_frames - 1) // self.step + 2 + 2 * (_KERNEL - 1)

    def forward(self, noise: Tensor, times: Tensor) -> Tensor:
        """Raises ValueError for a time before 0 or after the last anchor, on the CPU: asking a GPU waits for it, and an
        exported graph cannot ask."""
        u = activate(self.smooth2(activate(self.smooth1(noise.transpose(1, 2))))).transpose(1, 2)  # [B,A,width]
        last = (u.shape[1] - 1) * self.step
        asks = times.device.type == "cpu" and not torch.compiler.is_exporting()
        if asks and not bool(((times >= 0) & (times <= last)).all()):
            reach = f"{float(times.min()):g} to {float(times.max()):g}"
            raise ValueError(
                f"times from {reach}, but the latent reaches from 0 to {last}: draw it with more num_frames"
            )
        left = (times / self.step).floor().long().clamp(max=max(u.shape[1] - 2, 0))
        passed = times - left * self.step  # frames since the left anchor
        share = (passed / self.step)[..., None]
        u_left, anchors = pick_frames(u, left), self.anchor(u)
        amplitude, phase = self.amplitude(u_left), self.phase(u_left)
        frequency = self.frequency * (1 + self.period(u_left).tanh())

        def wave(frames: Tensor) -> Tensor:
            return amplitude * (frequency * frames[..., None] + phase).sin()

        between = torch.lerp(wave(torch.zeros_like(passed)), wave(torch.full_like(passed, self.step)), share)
        aligned = torch.lerp(pick_frames(anchors, left), pick_frames(anchors, left + 1), share)
        return wave(passed) - between + aligned


class ContinuousGenerator(VideoGenerator):
    """Frames at any times, each drawn by itself from the clip's style and the motion code of its moment."""

    any_rate = True

    def __init__(
        self,
        *,
        num_frames: int,
        size: int,
        num_classes: int | None,
        latent_size: int,
        style_size: int,
        motion_size: int,
        motion_step: int,
        width: int,
    ) -> None:
        keys = frozenset({"content", "w"})
        super().__init__(num_frames=num_frames, size=size, num_classes=num_classes, content_keys=keys)
        self.latent_size, self.motion_size = latent_size, motion_size
        base, doublings = halvings(size)
        channels = widths(width, doublings + 1)[::-1]
        self.embed = nn.Embedding(num_classes, latent_size) if num_classes else None
        self.mapping = nn.ModuleList(
            Linear(d_in, style_size, learning_rate=0.01)
            for d_in in (latent_size * (2 if num_classes else 1), style_size)
        )
        self.motion = MotionCodes(noise_size=motion_size, width=motion_size, step=motion_step)
        self.constant = nn.Parameter(torch.randn(channels[0], base, base))
        self.synthesis = Synthesis(channels[0] + motion_size, widths=channels, style_size=style_size)

    def latent(
        self, rngs: Rngs, *, num_frames: int | None = None, device: torch.device | str = "cpu"
    ) -> dict[str, Tensor]:
        """content [B,latent_size]; motion [B,n,motion_size], noise for times from 0 to num_frames - 1 at least."""
        length = self.motion.noise_length(num_frames or self.num_frames)
        return {
            "content": normal(rngs, self.latent_size, device=device),
            "motion": normal(rngs, length, self.motion_size, device=device),
        }

    def style(self, latent: Mapping[str, Tensor], *, label: Tensor | None = None) -> Tensor:
        """w [B,style_size]; given back as latent["w"], it is used as it is (path lengths, interpolation)."""
        self.require_label(label)
        x = normalize(latent["content"])
        if self.embed is not None:
            x = torch.cat([x, normalize(self.embed(label))], dim=1)
        for layer in self.mapping:
            x = activate(layer(x))
        return x

    def forward(
        self,
        latent: Mapping[str, Tensor],
        *,
        num_frames: int | None = None,
        label: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """-> [B,T,3,H,W] in [-1,1]. times: float [T] or [B,T], in frames of the data; torch.arange(2 * T) / 2 doubles
        the frame rate. Without it 0, 1 ... num_frames - 1."""
        batch_size, device = latent["motion"].shape[0], latent["motion"].device
        if times is None:
            times = torch.arange(num_frames or self.num_frames, dtype=torch.float32, device=device)
        times = times.expand(batch_size, -1)
        num_frames, w = times.shape[1], latent["w"] if "w" in latent else self.style(latent, label=label)
        motion_N = self.motion(latent["motion"], times).flatten(0, 1)
        constant = self.constant.expand(motion_N.shape[0], -1, -1, -1)
        moment = motion_N[:, :, None, None].expand(-1, -1, *constant.shape[2:])
        frames = self.synthesis(torch.cat([constant, moment], dim=1), w.repeat_interleave(num_frames, dim=0))
        return frames.tanh().unflatten(0, (batch_size, num_frames))


@accepts(min_frames=2, min_size=12, size_multiple=4)
class ContinuousGAN(VideoGAN):
    """At 256x256 by default; our own counts: see conf/model/continuous_gan.yaml."""

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] | None = None,
        num_frames: Annotated[int, Ge(2)] = 32,
        size: Annotated[int, Ge(12)] = 256,
        latent_size: Annotated[int, Ge(1)] = 512,
        style_size: Annotated[int, Ge(1)] = 512,
        motion_size: Annotated[int, Ge(1)] = 512,
        motion_step: Annotated[int, Ge(1)] = 16,
        frames_seen: Annotated[int, Ge(2)] = 3,
        width: Annotated[int, Ge(1)] = 64,
        discriminator_width: Annotated[int, Ge(1)] = 64,
    ) -> None:
        """num_frames: real clips' length, from which `frames_seen` frames are drawn, of generated clips as well.
        motion_step: frames from one anchor of the motion to the next. width: at the finest resolution; it doubles up
        to eight times itself towards the coarsest."""
        generator = ContinuousGenerator(
            num_frames=num_frames,
            size=size,
            num_classes=num_classes,
            latent_size=latent_size,
            style_size=style_size,
            motion_size=motion_size,
            motion_step=motion_step,
            width=width,
        )
        judge = SparseFramesDiscriminator(
            frames_seen=min(frames_seen, num_frames),
            size=size,
            num_classes=num_classes,
            embed_size=style_size,
            width=discriminator_width,
        )
        super().__init__(generator=generator, discriminators={"video": judge})

    def fake_inputs(
        self, latent: Mapping[str, Tensor], *, label: Tensor | None = None, rngs: Rngs | None
    ) -> tuple[dict[str, DiscriminatorInput], dict[str, Tensor]]:
        """Only the frames that will be judged are drawn."""
        generator, judge = self.generator, self.discriminators["video"]
        assert isinstance(generator, ContinuousGenerator) and isinstance(judge, SparseFramesDiscriminator)
        motion = latent["motion"]
        times = judge.draw_times(len(motion), generator.num_frames, rngs=rngs).to(motion)
        return {"video": DiscriminatorInput(generator(latent, label=label, times=times), times)}, {}
