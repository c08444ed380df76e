"""Any number of classes of each sample. Legend: n samples of a split, B samples of a batch, K classes."""

from typing import ClassVar, Self

import numpy as np

from videxp.data.annotations.annotation import Annotation, Shown
from videxp.data.annotations.labels import Labels, unpack_labels
from videxp.data.manifest import Manifest


class MultiLabel(Annotation):
    """`label` float32 [B,K]: 1 for each class of a sample, else 0."""

    gives: ClassVar[Labels] = "labels"

    def __init__(self) -> None:
        super().__init__("label")

    def for_samples(self, manifest: Manifest, samples: np.ndarray) -> Self:
        bound = super().for_samples(manifest, samples)
        number = {name: place for place, name in enumerate(manifest.classes)}
        among_nK = np.zeros((len(samples), len(number)), dtype=bool)
        for row, label in enumerate(manifest["label"][samples]):
            among_nK[row, [number[name] for name in unpack_labels(label)]] = True
        bound.values = {"among": among_nK}
        return bound

    def read(self, shown: Shown) -> np.ndarray:
        return self.values["among"][shown.row].astype(np.float32)
