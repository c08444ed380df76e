"""The labels of samples: of a data set one each, or any number each. A column of the manifest holds those of a sample
in one string.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

Labels = Literal["label", "labels"]
"""What each sample of a data set has, in the words of a task's `Contract.needs`: one class, or any number of them."""
NO_LABEL = -1
SEVERAL = "\x1f"  # between the labels of a sample: ASCII's unit separator, which stands in no name


def label_set(names: Iterable[str]) -> tuple[str, ...]:
    """A sample's labels, sorted: the same in whatever order and however often they are given; "" is none."""
    return tuple(sorted({*names} - {""}))


def pack_labels(labels: Sequence[str]) -> str:
    """As a column of the manifest holds them."""
    return SEVERAL.join(labels)


def unpack_labels(packed: str) -> tuple[str, ...]:
    """`pack_labels` undone: no label, one, or several."""
    return tuple(packed.split(SEVERAL)) if packed else ()
