from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.video.torture_set import KINDS, Kind, make, reference_frames

Torture = Callable[[str], tuple[Path, Kind, np.ndarray]]


@pytest.fixture(scope="session")
def torture(tmp_path_factory: pytest.TempPathFactory) -> Torture:
    """`torture("h264_open_gop.mp4")` -> (file, its kind, what ffmpeg decodes of it: uint8 [T,H,W,C]); made once."""
    folder = tmp_path_factory.mktemp("torture")
    kinds = {str(kind): kind for kind in KINDS}
    references: dict[str, np.ndarray] = {}

    def get(name: str) -> tuple[Path, Kind, np.ndarray]:
        path = make(kinds[name], folder)
        if name not in references:
            references[name] = reference_frames(path, kinds[name].shown_size)
        return path, kinds[name], references[name]

    return get
