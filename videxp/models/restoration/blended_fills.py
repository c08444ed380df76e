"""A small inpainting network of videxp's own, for a CPU: it learns which of several simple fills to believe, where.

Shapes: B clips, T frames, K fills, H, W pixels in [0,1]; the mask is 1 where a pixel is hidden.
"""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge
from videxp.models.layers.restoration_blocks import pad_to_multiple
from videxp.models.restoration.fills import CopyNearestVisible, Fill, FlowCopy, GlobalShift, SpatialFill
from videxp.models.restoration.sttn import composited, leaky
from videxp.models.weights import load_weights

BELIEVED = 3.0
"""How much more than each of the others the last fill counts at first: 0.6 of what follows the motion and 0.2 of each
other one. PSNR in the holes, in dB, of 20 training clips and the validation clip of `inpainting/sample_clips`: so 33.83
and 16.74, in equal parts 33.58 and 16.69, what follows the motion alone 33.64 and 16.64."""


class BlendedFills(nn.Module):
    """video [B,T,3,H,W] and mask [B,T,1,H,W] -> [B,T,3,H,W]: in the holes a weighted mean of what `fills` put there,
    with weights for each pixel, plus a correction; both from a U-Net over space and, below full size, over time
    (`frames`=3).

    fills: name -> such as `videxp.models.restoration.fills.SpatialFill`, the one to be believed most last; None: a
    smooth fill, a copy of the nearest frame that shows the pixel, and the same along the camera's motion.
    """

    scale: ClassVar[int] = 1
    told: ClassVar[str] = "mask"

    def __init__(
        self,
        *,
        fills: Mapping[str, nn.Module] | None = None,
        channels: Annotated[int, Ge(1)] = 16,
        frames: Literal[1, 3] = 3,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        given = fills or {
            "spatial": SpatialFill(),
            "nearest": CopyNearestVisible(),
            "along_motion": FlowCopy(flow=GlobalShift()),
        }
        if other := next((name for name, fill in given.items() if not isinstance(fill, Fill)), None):
            raise BadRequest(
                f"model.fills.{other}: {type(given[other]).__name__} is none of videxp.models.restoration.fills"
            )
        self.fills = nn.ModuleDict(dict(given))
        self.radius: int | None = 0 if frames == 1 and not any(f.radius is None for f in self._fills) else None

        c, count = channels, len(given)
        self.first = _conv(3 * count + 1, c)
        self.halve = _conv(c, 2 * c, stride=2, frames=frames)
        self.quarter = _conv(2 * c, 3 * c, stride=2, frames=frames)
        self.middle = nn.Sequential(_conv(3 * c, 3 * c, frames=frames), _conv(3 * c, 3 * c, frames=frames))
        self.up_half, self.up_whole = _conv(5 * c, 2 * c), _conv(3 * c, c)
        self.last = nn.Conv3d(c, count + 3, (1, 3, 3), padding=(0, 1, 1))
        nn.init.zeros_(self.last.weight)
        bias = nn.init.zeros_(cast(Tensor, self.last.bias))
        with torch.no_grad():
            bias[count - 1] = math.log(BELIEVED)
        load_weights(self, weights)

    @property
    def _fills(self) -> list[Fill]:
        return [cast(Fill, fill) for fill in self.fills.values()]

    def forward(self, video: Tensor, condition: Tensor) -> Tensor:
        with torch.no_grad():
            filled = torch.stack([fill(video, condition) for fill in self._fills], dim=2)  # [B,T,K,3,H,W]
        shares, correction = self._judge(filled, condition)
        blended = (filled * shares.unsqueeze(3)).sum(2)
        return composited(video, blended + correction, condition)

    def _judge(self, filled: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """-> shares of the fills [B,T,K,H,W], a correction [B,T,3,H,W]."""
        height, width = mask.shape[-2:]
        given = pad_to_multiple(torch.cat([filled.flatten(2, 3) - 0.5, mask], dim=2), 4).transpose(1, 2)
        whole = self.first(given)
        half = self.halve(whole)
        quarter = self.quarter(half)
        quarter = quarter + self.middle(quarter)
        half = self.up_half(torch.cat([_doubled(quarter), half], dim=1))
        whole = self.up_whole(torch.cat([_doubled(half), whole], dim=1))
        answer = self.last(whole).transpose(1, 2)[..., :height, :width]
        return answer[:, :, :-3].softmax(2), answer[:, :, -3:]


def _conv(d_in: int, d_out: int, *, stride: int = 1, frames: int = 1) -> nn.Sequential:
    """[B,d_in,T,h,w] -> [B,d_out,T,h/stride,w/stride]; each frame sees its neighbors where `frames` is 3."""
    kernel, padding = (frames, 3, 3), (frames // 2, 1, 1)
    return nn.Sequential(nn.Conv3d(d_in, d_out, kernel, (1, stride, stride), padding), leaky())


def _doubled(x: Tensor) -> Tensor:
    """[B,D,T,h,w] -> [B,D,T,2h,2w]."""
    return F.interpolate(x, scale_factor=(1, 2, 2), mode="nearest")
