"""VFID: the Fréchet distance of restored videos to the true ones, as a network of features sees them.

Legend: B clips, T frames, C = 3 channels, D features.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from videxp.metrics.features import FeatureNetwork
from videxp.metrics.frechet import Moments, frechet_distance


class VFID(nn.Module):
    """For `task.test_metrics`: one figure of all clips of a test (Wang et al. 2018; papers on inpainting take I3D's).

    features: a network with one feature vector for each clip, such as `videxp.metrics.features.random_features`.
    A distance between sets: compare figures of the same clips by the same network only.
    """

    better: ClassVar[str] = "min"

    def __init__(self, *, features: FeatureNetwork) -> None:
        super().__init__()
        self.features = features

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """float [B,T,C,H,W] twice, in [0,1] -> the features of both, [B,2D], which `over_set` compares."""
        return torch.cat([self.features(output).flatten(1), self.features(target).flatten(1)], dim=1)

    @staticmethod
    def over_set() -> "FrechetOfPairs":
        """What is updated with each batch's answer."""
        return FrechetOfPairs()

    @property
    def protocol(self) -> str:
        return f"VFID of whole clips, {self.features}"


class FrechetOfPairs(Metric):
    """The Fréchet distance between the first and the second half of rows [B,2D], over all batches and ranks."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    pairs: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("pairs", [], dist_reduce_fx="cat")
        self.clips_counted = 0

    def update(self, pairs_B2D: Tensor) -> None:
        self.pairs.append(pairs_B2D.detach())

    def compute(self) -> Tensor:
        """A scalar; NaN for less than two clips. Leaves `clips_counted`, of all ranks: 0 for less than two."""
        pairs = torch.cat(self.pairs) if isinstance(self.pairs, list) else self.pairs
        self.clips_counted = len(pairs) if len(pairs) > 1 else 0
        if not self.clips_counted:
            return torch.tensor(torch.nan)
        made, true = (Moments.of(half) for half in pairs.chunk(2, dim=1))
        return torch.tensor(frechet_distance(made, true))
