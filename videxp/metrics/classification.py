"""Accuracy of videos. Legend: B videos, K classes.

Every state is a sum of whole numbers over videos, so ranks of unequal length add up to counting by hand, provided that
no video is given twice (use a sampler that does not pad). States are not persistent: a checkpoint is written between
evaluations, when they are empty, and its keys should not depend on the number of classes.
"""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix


def accuracy_by_class(confusion_KK: Tensor) -> Tensor:
    """The share of each class's videos that was recognized: float [K] in [0,1], NaN for a class without a video.

    confusion_KK: counts, row = true class, column = predicted class.
    """
    return confusion_KK.diagonal() / confusion_KK.sum(1)


class ClassMeanAccuracy(Metric):
    """`accuracy_by_class` averaged over the classes that have a video.

    torchmetrics' `average="macro"` also counts, as 0, a class that has none but was predicted once.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    correct_K: Tensor
    total_K: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        for name in ("correct_K", "total_K"):
            self.add_state(name, torch.zeros(num_classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, probabilities_BK: Tensor, label_B: Tensor) -> None:
        """probabilities_BK: float (or logits); label_B: int64 in [0,K)."""
        hit_B = probabilities_BK.argmax(-1) == label_B
        self.correct_K += torch.bincount(label_B[hit_B], minlength=self.num_classes)
        self.total_K += torch.bincount(label_B, minlength=self.num_classes)

    def compute(self) -> Tensor:
        """A scalar in [0,1]; NaN if no video was seen."""
        return (self.correct_K / self.total_K).nanmean()


def classification_metrics(num_classes: int) -> dict[str, Metric]:
    """Metrics under their log names, for a MetricCollection (clone it for each split).

    Each is updated with probabilities averaged over a video's views, float [B,K], and labels, int64 [B]:
    `accuracy` (top-1), `accuracy_top5` (with more than 5 classes), `accuracy_per_class` (its mean over classes), all
    scalars in [0,1], and `confusion`, int64 [K,K], row = true class.
    """
    metrics: dict[str, Metric] = {"accuracy": MulticlassAccuracy(num_classes, average="micro")}
    if num_classes > 5:
        metrics["accuracy_top5"] = MulticlassAccuracy(num_classes, average="micro", top_k=5)
    metrics["accuracy_per_class"] = ClassMeanAccuracy(num_classes)
    metrics["confusion"] = MulticlassConfusionMatrix(num_classes)
    return metrics
