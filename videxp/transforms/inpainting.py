"""Training and evaluation of inpainting: a clean clip, the same with holes, and where they are.

Legend: B items, k clips per item, N = B*k, T frames, C = 3 channels, H, W pixels.
"""

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.transforms.corruptions.training import CorruptionOptions
from videxp.transforms.restoration import RestorationEval, RestorationTrain, as_float
from videxp.transforms.train import check_clip, without


class InpaintingEval(RestorationEval):
    """uint8 clips and masks -> `video`, whose hidden pixels are of the grey `fill`, `target`, the clean clips, both
    float in [0,1], and `condition`, 1 where a pixel is hidden.

    mirror: the clip followed by its reverse, 2T frames.
    """

    tells: ClassVar[str] = "mask"

    def __init__(self, *, fill: Annotated[float, Interval(ge=0, le=1)] = 0.5, mirror: bool = False) -> None:
        super().__init__(mirror=mirror)
        self.fill = fill

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A new dict with `video` and `target` float [N,T,C,H,W] in [0,1] and `condition` float [N,T,1,H,W], in place
        of `clip` and `mask`.

        batch: `clip` uint8 [N,T,H,W,C], `mask` uint8 [N,T,H,W,1] in the same position, `index` and `epoch` int64 [B]
        on the CPU. Raises BadRequest without masks.
        """
        check_clip(batch["clip"], items=len(batch["index"]))
        if "mask" not in batch:
            raise BadRequest(
                "dataset transforms: nothing is hidden: set dataset.annotations.mask, as dataset=inpainting_clips does"
            )
        mask = batch["mask"].permute(0, 1, 4, 2, 3).float()
        target, mask = self.augmented([as_float(batch["clip"]), mask], self.moves(batch))
        if self.mirror:
            target, mask = (torch.cat([clip, clip.flip(1)], dim=1) for clip in (target, mask))
        fields = {"video": fill_holes(target, mask, value=self.fill), "target": target, "condition": mask}
        return without(batch, "clip", "mask") | fields


class InpaintingTrain(InpaintingEval, RestorationTrain):
    """The same with augmentation, alike in clip and mask: see `RestorationTrain`."""

    def __init__(
        self,
        *,
        fill: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        flip: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        rotate: bool = False,
        reverse_time: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        mirror: bool = False,
        corruptions: CorruptionOptions = None,
        seed: Annotated[int, Ge(0)],
    ) -> None:
        RestorationTrain.__init__(
            self,
            flip=flip,
            rotate=rotate,
            reverse_time=reverse_time,
            mirror=mirror,
            corruptions=corruptions,
            seed=seed,
        )
        self.fill = fill


def fill_holes(video: Tensor, mask: Tensor, *, value: float) -> Tensor:
    """float [...,C,H,W], [...,1,H,W] -> the same with `value` where the mask is 1."""
    return torch.where(mask > 0.5, torch.full_like(video, value), video)
