"""The labels of samples: of a data set one each, or any number each, whose names are then held in one string.

Legend: n samples, K classes.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from videxp.core.errors import BadRequest

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


def targets(labels: Sequence[str], classes: Sequence[str], *, several: bool) -> np.ndarray:
    """What a network should answer: int64 [n], the class of each sample (NO_LABEL: none); with several labels each
    bool [n,K], which of the classes are among them."""
    number = {"": NO_LABEL, **{name: place for place, name in enumerate(classes)}}
    if not several:
        return np.array([number[label] for label in labels], dtype=np.int64)
    among = np.zeros((len(labels), len(classes)), dtype=bool)
    for row, label in enumerate(labels):
        among[row, [number[name] for name in parted(label)]] = True
    return among


def require_one_each(labels: np.ndarray, *, key: str) -> np.ndarray:
    """The labels, int64 [n]. Raises BadRequest, naming what needs them, where samples have several or none."""
    if labels.ndim > 1:
        raise BadRequest(f"{key}: it counts samples by their class, but these have several labels; use null")
    if (labels == NO_LABEL).any():
        raise BadRequest(f"{key}: there are samples without a label; use null")
    return labels
