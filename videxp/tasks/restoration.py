"""Video restoration: a degraded clip in, the clean clip out. Super-resolution is its member with `network.scale` > 1.

Shapes: B clips, T frames, C = 3 channels, H, W pixels of the target, h = H / scale, w = W / scale. Values in [0,1].
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from videxp.errors import BadRequest
from videxp.limits import Ge
from videxp.losses.restoration import weighted_terms
from videxp.metrics.restoration import ClipMean, Protocol, psnr, ssim
from videxp.models.bicubic import enlarge_bicubic
from videxp.tasks.base import Split, VideoTask, parameter_groups
from videxp.tasks.comparisons import Comparison, save_comparison_clips, save_comparison_strips


def spread(count: int, *, among: int) -> list[int]:
    """`count` numbers, evenly spread over range(among); all of them where there are no more."""
    count = min(count, among)
    return [i * among // count for i in range(count)]


class Restoration(VideoTask):
    """Any degradation that the data set's transforms make, any network float [B,T,C,h,w] -> [B,T,C,H,W].

    Scores are the mean over a clip's frames, then over clips. `psnr_gain` is PSNR over that of the input, brought to
    the target's size by bicubic interpolation: how much better it is to use the network than to use none.
    """

    metric_names: ClassVar[dict[str, str]] = {"psnr": "max", "ssim": "max", "psnr_gain": "max", "loss": "min"}
    headline: ClassVar[tuple[str, ...]] = ("psnr", "ssim")

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Any,
        scheduler: Any,
        losses: dict[str, nn.Module],
        monitor: str = "val/psnr",
        channel: Literal["rgb", "y"] = "y",
        border: Annotated[int, Ge(0)] = 0,
        flow_lr_scale: Annotated[float, Ge(0)] = 1.0,
        flow_frozen_batches: Annotated[int, Ge(0)] = 0,
        decay_norms_and_biases: bool = False,
        example_clips: Annotated[int, Ge(0)] = 3,
    ) -> None:
        """
        losses: name -> loss with a `weight`; each is logged as train/<name>, their weighted sum as train/loss.
        channel: PSNR and SSIM in RGB, or on Y of BT.601. border: pixels left out at each side.
        flow_lr_scale: factor of the learning rate for the network's part `flow` (SPyNet of BasicVSR and its kin).
        flow_frozen_batches: so many batches leave `flow` as it is.
        """
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        self.losses = nn.ModuleDict(losses)
        self.protocol = Protocol(channel=channel, border=border)
        self.flow_lr_scale = flow_lr_scale
        self.flow_frozen_batches = flow_frozen_batches
        self.example_clips = example_clips
        if (flow_lr_scale != 1 or flow_frozen_batches) and self._flow is None:
            raise BadRequest(
                f"task.flow_lr_scale={flow_lr_scale:g}, task.flow_frozen_batches={flow_frozen_batches}: "
                f"{type(network).__name__} has no part `flow`: leave them out"
            )
        self.metrics = nn.ModuleDict({split: self._new_metrics() for split in ("val", "test")})
        self.rows: list[dict[str, float]] = []
