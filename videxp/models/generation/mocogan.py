"""MoCoGAN. Tulyakov et al. 2018, "MoCoGAN: Decomposing Motion and Content for Video Generation".

A content code for the whole clip; a motion code for each frame, made from noise by a GRU; each frame is drawn by itself
from the two. One discriminator judges single frames, another one clips. What moves may also come in categories, which
the video discriminator has to recognize (InfoGAN, section 3): learned ones, or the data's classes.
Legend: B clips, T frames, C, H, W; K categories.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

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
    halvings,
    integers,
    normal,
    pick_frames,
    with_noise,
)
from videxp.models.generation.dcgan import Norm, Projection, frame_decoder, norm_layer, widths


class MoCoGANGenerator(VideoGenerator):
    """Clips of any length: the GRU goes on. `categories` is the number of classes if there are some."""

    def __init__(
        self,
        *,
        num_frames: int,
        size: int,
        num_classes: int | None,
        content_size: int,
        motion_size: int,
        categories: int,
        width: int,
        norm: Norm,
    ) -> None:
        super().__init__(num_frames=num_frames, size=size, num_classes=num_classes, content_keys=frozenset({"content"}))
        self.content_size, self.motion_size, self.categories = content_size, motion_size, categories
        self.recurrent = nn.GRUCell(motion_size, motion_size)
        code_size = content_size + motion_size + categories
        self.decoder = frame_decoder(code_size, width=width, size=size, bias=False, norm=norm)

    def latent(
        self, rngs: Rngs, *, num_frames: int | None = None, device: torch.device | str = "cpu"
    ) -> dict[str, Tensor]:
        """content [B,content_size], start [B,motion_size], motion [B,T,motion_size], all from N(0,1); and category,
        int64 [B], where categories are learned."""
        codes = {
            "content": normal(rngs, self.content_size, device=device),
            "start": normal(rngs, self.motion_size, device=device),
        }
        if self.num_classes is None and self.categories:
            codes["category"] = integers(rngs, self.categories, device=device)
        # Drawn last and frame by frame: that a longer clip begins as a shorter one.
        return {**codes, "motion": normal(rngs, num_frames or self.num_frames, self.motion_size, device=device)}

    def forward(
        self, latent: Mapping[str, Tensor], *, num_frames: int | None = None, label: Tensor | None = None
    ) -> Tensor:
        """-> [B,T,3,H,W] in [-1,1]. Raises ValueError for more frames than the latent has noise for."""
        self.require_label(label)
        num_frames = num_frames or self.num_frames
        content = latent["content"][:, None].expand(-1, num_frames, -1)
        codes = torch.cat(
            [content, self.motion_codes(latent, num_frames), *self._kind(latent, label, num_frames)], dim=2
        )
        frames = self.decoder(codes.flatten(0, 1)[:, :, None, None])
        return frames.unflatten(0, (-1, num_frames))

    def motion_codes(self, latent: Mapping[str, Tensor], num_frames: int) -> Tensor:
        """h_t = GRU(noise_t, h_{t-1}) -> [B,T,motion_size]."""
        noise, state = latent["motion"], latent["start"]
        if num_frames > noise.shape[1]:
            raise ValueError(f"num_frames={num_frames}, but the latent was drawn for {noise.shape[1]} frames")
        states = []
        for noise_t in noise[:, :num_frames].unbind(dim=1):
            state = self.recurrent(noise_t, state)
            states.append(state)
        return torch.stack(states, dim=1)

    def _kind(self, latent: Mapping[str, Tensor], label: Tensor | None, num_frames: int) -> list[Tensor]:
        """The category, one-hot for each frame [B,T,K]; none where there are no categories."""
        category = latent.get("category") if label is None else label
        if category is None:
            return []
        one_hot = F.one_hot(category, self.categories).to(latent["content"])
        return [one_hot[:, None].expand(-1, num_frames, -1)]


class ImageDiscriminator(Discriminator):
    """Judges patches of one frame of each clip, drawn by chance: [B,1,3,H,W] -> logits [B,P]."""

    def __init__(self, *, size: int, width: int, noise: float, norm: Norm) -> None:
        super().__init__()
        hidden = widths(width, halvings(size)[1] - 1)
        self.noise = noise
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(d_in, d_out, 4, 2, 1, bias=False), *_activation(d_out, dims=2, first=not i, norm=norm)
            )
            for i, (d_in, d_out) in enumerate(zip([3, *hidden], hidden))
        )
        self.head = nn.Conv2d(hidden[-1], 1, 4, 2, 1, bias=False)

    def select(self, video: Tensor, *, rngs: Rngs | None = None) -> DiscriminatorInput:
        """One frame of each clip; without chance the one in the middle."""
        num_frames = video.shape[1]
        middle = torch.full((video.shape[0],), num_frames // 2, device=video.device)
        index = middle if rngs is None else integers(rngs, num_frames, device=video.device)
        return DiscriminatorInput(pick_frames(video, index[:, None]), index[:, None].float())

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """-> {"logits": [B,P]}; of a view of several frames, all their patches."""
        num_frames = video.shape[1]
        x = video.flatten(0, 1)
        each_frame = [rng for rng in rngs for _ in range(num_frames)] if rngs is not None else None
        for block in self.blocks:
            x = block(with_noise(x, sigma=self.noise, rngs=each_frame))
        logits = self.head(with_noise(x, sigma=self.noise, rngs=each_frame))
        return {"logits": logits.unflatten(0, (-1, num_frames)).flatten(1)}


class VideoDiscriminator(Discriminator):
    """Judges clips. patch: patches, by logits [B,P]. categorical: each clip as a whole, and which category moves it."""

    def __init__(
        self,
        *,
        kind: Literal["categorical", "patch"],
        num_frames: int,
        size: int,
        num_classes: int | None,
        categories: int,
        width: int,
        noise: float,
        norm: Norm,
    ) -> None:
        super().__init__()
        base, doublings = halvings(size)
        patch = kind == "patch"
        hidden = widths(width, doublings - 1 if patch else doublings)
        *kernels, last = time_kernels(num_frames, len(hidden) + 1)
        self.noise = noise
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(d_in, d_out, (kernel, 4, 4), (1, 2, 2), (0, 1, 1), bias=False),
                *_activation(d_out, dims=3, first=not i, norm=norm),
            )
            for i, (d_in, d_out, kernel) in enumerate(zip([3, *hidden], hidden, kernels))
        )
        if patch:
            self.head = nn.Conv3d(hidden[-1], 1, (last, 4, 4), (1, 2, 2), (0, 1, 1), bias=False)
        else:
            self.head = nn.Conv3d(hidden[-1], 1 + categories, (last, base, base), bias=False)
        self.projection = Projection(num_classes, hidden[-1]) if num_classes and patch else None

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """-> {"logits": [B,P]}; and {"category": [B,K]} of a categorical one, over longer clips the mean."""
        x = video.transpose(1, 2)
        for block in self.blocks:
            x = block(with_noise(x, sigma=self.noise, rngs=rngs))
        out = self.head(x).flatten(2)  # [B,1+K,P]
        logits = out[:, 0]
        if self.projection is not None:
            logits = logits + self.projection(x, label)
        return {"logits": logits, "category": out[:, 1:].mean(dim=2)} if out.shape[1] > 1 else {"logits": logits}


@accepts(min_size=12, size_multiple=4)
class MoCoGAN(VideoGAN):
    """The published networks by default: generator 3,298,836 parameters, image discriminator 663,296, video
    discriminator 11,253,504 (categorical) or 2,650,880 (patch)."""

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] | None = None,
        num_frames: Annotated[int, Ge(1)] = 16,
        size: Annotated[int, Ge(12)] = 64,
        content_size: Annotated[int, Ge(1)] = 50,
        motion_size: Annotated[int, Ge(1)] = 10,
        categories: Annotated[int, Ge(0)] = 6,
        video_discriminator: Literal["categorical", "patch"] = "categorical",
        width: Annotated[int, Ge(1)] = 64,
        discriminator_width: Annotated[int, Ge(1)] = 64,
        noise: Annotated[float, Ge(0)] = 0.1,
        norm: Norm = "batch",
    ) -> None:
        """categories: how many kinds of motion to discover; num_classes takes its place. noise: standard deviation of
        what is added to the inputs of the discriminators' layers."""
        categories = num_classes or categories
        generator = MoCoGANGenerator(
            num_frames=num_frames,
            size=size,
            num_classes=num_classes,
            content_size=content_size,
            motion_size=motion_size,
            categories=categories,
            width=width,
            norm=norm,
        )
        of_clips = VideoDiscriminator(
            kind=video_discriminator,
            num_frames=num_frames,
            size=size,
            num_classes=num_classes,
            categories=categories,
            width=discriminator_width,
            noise=noise,
            norm=norm,
        )
        of_frames = ImageDiscriminator(size=size, width=discriminator_width, noise=noise, norm=norm)
        super().__init__(generator=generator, discriminators={"image": of_frames, "video": of_clips})


def time_kernels(num_frames: int, layers: int) -> list[int]:
    """Unpadded kernels of at most 4 that use the frames up evenly: 16, 5 -> [4, 4, 4, 4, 4]; 4, 3 -> [2, 2, 2]."""
    used = min(num_frames - 1, 3 * layers)
    return [1 + used * (i + 1) // layers - used * i // layers for i in range(layers)]


def _activation(width: int, *, dims: Literal[2, 3], first: bool, norm: Norm) -> list[nn.Module]:
    after = nn.LeakyReLU(0.2, inplace=True)
    return [after] if first else [norm_layer(norm, width, dims=dims), after]
