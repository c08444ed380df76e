"""What the video GANs share: a generator, its discriminators, and what each discriminator is shown of a clip.

Shapes: B clips, T frames, C channels, H, W; P judgements of one clip; K classes. Videos are float [B,T,C,H,W] in
[-1,1]. Nothing here draws from torch's global generator: all randomness comes in as `rngs`, one numpy generator per
clip, and every call draws further numbers from them. What is drawn for a clip therefore depends neither on the other
clips of its batch nor on the number of processes. A video GAN of yours needs no more than these three classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

Rngs = Sequence[np.random.Generator]


@dataclass(frozen=True)
class DiscriminatorInput:
    """What one discriminator is shown. video: [B,T',C,H',W']; times: float [B,T'], the frames' numbers in the clip."""

    video: Tensor
    times: Tensor


class VideoGenerator(nn.Module):
    """Latent codes to clips. `content_keys` are the entries of `latent` that say what is seen; the others move it.

    any_length: it makes clips of other lengths than it was trained on. any_rate: `forward` takes `times`.
    """

    any_length: ClassVar[bool] = True
    any_rate: ClassVar[bool] = False

    def __init__(self, *, num_frames: int, size: int, num_classes: int | None, content_keys: frozenset[str]) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.size = size
        self.num_classes = num_classes
        self.content_keys = content_keys

    def latent(
        self, rngs: Rngs, *, num_frames: int | None = None, device: torch.device | str = "cpu"
    ) -> dict[str, Tensor]:
        """All that is random in len(rngs) clips, each entry with its first dimension B.

        The codes of a longer clip of the same rng begin with those of a shorter one. num_frames: as trained unless
        given. The numbers are the same on every device.
        """
        raise NotImplementedError

    def forward(
        self, latent: Mapping[str, Tensor], *, num_frames: int | None = None, label: Tensor | None = None
    ) -> Tensor:
        """-> video float [B,num_frames,C,H,W] in [-1,1]. label: int64 [B], for a class-conditional generator."""
        raise NotImplementedError

    def combine(self, *, content: Mapping[str, Tensor], motion: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The content of one latent with the motion of another."""
        seen = {key: code for key, code in content.items() if key in self.content_keys}
        return seen | {key: code for key, code in motion.items() if key not in self.content_keys}

    def require_label(self, label: Tensor | None) -> None:
        """Raises ValueError unless there is a label exactly if the generator is class-conditional."""
        if (label is None) != (self.num_classes is None):
            has, given = (
                ("no classes", "a label") if self.num_classes is None else (f"{self.num_classes} classes", "none")
            )
            raise ValueError(f"{type(self).__name__} has {has}, but {given} was given; see num_classes")


class Discriminator(nn.Module):
    """Judges clips, or what it selects of them: the higher a logit, the more real."""

    def select(self, video: Tensor, *, rngs: Rngs | None = None) -> DiscriminatorInput:
        """What it wants to see of clips [B,T,C,H,W]: all of it, unless a subclass picks. rngs None: no chance in it."""
        return DiscriminatorInput(video, frame_numbers(video))

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """A view's video and times -> {"logits": [B,P]}, and for some "category": [B,K], unnormalized log p(category).

        A category is the label where there are classes, else latent["category"] (`videxp.losses.category_loss`).
        times None: 0, 1, 2 ... label: int64 [B], needed by a class-conditional one. rngs None: no noise is added.
        """
        raise NotImplementedError


class VideoGAN(nn.Module):
    """A generator and its discriminators by name: what a YAML under conf/model/ describes as one choice."""

    # Not a classifier, though it takes `num_classes`: see Contract.network_parameter.
    network_parameter: ClassVar[str] = "discriminators"

    generator: VideoGenerator
    discriminators: nn.ModuleDict

    def __init__(self, *, generator: VideoGenerator, discriminators: Mapping[str, Discriminator]) -> None:
        super().__init__()
        self.generator = generator
        self.discriminators = nn.ModuleDict(dict(discriminators))

    def forward(
        self, latent: Mapping[str, Tensor], *, num_frames: int | None = None, label: Tensor | None = None
    ) -> Tensor:
        """The generator's: -> video float [B,num_frames,C,H,W] in [-1,1]."""
        return self.generator(latent, num_frames=num_frames, label=label)

    def real_inputs(self, video: Tensor, *, rngs: Rngs | None) -> dict[str, DiscriminatorInput]:
        """What each discriminator is shown of real clips [B,T,C,H,W] in [-1,1]; rngs None: no chance in it."""
        return {name: d.select(video, rngs=rngs) for name, d in self._judges()}

    def fake_inputs(
        self, latent: Mapping[str, Tensor], *, label: Tensor | None = None, rngs: Rngs | None
    ) -> tuple[dict[str, DiscriminatorInput], dict[str, Tensor]]:
        """What each discriminator is shown of generated clips, and scalar terms to add to the generator's loss.

        The terms are weighted as in the paper, by name; most families have none.
        """
        return self.real_inputs(self.generator(latent, label=label), rngs=rngs), {}

    def _judges(self) -> list[tuple[str, Discriminator]]:
        return list(cast(Any, self.discriminators).items())


# --- chance, one generator per clip ------------------------------------------------------------------------------


def normal(rngs: Rngs, *shape: int, device: torch.device | str) -> Tensor:
    """float32 [B,*shape] from N(0,1), drawn on the CPU: the same numbers on every device."""
    return torch.from_numpy(np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in rngs])).to(device)


def uniform(rngs: Rngs, *shape: int, device: torch.device | str) -> Tensor:
    """float32 [B,*shape], uniform in [-1,1), drawn on the CPU."""
    return torch.from_numpy(np.stack([2 * rng.random(shape, dtype=np.float32) - 1 for rng in rngs])).to(device)


def integers(rngs: Rngs, below: int, *, device: torch.device | str) -> Tensor:
    """int64 [B], uniform in [0,below)."""
    return torch.tensor([int(rng.integers(below)) for rng in rngs], device=device)


def with_noise(x: Tensor, *, sigma: float, rngs: Rngs | None) -> Tensor:
    """x [B,...] + sigma * N(0,1). Drawn where x lies, from a seed of each clip: features are too many to send there."""
    if rngs is None or sigma == 0:
        return x
    seeds = [int(rng.integers(2**63)) for rng in rngs]
    generators = [torch.Generator(x.device).manual_seed(seed) for seed in seeds]
    noise = [torch.randn(x.shape[1:], generator=g, device=x.device, dtype=x.dtype) for g in generators]
    return x + sigma * torch.stack(noise)


# --- frames ------------------------------------------------------------------------------------------------------


def frame_numbers(video: Tensor) -> Tensor:
    """[B,T,...] -> float [B,T]: 0, 1, 2 ... for each clip."""
    return torch.arange(video.shape[1], dtype=torch.float32, device=video.device).expand(video.shape[0], -1)


def pick_frames(x: Tensor, index_BT: Tensor) -> Tensor:
    """x [B,T,...], index int64 [B,T'] -> [B,T',...]: each clip's own frames."""
    return x[torch.arange(x.shape[0], device=x.device)[:, None], index_BT]


def halvings(size: int) -> tuple[int, int]:
    """How a square image is built from a small one: size = base * 2^doublings -> (base, doublings).

    64 -> (4, 4); 192 -> (3, 6); 40 -> (5, 3). Raises ValueError where base would not be 3, 4, 5 or 7, or there would
    be fewer than two doublings.
    """
    odd = size // (size & -size) if size > 0 else 0
    base = 4 if odd == 1 else odd
    doublings = (size // base).bit_length() - 1 if base in (3, 4, 5, 7) else 0
    if doublings < 2:
        fits = min((b << n for b in (3, 4, 5, 7) for n in range(2, 9)), key=lambda other: (abs(other - size), other))
        raise ValueError(f"size={size} is not 3, 4, 5 or 7 times 4, 8, 16 ...; the nearest that is: {fits}")
    return base, doublings
