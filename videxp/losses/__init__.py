"""Losses: functions of tensors, and modules forward(output, target) -> scalar where recipes choose among them."""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "L1": "videxp.losses.restoration",
        "L2": "videxp.losses.restoration",
        "ColorConstancy": "videxp.losses.color",
        "Exposure": "videxp.losses.color",
        "IlluminationSmoothness": "videxp.losses.color",
        "LutMonotonicity": "videxp.losses.color",
        "LutSmoothness": "videxp.losses.color",
        "SpatialConsistency": "videxp.losses.color",
        "Charbonnier": "videxp.losses.restoration",
        "HiddenL1": "videxp.losses.inpainting",
        "VisibleL1": "videxp.losses.inpainting",
        "Perceptual": "videxp.losses.perceptual",
        "TemporalDifference": "videxp.losses.restoration",
        "WarpingConsistency": "videxp.losses.restoration",
        "WeightedLosses": "videxp.losses.restoration",
        "binary_cross_entropy": "videxp.losses.multi_label",
        "binary_distillation": "videxp.losses.multi_label",
        "cross_entropy": "videxp.losses.classification",
        "distillation": "videxp.losses.classification",
        "AdversarialObjective": "videxp.losses.objective",
        "AdversarialLoss": "videxp.losses.adversarial",
        "discriminator_loss": "videxp.losses.adversarial",
        "generator_loss": "videxp.losses.adversarial",
        "category_loss": "videxp.losses.adversarial",
        "r1_penalty": "videxp.losses.adversarial",
        "gradient_penalty": "videxp.losses.adversarial",
        "transition_loss": "videxp.losses.transitions",
        "path_lengths": "videxp.losses.adversarial",
        "PathLengthPenalty": "videxp.losses.adversarial",
    },
)
