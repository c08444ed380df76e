"""The inception score (Salimans et al. 2016, section 4), in constant memory. Legend: N clips, K classes, S splits."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from videxp.core.limits import Ge

Given = Literal["logits", "probabilities"]


class InceptionScore(Metric):
    """exp E[KL(p(class | clip) || p(class))], its mean over S splits: from 1 (all clips alike) to K.

    States are sums over clips, so ranks add up. Split s has the clips whose index is s modulo S; the literature
    shuffles and cuts, which for generated clips is the same. For UCF-101 the classifier is C3D
    (`torchscript.TorchScriptNetwork`), which returns probabilities.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    probability_SK: Tensor
    negative_entropy_S: Tensor
    count_S: Tensor

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(2)],
        splits: Annotated[int, Ge(1)] = 10,
        given: Given = "logits",
    ) -> None:
        super().__init__()
        self.splits, self.given = splits, given
        shapes = {"probability_SK": (splits, num_classes), "negative_entropy_S": (splits,), "count_S": (splits,)}
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, output_NK: Tensor, index_N: Tensor) -> None:
        """output_NK: a classifier's logits or probabilities; index_N: int64, each clip's own number."""
        output_NK = output_NK.double()
        probability_NK = output_NK.softmax(1) if self.given == "logits" else output_NK
        split_N = index_N.to(output_NK.device) % self.splits
        self.probability_SK.index_add_(0, split_N, probability_NK)
        self.negative_entropy_S.index_add_(0, split_N, torch.special.xlogy(probability_NK, probability_NK).sum(1))
        self.count_S.index_add_(0, split_N, torch.ones_like(split_N, dtype=torch.float64))

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation over the splits (0 for one); NaN where a split has no clip."""
        marginal_SK = self.probability_SK / self.count_S[:, None]
        marginal_term_S = torch.special.xlogy(marginal_SK, marginal_SK).sum(1)
        score_S = (self.negative_entropy_S / self.count_S - marginal_term_S).exp()
        return score_S.mean(), score_S.std(correction=0)
