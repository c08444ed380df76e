"""Moving digits that some test has made already: encoded and read once, then copied to where a run wants them."""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

PLACE = "TESTS_READY_DATA"
if PLACE not in os.environ:  # pytest itself; its workers and their children inherit the name
    os.environ[PLACE] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, os.environ[PLACE], ignore_errors=True)
FOLDER = Path(os.environ[PLACE])


def copy_ready_digits() -> None:
    """In a child: where a run would make its first moving digits, they are copied, with what is known of the files."""
    from videxp.data.layouts.moving_digits import MovingDigits
    from videxp.data.preparing import preparation

    prepare, make, known_facts = preparation.prepare, MovingDigits.make, preparation.known_facts
    making = False

    def ready(layout: MovingDigits) -> Path:
        nonlocal making
        folder = FOLDER / layout.folder
        if not folder.exists():
            new, making = Path(tempfile.mkdtemp(dir=FOLDER)), True
            prepare(layout, root=new / "root", cache_dir=new / "cache", name="ready")
            making = False
            with suppress(OSError):  # another was faster
                new.rename(folder)
        return folder

    def copy(layout: MovingDigits, root: Path) -> None:
        if not making and not root.exists():
            new = root.with_name(f"{root.name}-{os.getpid()}")
            shutil.copytree(ready(layout) / "root", new)
            new.rename(root)
        make(layout, root)

    def known(path: Path, **about: Any) -> preparation.Known:
        layout = about["layout"]
        if not making and isinstance(layout, MovingDigits) and not any(path.parent.glob("*.tsv")):
            (file,) = (ready(layout) / "cache/manifests").glob("*.tsv")
            return preparation._read_known(file, borrowed=True) or preparation.Known({}, None)
        return known_facts(path, **about)

    MovingDigits.make, preparation.known_facts = copy, known  # type: ignore[method-assign,assignment]  # for this child
