"""Losses: functions of tensors."""

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {"cross_entropy": "videxp.losses.classification"})
