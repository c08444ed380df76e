"""Preparing a data set: make it if it makes itself, read every file once, keep what was found in a manifest.

The manifest lies in the cache folder, since data folders are often read-only, under a name made from the data set's
name, its root and its layout. Preparing again opens only files whose size or time changed.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.files import expand_home, hash_file, only_one, why_not_writable
from videxp.core.lines import warn
from videxp.core.processes import in_processes
from videxp.data.annotations.annotation import Annotation
from videxp.data.annotations.companion_clip import CompanionClip, facts_of_input
from videxp.data.layouts.alike import check_alike
from videxp.data.layouts.base import Layout, check_rows
from videxp.data.manifest import COLUMNS, SPLITS, Facts, Manifest, Row, read_about
from videxp.data.notes import UNHEARD, Notes
from videxp.data.packets_file import Tables, frame_times, is_whole, map_packets, packets_writer, remove_other_packets
from videxp.data.preparing.copies import check_copies
from videxp.data.preparing.remarks import tell_absent_classes, tell_late_ends, tell_oddities

MAX_NAMED = 5
PIXELS_OF_VIDEOS = 32  # are measured


def manifest_path(layout: Layout, *, root: Path, cache_dir: Path, name: str) -> Path:
    """Where the manifest of this data set at this root lies, prepared or not."""
    key = json.dumps([str(absolute(root)), layout.settings()], sort_keys=True, default=str)
    digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return absolute(cache_dir) / "manifests" / f"{name}-{digest}.tsv"


def absolute(path: Path | str) -> Path:
    """`~` and relative paths made absolute. Links stay: a link to another version is new content, not a new root."""
    return Path(os.path.abspath(expand_home(path)))


def prepare(
    layout: Layout,
    *,
    root: Path | str,
    cache_dir: Path | str,
    name: str,
    max_unreadable: int = 0,
    allow_copies: bool = False,
    processes: int | None = None,
    thorough: bool = False,
) -> Manifest:
    """Read what is new or changed under root with all cores, and write and return the manifest.

    Unreadable files are left out of the samples and listed in the manifest with their cause. Raises BadRequest where
    data is missing, the list of samples is wrong, more than `max_unreadable` files cannot be read, or, unless
    `allow_copies`, a video of train is in val or test under whatever name, or one has two labels.
    Of a video every frame is decoded; of a folder of pictures `DECODED` in `videxp.data.layouts.frame_folders`, and of
    the others the header and the end are looked at. thorough: all files are read again, and every picture decoded.
    """
    root, cache_dir = absolute(root), absolute(cache_dir)
    path = manifest_path(layout, root=root, cache_dir=cache_dir, name=name)
    if reason := why_not_writable(path.parent):
        remedy = "VIDEXP_CACHE=FOLDER before the command names another"
        raise BadRequest(f"the cache folder {cache_dir} takes no files: {reason}\n{remedy}")
    with only_one(path.with_suffix(".lock")):
        layout.make(root)
        if problems := layout.missing(root):
            raise BadRequest(f"Data set {name}: " + "\n".join(problems[:3]))
        notes = Notes()
        rows, classes = list_samples(layout, root, name=name, allow_copies=allow_copies, notes=notes)
        known = known_facts(path, root=root, layout=layout)
        facts, packets_file = read_facts(
            sorted({path for row in rows for path in (row.path, row.input) if path}),
            layout,
            root=root,
            known=Known({}, None) if thorough else known,
            packets_stem=path.with_suffix(""),
            name=name,
            processes=processes,
            thorough=thorough,
        )
        tell_oddities(facts, notes)
        tell_late_ends(rows, facts, notes)
        for annotation in layout.annotations:
            annotation.tell(rows, facts, notes)
        refusal = check_copies(rows, facts, name=name, allowed=allow_copies, notes=notes)
        tables = map_packets(packets_file)
        checked = [CompanionClip("input"), *layout.annotations]
        manifest = Manifest.from_rows(
            (prepare_sample(row, facts, tables, annotations=checked) for row in rows),
            name=name,
            root=str(root),
            classes=classes,
            frame_template=layout.frame_template,
            packets_file=packets_file,
            notes=notes.lines,
            made_splits=frozenset(notes.made_splits),
            fields=[annotation.name for annotation in layout.annotations],
        )
        manifest = replace(manifest, pixels=known.pixels.get(manifest.fingerprint) or measure_pixels(manifest))
        manifest.write(path)
        remove_other_packets(packets_file, stem=path.with_suffix(""))
    with lists_named(layout):
        check_unreadable(manifest, max_unreadable=max_unreadable, path=path)
        if refusal:
            raise BadRequest(refusal)  # now that what was read is kept
    return manifest


@contextmanager
def lists_named(layout: Layout) -> Iterator[None]:
    """What is wrong with samples is said with the files that list them."""
    try:
        yield
    except BadRequest as error:
        if not layout.list_files:
            raise
        raise BadRequest(f"{error}\nThe samples are listed in {', '.join(layout.list_files)}") from None


def list_samples(
    layout: Layout, root: Path, *, name: str, allow_copies: bool = False, notes: Notes = UNHEARD
) -> tuple[list[Row], list[str]]:
    """The samples and the classes as the layout lists them, before any file is opened.

    Raises BadRequest where they cannot be understood or contradict one another, with the files that list them.
    """
    rows = list(layout.rows(root, notes))
    with lists_named(layout):
        labels = {label for row in rows for label in row.labels}
        classes = layout.classes(root, labels)
        check_alike({*labels, *classes}, name=name, notes=notes)
        check_rows(rows, name=name, allow_copies=allow_copies)
        check_labels(rows, classes, name=name)
        tell_absent_classes(rows, notes)
    return rows, classes


def check_labels(rows: Sequence[Row], classes: Sequence[str], *, name: str) -> None:
    """Raises BadRequest, naming samples, where a label is none of the classes."""
    known = set(classes)
    if outside := list(dict.fromkeys(f"{row.path} ({', '.join(row.labels)})" for row in rows if {*row.labels} - known)):
        named = ", ".join(outside[:MAX_NAMED])
        raise BadRequest(
            f"Data set {name}: {len(outside)} samples have a label that is none of {len(classes)} classes: {named}\n"
            "Add the classes to the layout's list, or leave the samples out"
        )


def check_unreadable(manifest: Manifest, *, max_unreadable: int, path: Path) -> None:
    """Raises BadRequest where more files than allowed cannot be read, or where a split has lost all its samples."""
    unreadable = manifest.unreadable
    if len(unreadable) > max_unreadable:
        named = "; ".join(f"{file}: {cause}" for file, cause in list(unreadable.items())[:MAX_NAMED])
        total = len(set(manifest["path"]))
        empty = [split for split in SPLITS if split in manifest["split"] and not manifest.counts[split]]
        gone = all(cause == os.strerror(errno.ENOENT) for cause in unreadable.values())
        remedy = (
            f"Mend them: without them there are no {' and no '.join(empty)} samples"
            + (f" (paths are relative to dataset.root={manifest.root})" if gone else "")
            if empty
            else f"Mend them, or go on without them: dataset.max_unreadable={len(unreadable)}"
        )
        raise BadRequest(
            f"Data set {manifest.name}: {len(unreadable)} of {total} files cannot be read: {named}\n"
            f"{remedy} (all are listed in {path})"
        )
    if "train" in manifest["split"] and not manifest.counts["train"]:
        raise BadRequest(f"Data set {manifest.name}: none of the training files can be read: see {path}")


@dataclass(frozen=True)
class Known:
    """What an earlier preparation found: facts by path, and the tables that they point into."""

    facts: dict[str, Facts]
    packets_file: Path | None
    mapped: np.ndarray = field(default_factory=lambda: map_packets(None))
    """uint8, what is in that file."""
    borrowed: bool = False
    """Of another manifest, which may be prepared anew, and its file of tables replaced, at any time."""
    pixels: dict[str, Any] = field(default_factory=dict)
    """By the data's fingerprint."""

    def tables(self, path: str) -> Tables:
        return Tables.read(self.facts[path], self.mapped)


def read_facts(
    paths: Sequence[str],
    layout: Layout,
    *,
    root: Path,
    known: Known,
    packets_stem: Path,
    name: str,
    processes: int | None = None,
    thorough: bool = False,
) -> tuple[dict[str, Facts], Path | None]:
    """The facts of each path, from `known` where the file has not changed since; and the file of tables."""
    same = [path for path in paths if path in known.facts and unchanged(root / path, known.facts[path], layout=layout)]
    if len(same) == len(paths) == len(known.facts) and not known.borrowed:
        return known.facts, known.packets_file
    new = sorted(set(paths) - set(same))
    read = partial(read_file, root=root, layout=layout, thorough=thorough)
    facts = {}
    with packets_writer(packets_stem) as writer:
        for path in same:
            facts[path] = writer.add(known.facts[path], known.tables(path))
        for path, (found, tables) in (
            in_processes(read, new, description=f"Reading {name}", processes=processes) if new else ()
        ):
            facts[path] = writer.add(found, tables)
    return facts, writer.file


def known_facts(path: Path, *, root: Path, layout: Layout) -> Known:
    """What the manifest at `path` tells of each file or, where there is none yet, one that another layout or name, or
    the folder's place before it was moved, has left: whether a file is the same is asked of its size and time."""
    if found := _read_known(path):
        return found
    others = []
    for other in path.parent.glob("*.tsv"):
        about = read_about(other)
        is_near = about.get("root") == str(root) or about.get("name") == path.stem.rpartition("-")[0]
        if is_near and about.get("frame_template") == layout.frame_template:
            others.append((about["root"] == str(root), sum(about["counts"].values()), other))
    for *_, other in sorted(others, reverse=True):
        if found := _read_known(other, borrowed=True):
            return found
    return Known({}, None)


def _read_known(path: Path, *, borrowed: bool = False) -> Known | None:
    """None for a manifest that is missing; and for one that is damaged, or its tables, which is said of one's own."""
    if not path.exists():
        return None
    try:
        manifest = Manifest.read(path)
    except BadRequest:
        _say_damaged(path, aloud=not borrowed)
        return None
    mapped = map_packets(manifest.packets_file)
    if manifest.packets_file is not None and not is_whole(manifest.packets_file):
        _say_damaged(manifest.packets_file, aloud=not borrowed)
        return None
    names = [column for column in COLUMNS if column in Facts.__dataclass_fields__]
    columns = [manifest[column] for column in names]
    rows = [Facts(**{n: COLUMNS[n](value) for n, value in zip(names, values)}) for values in zip(*columns)]
    inputs = {path: facts_of_input(facts) for path, facts in zip(manifest["input"], rows) if path}
    return Known(
        inputs | dict(zip(manifest["path"], rows)),
        manifest.packets_file,
        mapped,
        borrowed,
        {manifest.fingerprint: manifest.pixels},
    )


def _say_damaged(file: Path, *, aloud: bool) -> None:
    if aloud:
        warn(f"{file} is damaged, or of another version: every file is read again")


def unchanged(file: Path, facts: Facts, *, layout: Layout) -> bool:
    """Files that could not be read are read again: the cause may have been the disk, or a library since updated."""
    try:
        same = layout.size_and_time(file) == (facts.size_bytes, facts.mtime_ns)
        return same and not facts.error and layout.would_tell(facts)
    except OSError:
        return False


def read_file(path: str, *, root: Path, layout: Layout, thorough: bool = False) -> tuple[Facts, Tables]:
    """Open one file: what is in it, and its tables; never raises for what is wrong with the file."""
    from videxp.video import UnreadableVideo, probe  # PyAV: a quarter of a second, and only needed here
    from videxp.video.container import plain_path

    file = root / path
    try:
        if facts := layout.facts(file, thorough=thorough):
            return facts, Tables()
        size_bytes, mtime_ns = layout.size_and_time(file)
        plain_path(file)  # a pipe or /dev/zero would be read for ever
        seen = Facts(size_bytes=size_bytes, mtime_ns=mtime_ns, content_hash=content_hash(file))
    except OSError as error:
        return Facts(error=error.strerror or type(error).__name__), Tables()
    except UnreadableVideo as error:
        return Facts(error=error.cause), Tables()
    try:
        found = probe(file)
    except UnreadableVideo as error:
        return replace(seen, error=error.cause), Tables()
    facts = replace(
        seen,
        num_frames=found.num_frames,
        fps=found.fps,
        variable_rate=int(found.times.is_variable),
        first_seconds=found.first_seconds,
        width=found.width,
        height=found.height,
        duration_seconds=found.duration_seconds,
        rotation_degrees=found.rotation_degrees,
        codec=found.codec,
        container=found.container,
        decoder="packets" if found.packets else "decord" if found.decord_safe else "pyav",
        decoder_reason=found.decord_unsafe_reason,
        key_frames=found.key_frames,
        note=found.note,
    )
    return facts, Tables(bytes(found.packets), bytes(found.frame_seconds))


def measure_pixels(manifest: Manifest) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation of red, green and blue, of some videos that are evenly spread."""
    from videxp.video.pixels import pixel_statistics

    readable = np.flatnonzero(manifest["error"].lengths == 0)
    some = readable[:: max(1, len(readable) // PIXELS_OF_VIDEOS)]
    return pixel_statistics(
        (Path(manifest.root, path) for path in manifest["path"][some]), template=manifest.frame_template
    )


def facts_of_part(row: Row, facts: Facts, tables: np.ndarray) -> Facts:
    """The facts, or an error where no frame lies between the row's start and end."""
    from videxp.video.sampling import frame_range

    start, end = (None if isnan(seconds) else seconds for seconds in (row.start_seconds, row.end_seconds))
    if facts.error or (start is None and end is None):
        return facts
    try:
        frame_range(frame_times(vars(facts), tables), start_seconds=start, end_seconds=end)
    except ValueError as error:
        return replace(facts, error=str(error))
    return facts


def prepare_sample(
    row: Row, facts: Mapping[str, Facts], tables: np.ndarray, *, annotations: Sequence[Annotation]
) -> tuple[Row, Facts]:
    """The sample as the manifest keeps it, with the error of the first annotation that does not fit its video."""
    own = facts_of_part(row, facts[row.path], tables)
    for annotation in annotations:
        row, own = annotation.prepare(row, own, facts)
    return row, own


def content_hash(file: Path) -> str:
    """blake2b of a whole file."""
    return hash_file(file, hashlib.blake2b(digest_size=16))
