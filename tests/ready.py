"""Moving digits that some test has made already, copied to where a run would make them: it finds them there, with a
manifest of theirs at another place, and encodes and reads nothing."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

PLACE = "TESTS_READY_DATA"
if PLACE not in os.environ:  # pytest itself; its workers and their children inherit the name
    os.environ[PLACE] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, os.environ[PLACE], ignore_errors=True)
FOLDER = Path(os.environ[PLACE])
LAYOUT = "dataset.layout."
WHERE = "data/moving_digits"
DATASET = Path(__file__).parents[1] / "conf/dataset/moving_digits.yaml"


def put_ready_digits(arguments: Sequence[str], *, cwd: Path, environment: dict[str, str]) -> None:
    """Those of a command's words, unless there are some already, or none of its words are about them."""
    from videxp.data.layouts.moving_digits import MovingDigits

    words = dict(word.lstrip("+").split("=", 1) for word in arguments if "=" in word)
    given = {key.removeprefix(LAYOUT): yaml.safe_load(value) for key, value in words.items() if key.startswith(LAYOUT)}
    footage = cwd / f"conf/dataset/{words.get('dataset')}.yaml"  # as tests/shrink.py describes it
    if not (given or footage.is_file()) or words.get("dataset.root", WHERE) != WHERE:
        return
    settings = {**yaml.safe_load((footage if footage.is_file() else DATASET).read_text())["layout"], **given}
    if not settings.pop("_target_", "").endswith(".MovingDigits"):
        return
    try:
        layout = MovingDigits(**settings)
    except TypeError:
        return  # a test of what videxp says of it
    place = cwd / WHERE / layout.folder
    if not place.exists():
        ready = _ready(layout, settings)
        shutil.copytree(ready / "root" / layout.folder, place)  # with the times of the files
        manifests = Path(environment["VIDEXP_CACHE"]) / "manifests"
        shutil.copytree(ready / "cache/manifests", manifests, dirs_exist_ok=True)


def _ready(layout: Any, settings: dict[str, Any]) -> Path:
    from tests import forked

    folder = FOLDER / layout.folder
    if not folder.exists():
        new = Path(tempfile.mkdtemp(dir=FOLDER))
        forked.call(_prepare, settings, cwd=new, environment=dict(os.environ))
        with suppress(OSError):  # another was faster
            new.rename(folder)
    return folder


def _prepare(settings: dict[str, Any]) -> None:
    from videxp.data.layouts.moving_digits import MovingDigits
    from videxp.data.preparing.preparation import prepare

    prepare(MovingDigits(**settings), root=Path("root"), cache_dir=Path("cache"), name="moving_digits")
