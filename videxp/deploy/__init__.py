"""A trained task at work: predictions on files."""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "clips_of_file": "videxp.deploy.clips",
        "CutFilm": "videxp.deploy.scenes.film",
        "read_film": "videxp.deploy.scenes.film",
        "split_film": "videxp.deploy.scenes.split",
        "write_shots": "videxp.deploy.scenes.files",
        "label_video": "videxp.deploy.labels",
        "restore_video": "videxp.deploy.restore",
    },
)
