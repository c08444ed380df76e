"""Metrics: functions of tensors first, small torchmetrics classes after."""

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "ClassMeanAccuracy": "videxp.metrics.classification",
        "ClassifierFeatures": "videxp.metrics.features",
        "DivergenceWatch": "videxp.metrics.divergence",
        "FeatureNetwork": "videxp.metrics.features",
        "FeatureStatistics": "videxp.metrics.feature_statistics",
        "Figure": "videxp.metrics.protocols",
        "GenerationProtocol": "videxp.metrics.protocols",
        "I3D": "videxp.metrics.torchscript",
        "InceptionScore": "videxp.metrics.inception_score",
        "Moments": "videxp.metrics.frechet",
        "PROTOCOLS": "videxp.metrics.protocols",
        "PixelInput": "videxp.metrics.features",
        "TorchScriptNetwork": "videxp.metrics.torchscript",
        "accuracy_by_class": "videxp.metrics.classification",
        "cached_statistics": "videxp.metrics.feature_statistics",
        "classification_metrics": "videxp.metrics.classification",
        "chosen_clips": "videxp.metrics.feature_statistics",
        "evenly_spread": "videxp.metrics.feature_statistics",
        "frechet_distance": "videxp.metrics.frechet",
        "frechet_figure": "videxp.metrics.generation",
        "generation_figures": "videxp.metrics.generation",
        "kernel_distance": "videxp.metrics.feature_sets",
        "mean_pairwise_distance": "videxp.metrics.feature_sets",
        "precision_and_recall": "videxp.metrics.feature_sets",
        "reference_figures": "videxp.metrics.generation",
        "statistics_of": "videxp.metrics.feature_statistics",
        "through_batch": "videxp.metrics.features",
        "torchvision_features": "videxp.metrics.features",
    },
)
