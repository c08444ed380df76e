"""videxp: config-driven, reproducible experiments for video deep learning."""

__version__ = "0.1.0"
