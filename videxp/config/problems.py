"""What is wrong with a config: one line for each thing, with the full key, the value and the remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from videxp.core.errors import BadRequest

# An argument that stands for "no value to show", since None is a value.
NOTHING: Any = object()

# What Hydra's own instantiate understands, less `_args_`: an argument without a name cannot be checked.
SPECIAL_KEYS = frozenset({"_target_", "_partial_", "_convert_", "_recursive_"})

LISTED_AS = {"hardware": "hardware", "callbacks": "callbacks"}


@dataclass(frozen=True)
class Problem:
    """`Problem("optimizer.lrr", 1, "unknown key ...; did you mean optimizer.lr?")` prints as one line."""

    key: str
    """Full dotted key, `callbacks.checkpoint.monitor`."""
    value: Any
    """What stands there; NOTHING if there is nothing to show."""
    message: str
    """What is wrong, then the remedy."""

    def __str__(self) -> str:
        shown = self.key if self.value is NOTHING else f"{self.key}={show(self.value)}"
        return " ".join(f"{shown}: {self.message}".split())


def show(value: Any) -> str:
    """A value as one would type it, cut to 60 characters."""
    text = (
        {True: "true", False: "false", None: "null"}[value] if value is None or value is True or value is False else ""
    )
    text = text or str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6, number: int = 3) -> list[str]:
    """The known names most like `name`, best first: `nearest("lrr", ["lr", "eps"]) == ["lr"]`."""
    return get_close_matches(name, sorted(known), n=number, cutoff=cutoff)


def suggestion(name: str, known: Iterable[str], *, prefix: str = "", limit: int = 8) -> str:
    """`did you mean optimizer.lr?`, or all that is known if nothing is near."""
    known = sorted(known)
    if near := nearest(name, known):
        return "did you mean " + " or ".join(prefix + n for n in near) + "?"
    if not known:
        return "there is none"
    return "known: " + ", ".join(known[:limit]) + (f" and {len(known) - limit} more" if len(known) > limit else "")


def listing(group: str) -> str:
    """The command that lists a group's options: `listing("model") == "videxp list models"`."""
    return f"videxp list {'recipes' if group == 'experiments' else LISTED_AS.get(group, group + 's')}"


def refuse(problems: Iterable[Problem]) -> None:
    """Raise BadRequest with every problem on a line of its own; do nothing if there is none."""
    lines = list(dict.fromkeys(str(problem) for problem in problems))
    if lines:
        raise BadRequest("\n".join(lines))
