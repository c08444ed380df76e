"""A restoration network against discriminators: Real-ESRGAN's, which RealBasicVSR took over.

Shapes: B clips, T frames, C = 3, H, W pixels of the target, in [0,1]. P judgements of one clip.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from videxp.core.limits import Ge
from videxp.models.gan import Discriminator, Rngs


class UNetDiscriminator(Discriminator):
    """Judges each pixel of each frame: a U-Net with spectral normalization, 4,376,897 parameters at width 64.

    Wang et al. 2021, "Real-ESRGAN", section 3.4. Spectral norms: Miyato et al. 2018.
    """

    def __init__(self, *, width: Annotated[int, Ge(1)] = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, 1, 1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(width * 2**i, width * 2 ** (i + 1), 4, 2, 1, bias=False)) for i in range(3)
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(width * 2 ** (i + 1), width * 2**i, 3, 1, 1, bias=False)) for i in (2, 1, 0)
        )
        self.last = nn.ModuleList(spectral_norm(nn.Conv2d(width, width, 3, 1, 1, bias=False)) for _ in range(2))
        self.head = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(
        self, video: Tensor, *, times: Tensor | None = None, label: Tensor | None = None, rngs: Rngs | None = None
    ) -> dict[str, Tensor]:
        """[B,T,3,H,W] -> {"logits": [B,T*H*W]}; H and W are cut down to multiples of 8."""
        height, width = (pixels // 8 * 8 for pixels in video.shape[-2:])
        x = _leaky(self.first(video[..., :height, :width].flatten(0, 1)))
        levels = [x]
        for layer in self.down:
            levels.append(_leaky(layer(levels[-1])))
        x = levels.pop()
        for layer in self.up:
            enlarged = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = _leaky(layer(enlarged)) + levels.pop()
        for layer in self.last:
            x = _leaky(layer(x))
        return {"logits": self.head(x).unflatten(0, video.shape[:2]).flatten(1)}


class RestorationGAN(nn.Module):
    """Any restoration network as the generator; the discriminators see its output and the target."""

    network_parameter: ClassVar[str] = "generator"

    def __init__(self, *, generator: nn.Module, discriminators: Mapping[str, nn.Module] | None = None) -> None:
        """discriminators: by name; None: one U-Net that judges frames."""
        super().__init__()
        self.generator = generator
        self.discriminators = nn.ModuleDict(dict(discriminators or {"frame": UNetDiscriminator()}))

    @property
    def scale(self) -> int:
        return cast(int, self.generator.scale)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The generator's: [B,T,3,h,w] and what else it is told -> [B,T,3,scale*h,scale*w]."""
        return self.generator(*inputs)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)
