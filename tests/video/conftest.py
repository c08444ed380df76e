import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.ready import FOLDER
from tests.video.torture_set import KINDS, Kind, make, reference_frames

Torture = Callable[[str], tuple[Path, Kind, np.ndarray]]


@pytest.fixture(scope="session")
def torture() -> Torture:
    """`torture("h264_open_gop.mp4")` -> (file, its kind, what ffmpeg decodes of it: uint8 [T,H,W,C]).

    A file is made once for all processes of pytest, and appears whole.
    """
    folder = FOLDER / "torture"
    folder.mkdir(exist_ok=True)
    kinds = {str(kind): kind for kind in KINDS}
    references: dict[str, np.ndarray] = {}

    def get(name: str) -> tuple[Path, Kind, np.ndarray]:
        path = folder / name
        if not path.exists():
            made = make(kinds[name], Path(tempfile.mkdtemp(dir=folder)))
            with suppress(FileExistsError):  # another process was faster
                path.hardlink_to(made)
        if name not in references:
            references[name] = reference_frames(path, kinds[name].shown_size)
        return path, kinds[name], references[name]

    return get
