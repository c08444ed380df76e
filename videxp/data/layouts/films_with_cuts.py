"""Films of which it is stated where they are cut: a folder with a list of one's own, and the published sets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from videxp.core.errors import BadRequest
from videxp.core.limits import Interval
from videxp.data.annotations.annotation import Annotation
from videxp.data.annotations.transitions import Transitions
from videxp.data.layouts.base import Layout, absent, completed_splits
from videxp.data.layouts.footage import VideoFolder, counterpart
from videxp.data.layouts.tables import read_each, read_list
from videxp.data.layouts.transition_files import (
    Films,
    StatedFilm,
    read_bbc,
    read_clipshots,
    read_cuts,
    read_pyscenedetect,
    read_rai,
    read_shot,
)
from videxp.data.layouts.walk import find_videos
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, FilteredNotes, Notes, examples

NOT_THERE, NOT_STATED = "films that are stated and not there", "films of which no transitions are stated"


def with_transitions(row: Row, film: StatedFilm) -> Row:
    return row.with_field("transitions", Transitions.pack(film.transitions, num_frames=film.num_frames))


class CutFilms(Layout):
    """Base of the layouts here: what is stated becomes the field `transitions`."""

    @property
    def annotations(self) -> Sequence[Annotation]:
        return [Transitions()]


@dataclass(kw_only=True)
class FilmsWithCuts(CutFilms, VideoFolder):
    """A folder of films as `VideoFolder` finds them, splits included, and where they are cut.

    cuts: a CSV or JSON file under root (`videxp.data.layouts.transition_files.read_cuts`; paths are below `targets`);
    or, with {path}, {parent}, {name} or {stem}, each film's own file as PySceneDetect writes it: `{stem}-Scenes.csv`.
    A film in no list trains, as one shot; in folders or lists of val and test it is left out, and told. cuts=None:
    nothing is stated, each film is one shot.
    """

    cuts: str | None = "cuts.csv"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inputs is not None:
            raise BadRequest(f"dataset.layout.inputs={self.inputs}: films with cuts have no degraded counterparts")

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, *self._cut_lists)

    @property
    def list_files(self) -> list[str]:
        return [*super().list_files, *self._cut_lists]

    @property
    def _cut_lists(self) -> list[str]:
        return [] if self.cuts is None or "{" in self.cuts else [self.cuts]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        if self.cuts is None:
            return super().rows(root, notes)
        rows = self.given_rows(root, FilteredNotes(notes, lambda path: not path.endswith((".csv", ".json"))))
        names = {row.path: PurePosixPath(row.path).relative_to(self.targets).as_posix() for row in rows}
        films = self._stated(root, self.cuts, list(dict.fromkeys(names.values())))
        for name in sorted(films.keys() - names.values()):
            notes.pass_over(NOT_THERE, name)
        stated = [with_transitions(row, films[names[row.path]]) for row in rows if names[row.path] in films]
        others = [row for row in rows if names[row.path] not in films]
        for row in others:
            if row.split != "train":
                notes.pass_over(f"{NOT_STATED} ({row.split})", row.path)
        return [*self.with_all_splits(stated, notes), *(row for row in others if row.split == "train")]

    def _stated(self, root: Path, cuts: str, names: Sequence[str]) -> Films:
        if "{" not in cuts:
            return read_cuts(root / cuts)
        files = {name: root / counterpart(cuts, name, key="cuts") for name in names}
        there = [(name, file) for name, file in files.items() if file.is_file()]
        return dict(read_each(there, lambda one: (one[0], read_pyscenedetect(one[1]))))


@dataclass(kw_only=True)
class ClipShots(CutFilms):
    """ClipShots: root/videos/<train|test|only_gradual>/*.mp4, root/annotations/<the same>.json.

    3,539 films train, 500 are the test, with 5,876 cuts and 2,422 gradual transitions (Tang et al., 2018).
    only_gradual: its films train, too. val: val_fraction of the training films, by hash.
    """

    only_gradual: bool = False
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.05

    @property
    def list_files(self) -> list[str]:
        return [f"annotations/{part}.json" for part in self._parts]

    @property
    def _parts(self) -> dict[str, Split]:
        parts: dict[str, Split] = {"train": "train", "test": "test"}
        return parts | ({"only_gradual": "train"} if self.only_gradual else {})

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, *self.list_files, *(f"videos/{part}" for part in self._parts))

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        rows: list[Row] = []
        for part, split in self._parts.items():
            films = read_clipshots(root / "annotations" / f"{part}.json", notes)
            rows += stated_rows(root, f"videos/{part}", films, dict.fromkeys(films, split), notes)
        return completed_splits(rows, val_fraction=self.val_fraction, notes=notes, own="dataset.layout.val_fraction")


@dataclass(kw_only=True)
class SHOT(CutFilms):
    """SHOT (Zhu et al., AutoShot, 2023): kuaishou_v2.txt and the films anywhere beneath root.

    test_list: a text file under root with a film's name on each line, for the published split, whose 200 films the
    annotation does not tell; None: test_fraction of the films, by hash.
    """

    cuts: str = "kuaishou_v2.txt"
    test_list: str | None = None
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    test_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.25

    @property
    def list_files(self) -> list[str]:
        return [self.cuts, *([] if self.test_list is None else [self.test_list])]

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, *self.list_files)

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        films = read_shot(root / self.cuts, notes)
        tested = {line for _, line in read_list(root / self.test_list)} if self.test_list is not None else set()
        if unknown := sorted(tested - films.keys()):
            notes.tell("splits", f"{self.test_list}: of {examples(unknown)} nothing is stated in {self.cuts}")
        splits: dict[str, Split] = {name: "test" if name in tested else "train" for name in films}
        return completed_splits(
            stated_rows(root, "", films, splits, notes),
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            notes=notes,
            own="dataset.layout.test_list",
        )


class TestFilms(CutFilms):
    """Films without a training split, each with a text file of its shots."""

    def stated(self, root: Path, path: str) -> Path | None:
        """Where the shots of the film at root/path are listed; None: nowhere."""
        raise NotImplementedError

    def read(self, file: Path) -> StatedFilm:
        raise NotImplementedError

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        rows: list[Row] = []
        for path in find_videos(root, ""):
            if (file := self.stated(root, path)) is None:
                notes.pass_over(NOT_STATED, path)
            else:
                rows.append(with_transitions(Row(path, "test"), self.read(file)))
        return rows


class BBC(TestFilms):
    """BBC Planet Earth (Baraldi et al., 2015): 11 episodes, root/bbc_01.mp4, root/annotations/shots/01*.txt. A test."""

    def stated(self, root: Path, path: str) -> Path | None:
        number = re.search(r"\d+", PurePosixPath(path).stem)
        found = sorted((root / "annotations/shots").glob(f"{number[0]}*.txt")) if number else []
        return found[0] if found else None

    def read(self, file: Path) -> StatedFilm:
        return read_bbc(file)


class RAI(TestFilms):
    """RAI (Apostolidis and Mezaris, 2014): 10 films, root/1.mp4, root/labels/1_gt.txt. A test."""

    def stated(self, root: Path, path: str) -> Path | None:
        file = root / "labels" / f"{PurePosixPath(path).stem}_gt.txt"
        return file if file.is_file() else None

    def read(self, file: Path) -> StatedFilm:
        return read_rai(file)


def stated_rows(root: Path, folder: str, films: Films, splits: Mapping[str, Split], notes: Notes) -> list[Row]:
    """The films beneath root/folder of which something is stated, by their names."""
    found = {PurePosixPath(path).name: path for path in find_videos(root, folder)}
    for name in sorted(found.keys() - films.keys()):
        notes.pass_over(NOT_STATED, found[name])
    for name in sorted(films.keys() - found.keys()):
        notes.pass_over(NOT_THERE, name)
    rows = [Row(found[name], splits[name]) for name in films if name in found]
    return [with_transitions(row, films[PurePosixPath(row.path).name]) for row in rows]
