"""Classification of videos that have several labels, or none: each class is answered by itself, yes or no.

Shapes: B videos, V views of a video (adjacent in the batch), N = B*V, K classes.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric, MetricCollection

from videxp.core.contract import Contract
from videxp.losses.multi_label import binary_cross_entropy, binary_distillation
from videxp.metrics.multi_label import MeanAveragePrecision
from videxp.tasks.classification import Classification, class_table

THRESHOLD = 0.5  # of the probability above which a class is told to be there


class MultiLabelClassification(Classification):
    """Binary cross-entropy of sigmoids in training; in evaluation mAP, with sigmoids averaged over a video's views.

    A video of data with one label each has one of several here. `network` maps float [B,T,C,H,W] to logits [B,K].
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="num_classes",
        needs=("labels",),
        metrics={"mAP": "max", "loss": "min"},
        train_metrics=("loss", "distillation"),
        headline=("mAP", "loss"),
        undefined="none of them has any of the classes among its labels",
        predictor="videxp.deploy.label_files",
        streamer="videxp.deploy.streaming.labels",
        explains=("map", "frames", "order"),
        activation="sigmoid",
    )

    def make_metrics(self) -> dict[str, Metric]:
        return {"mAP": MeanAveragePrecision(len(self.classes))}

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """float [B,K], 1 or 0."""
        return self._as_target(batch["label"])

    def _as_target(self, label: Tensor) -> Tensor:
        """float [B,K]; the labels of data with one for each video are numbers."""
        return label if label.dim() > 1 else F.one_hot(label, len(self.classes)).float()

    def loss(self, logits_NK: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        partner = batch.get("mix_label")
        loss = binary_cross_entropy(
            logits_NK,
            self.target(batch),
            label_smoothing=self.label_smoothing,
            mix_target=None if partner is None else self._as_target(partner),
            mix_weight=batch.get("mix_weight"),
        )
        return loss, {}

    def distance(self, logits_NK: Tensor, teacher_NK: Tensor) -> Tensor:
        return binary_distillation(logits_NK.float(), teacher_NK.float(), temperature=self.temperature)

    def probabilities(self, logits_NK: Tensor, *, videos: int) -> Tensor:
        """Sigmoid per view, averaged over the views of each video: [N,K] -> [B,K]."""
        return logits_NK.sigmoid().unflatten(0, (videos, -1)).mean(1)

    def log_odds(self, logits_NK: Tensor, number: int) -> Tensor:
        """Of a class against its absence [N]."""
        return logits_NK[:, number]

    def losses(self, probabilities_BK: Tensor, target: Tensor) -> Tensor:
        """Of each video the mean over classes, in nats [B]."""
        given_BK = torch.where(target > 0, probabilities_BK, 1 - probabilities_BK)  # to what is the case
        return -given_BK.clamp_min(1e-12).log().mean(1)

    @staticmethod
    def agreement(views_BVK: Tensor, probabilities_BK: Tensor) -> Tensor:
        """Share of the answers of each video's views, a yes or no for each class, that are the video's, float [B]."""
        return ((views_BVK >= THRESHOLD) == (probabilities_BK >= THRESHOLD)[:, None]).float().mean((1, 2))

    def tested_classes(self, metrics: MetricCollection, values: dict[str, Tensor]) -> list[dict[str, Any]]:
        ranked: Any = metrics["mAP"]
        if not ranked.positives_K.any():
            del values["mAP"]
        return class_table(self.classes, ranked.positives_K, score="average_precision", score_K=ranked.by_class_K)

    def described(self, target: Tensor, probabilities_K: Tensor) -> dict[str, Any]:
        """Names between `|`; predicted are those above the threshold."""
        return {"label": self._names(target > 0), "predicted": self._names(probabilities_K >= THRESHOLD)}

    def _names(self, among_K: Tensor) -> str:
        return "|".join(name for name, is_there in zip(self.classes, among_K.tolist()) if is_there)

    @property
    def evaluation_protocol(self) -> str:
        """`...; mAP over 8 of 10 classes (2 without a positive)`."""
        lacking = sum(not row["videos"] for row in self.classes_tested)
        left_out = f" ({lacking} without a positive)" if lacking else ""
        classes = len(self.classes)
        return f"{super().evaluation_protocol}; mAP over {classes - lacking} of {classes} classes{left_out}"
