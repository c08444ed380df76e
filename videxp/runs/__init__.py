"""The run folder: what is written into it, by whom, and how."""

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "AtomicCheckpointIO": "videxp.runs.checkpoint",
        "Checkpoint": "videxp.runs.checkpoint",
        "LeftOut": "videxp.runs.left_out",
        "MetricsFile": "videxp.runs.metrics_file",
        "NonFinite": "videxp.runs.nonfinite",
        "ProgressBar": "videxp.runs.progress",
        "RandomState": "videxp.runs.random_state",
        "RunFolder": "videxp.runs.folder",
        "SameConfig": "videxp.runs.agreement",
        "Samples": "videxp.runs.samples",
        "StepMetrics": "videxp.runs.step_metrics",
        "Throughput": "videxp.runs.throughput",
        "UnpaddedDDPStrategy": "videxp.runs.strategy",
        "WandbRun": "videxp.runs.wandb_logger",
    },
)
