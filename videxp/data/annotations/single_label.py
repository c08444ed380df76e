"""One class of each sample. Legend: n samples of a split, B samples of a batch."""

from typing import ClassVar, Self

import numpy as np

from videxp.data.annotations.annotation import Annotation, Shown
from videxp.data.annotations.labels import NO_LABEL, Labels
from videxp.data.manifest import Manifest


class SingleLabel(Annotation):
    """`label` int64 [B]: the class of each sample, or NO_LABEL."""

    gives: ClassVar[Labels] = "label"

    def __init__(self) -> None:
        super().__init__("label")

    def for_samples(self, manifest: Manifest, samples: np.ndarray) -> Self:
        bound = super().for_samples(manifest, samples)
        number = {"": NO_LABEL, **{name: place for place, name in enumerate(manifest.classes)}}
        bound.class_of = np.array([number[label] for label in manifest["label"][samples]], dtype=np.int64)
        return bound

    def read(self, shown: Shown) -> int:
        assert self.class_of is not None
        return int(self.class_of[shown.row])
