"""Eight films to train on and one to validate on, read once."""

from pathlib import Path

import pytest

from tests.films import copy_apart, module
from videxp.data import FolderPerClass

TRAIN = [f"train/{label}/{i}.mp4" for label in ("run", "walk") for i in range(4)]


@pytest.fixture(scope="package")
def place(films: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`module(place, layout)` is a data module of them, and opens no file again. Not to be written to."""
    place = tmp_path_factory.mktemp("annotated")
    for path in [*TRAIN, "val/run/0.mp4"]:
        file = place / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        copy_apart(films["bar.mp4"], file, mark=path)
    lines = [f"{path},{'run|walk' if int(Path(path).stem) % 2 else 'walk'},train" for path in TRAIN]
    (place / "root" / "list.csv").write_text("\n".join(["path,label,split", *lines, "val/run/0.mp4,run|walk,val"]))
    module(place, FolderPerClass()).prepare()
    return place
