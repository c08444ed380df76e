"""A layout that states annotations: folders per class of films whose frame t has a bright bar in column 2t."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from videxp.data import FolderPerClass
from videxp.data.annotations.annotation import Annotation
from videxp.data.layouts.base import Row
from videxp.data.notes import UNHEARD, Notes


class Stated(FolderPerClass):
    """`texts`: path of a film -> what is stated of it, as the annotation packs it; "" is for all films."""

    def __init__(self, annotation: Annotation, texts: dict[str, str]) -> None:
        super().__init__()
        self.annotation, self.texts = annotation, texts

    @property
    def annotations(self) -> Sequence[Annotation]:
        return [self.annotation]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> Iterable[Row]:
        rows = super().rows(root, notes)
        return [row.with_field(self.annotation.name, self.texts.get(row.path, self.texts[""])) for row in rows]

    def settings(self) -> dict:
        return {"layout": "Stated", "annotation": self.annotation.name}
