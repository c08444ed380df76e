"""Where weights come from, a file or a URL, told by its name alone and without torch: `videxp check` asks, too."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

TORCHVISIONS = ("KINETICS400_V1", "KINETICS400_IMAGENET22K_V1")
"""torchvision's names of weights of its video networks; each has some of them."""


def is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def is_name(source: str) -> bool:
    """Written as torchvision writes a name of weights, `KINETICS400_V1`; a network knows which there are."""
    return source.isupper() and source.isidentifier()


def unusable(source: str, *, names: Iterable[str] = ()) -> str:
    """What is wrong with a path (from the current folder) and the remedy; "" for a file.

    names: what may stand there, too; the nearest is proposed.
    """
    path = Path(source)
    if path.is_file():
        return ""
    if path.is_dir():
        best = path / "checkpoints/best.ckpt"
        return f"is a run folder; give {best}" if best.is_file() else "is a folder; give a file in it"
    near = get_close_matches(source.upper(), sorted(names), n=1)
    return f"no such file; did you mean {near[0]}?" if near else "no such file; give the path or URL of a state dict"
