"""Losses: functions of tensors."""

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "cross_entropy": "videxp.losses.classification",
        "AdversarialLoss": "videxp.losses.adversarial",
        "discriminator_loss": "videxp.losses.adversarial",
        "generator_loss": "videxp.losses.adversarial",
        "category_loss": "videxp.losses.adversarial",
        "r1_penalty": "videxp.losses.adversarial",
        "gradient_penalty": "videxp.losses.adversarial",
        "path_lengths": "videxp.losses.adversarial",
        "PathLengthPenalty": "videxp.losses.adversarial",
    },
)
