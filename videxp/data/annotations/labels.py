"""The labels of samples: of a data set one each, or any number each, whose names are then held in one string."""

from collections.abc import Iterable
from typing import Literal

Labels = Literal["label", "labels"]
"""What each sample of a data set has, in the words of a task's `Contract.needs`: one class, or any number of them."""
NO_LABEL = -1
SEVERAL = "\x1f"  # between the labels of a sample: ASCII's unit separator, which stands in no name


def joined(labels: Iterable[str]) -> str:
    """The same string for the same labels, in whatever order and however often they are given."""
    return SEVERAL.join(sorted({*labels} - {""}))


def parted(label: str) -> list[str]:
    """`joined` undone: no label, one, or several."""
    return label.split(SEVERAL) if label else []


def shown(label: str) -> str:
    """`run, wave`: for messages."""
    return label.replace(SEVERAL, ", ")
