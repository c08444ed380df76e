"""Average precision of videos with several labels. Legend: B videos, N all of them, K classes.

It is a property of a whole ranking, no sum over videos: the scores of all ranks are brought together before it is
computed, however many each has. States are not persistent: a checkpoint is written between evaluations.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


def average_precision(scores_NK: Tensor, target_NK: Tensor) -> Tensor:
    """Of each class: the sum over thresholds of (recall - recall before) * precision, float64 [K] in [0,1]; NaN for a
    class without a positive, and where a score is NaN. Videos with equal scores pass the threshold together.

    scores_NK: float, higher is surer. target_NK: 1 where the class is among the video's labels, else 0.
    The definition of scikit-learn's `average_precision_score`, without interpolation.
    """
    videos, classes = scores_NK.shape
    if not videos:
        return torch.full((classes,), torch.nan, dtype=torch.float64)
    ordered_NK, order_NK = scores_NK.sort(dim=0, descending=True, stable=True)
    hits_NK = target_NK.gather(0, order_NK).double().cumsum(0)
    precision_NK = hits_NK / torch.arange(1, videos + 1, device=hits_NK.device, dtype=torch.float64)[:, None]
    is_last_NK = torch.ones_like(ordered_NK, dtype=torch.bool)  # of those with the same score
    is_last_NK[:-1] = ordered_NK[:-1] != ordered_NK[1:]
    # At the last of equals, all hits among them count, at the precision that is reached there.
    before_NK = torch.where(is_last_NK, hits_NK, 0).cummax(0).values.roll(1, 0)
    before_NK[0] = 0
    gained_NK = torch.where(is_last_NK, hits_NK - before_NK, 0)
    values_K = (gained_NK * precision_NK).sum(0) / hits_NK[-1]  # 0 / 0 = NaN without a positive
    return values_K.masked_fill(scores_NK.isnan().any(0), torch.nan)


class MeanAveragePrecision(Metric):
    """mAP: `average_precision` averaged over the classes that have a positive; NaN if none has, or a score is NaN.

    torchmetrics' `MultilabelAveragePrecision` counts a class without a positive as 0.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    scores: list[Tensor]
    targets: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")
        self.by_class_K = torch.full((num_classes,), torch.nan)
        self.positives_K = torch.zeros(num_classes, dtype=torch.long)

    def update(self, probabilities_BK: Tensor, target_BK: Tensor) -> None:
        """probabilities_BK: float; target_BK: 1 or 0."""
        self.scores.append(probabilities_BK.detach())
        self.targets.append(target_BK > 0.5)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the scores of all ranks.

        For a rank without videos (all of its files are left out) torchmetrics would send a tensor of another shape and
        type than the other ranks expect.
        """
        if not len(self.scores):
            self.scores = [torch.zeros(0, self.num_classes, device=self.device)]
            self.targets = [torch.zeros(0, self.num_classes, device=self.device, dtype=torch.bool)]
        super().sync(*args, **kwargs)

    def compute(self) -> Tensor:
        """A scalar in [0,1]. Leaves `by_class_K`, float64 [K], and `positives_K`, int64 [K], of all ranks."""
        scores_NK, targets_NK = dim_zero_cat(self.scores), dim_zero_cat(self.targets)
        self.by_class_K = average_precision(scores_NK, targets_NK).cpu()
        self.positives_K = targets_NK.long().sum(0).cpu()
        return self.by_class_K[self.positives_K > 0].mean().float()
