"""Files of `videxp explain`: for each video NAME.mp4, NAME.png and NAME.json, and index.html, which shows them all."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.core.files import adding_files
from videxp.core.outputs import OVERWRITE, Identity, refuse_inputs_and_runs, require_own_folder

PAGE = "index.html"
ENDING = ".explained"
OWN = re.compile(rf".+{re.escape(ENDING)}\.(mp4|gif|png|json)|{re.escape(PAGE)}")


def require_explained_folder(
    folder: Path, names: Sequence[str], *, overwrite: bool, inputs: dict[Identity, Path]
) -> None:
    """Raises BadRequest where explanations of `names` must not, or cannot, be written to `folder`."""
    require_own_folder(folder, known=lambda name: OWN.fullmatch(name) is not None, option="-o")
    if folder.is_dir() and not overwrite and (there := sorted(path.name for path in folder.iterdir())):
        raise BadRequest(f"-o {folder}: {there[0]} is there already: {OVERWRITE}")
    for name in names:
        refuse_inputs_and_runs(folder / f"{name}{ENDING}.mp4", inputs)
    refuse_inputs_and_runs(folder / PAGE, inputs)


@contextmanager
def renewing_explanations(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block succeeds its files appear in `folder`, in place of all of an earlier
    call. Raises OSError as `adding_files` does."""
    earlier = [path for path in folder.iterdir() if OWN.fullmatch(path.name)] if folder.is_dir() else []
    with adding_files(folder) as temporary:
        yield temporary
        written = {path.name for path in temporary.iterdir()}
    for old in earlier:
        if old.name not in written:
            old.unlink()


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A name for each video: its stem; of those of one stem, with a number: [a/x.mp4, b/x.mp4] -> [x, x-2]."""
    taken: set[str] = set()
    names = []
    for path in paths:
        stem = path.stem or path.name
        number, name = 1, stem
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        names.append(name)
    return names
