"""A trained task at work: predictions on files."""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "clips_of_file": "videxp.deploy.clips",
        "label_video": "videxp.deploy.labels",
        "restore_video": "videxp.deploy.restore",
    },
)
