"""How a data set is read before training, and where what was found lies."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preparing:
    """How a data set is read before training, and where what was found lies: `dataset.preparing`."""

    allow_copies: bool = False
    """May the same video, by its content, be in train and in val or test, in a part of val and test, or have two
    labels? False: an error. What is allowed is noted."""
    cache_dir: str = "~/.cache/videxp"
    """Folder of the manifests, of data sets that are made, and of statistics of real clips."""
