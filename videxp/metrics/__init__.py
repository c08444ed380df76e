"""Metrics: functions of tensors first, small torchmetrics classes after."""

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "ClassMeanAccuracy": "videxp.metrics.classification",
        "accuracy_by_class": "videxp.metrics.classification",
        "classification_metrics": "videxp.metrics.classification",
    },
)
