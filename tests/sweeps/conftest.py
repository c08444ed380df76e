"""The Slurm that tests submit to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import skip_incomplete
from tests.sweeps.slurm_cluster import Cluster, Unavailable, require_programs, slurm_cluster

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """Its programs find it by this process's environment, which jobs inherit."""
    try:
        require_programs()
        with slurm_cluster() as cluster, pytest.MonkeyPatch.context() as patch:
            for name, value in cluster.environment.items():
                patch.setenv(name, value)
            patch.setenv("PYTHONPATH", str(ROOT))
            yield cluster
    except Unavailable as reason:
        skip_incomplete(str(reason))
