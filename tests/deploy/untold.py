"""Files of networks that no run trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from videxp.deploy.exporting.exporting import example_of
from videxp.deploy.exporting.package import Package
from videxp.deploy.exporting.writing import Kind, write_deployable
from videxp.tasks.deployable import Deployable

TEXTS = ("kind", "model", "run_id", "commit", "config", "config_hash", "weights_sha256", "data_fingerprint")
UNTOLD = Package(**dict.fromkeys((*TEXTS, "preprocessing"), ""), classes=[], chosen={}, clip={}, inputs=[], outputs=[])


def write_untold(
    deployable: Deployable, clip: Mapping[str, np.ndarray], path: Path, *, kind: Kind, free: Sequence[str]
) -> Package:
    """The file's package, which says nothing of a run. free: names of the axes that are to be."""
    given = example_of(deployable, clip, batch=2 if "batch" in free else 1)
    example = {name: torch.from_numpy(value) for name, value in given.items()}
    return write_deployable(deployable, example, UNTOLD, path, kind=kind, free=free)
