"""Metrics: functions of tensors first, small torchmetrics classes after."""

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "ClassMeanAccuracy": "videxp.metrics.classification",
        "ClipMean": "videxp.metrics.restoration",
        "Lpips": "videxp.metrics.lpips",
        "QualityProtocol": "videxp.metrics.restoration",
        "accuracy_by_class": "videxp.metrics.classification",
        "classification_metrics": "videxp.metrics.classification",
        "clip_rows": "videxp.metrics.restoration",
        "frame_scores": "videxp.metrics.restoration",
        "psnr": "videxp.metrics.restoration",
        "ssim": "videxp.metrics.restoration",
        "tlp": "videxp.metrics.temporal",
        "tof": "videxp.metrics.temporal",
        "warping_error": "videxp.metrics.temporal",
        "worst_clips": "videxp.metrics.restoration",
    },
)
