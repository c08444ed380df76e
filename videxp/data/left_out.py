"""Files that cannot be read, seen from the splits and the classes: of what is nothing left?"""

from collections.abc import Iterator, Mapping, Sequence

from videxp.data.annotations.labels import unpack_labels
from videxp.data.manifest import SPLITS, Manifest, Part

MAX_NAMED = 3


def nothing_left(manifest: Manifest, part: Part, causes: Mapping[str, str]) -> str:
    """Message for a part without a sample that can be read. causes: path -> why it is left out."""
    paths = dict.fromkeys(manifest["path"][manifest.is_in(part)])
    if not (lost := [path for path in paths if path in causes]):
        return f"Data set {manifest.name} has no {part} samples: add some, or set dataset.root and dataset.layout"
    told = f"Data set {manifest.name}: none of its {len(lost)} {part} videos can be read: {_named(lost, causes)}"
    return f"{told}\nMend them" + (
        f"; or go without: trainer.limit_{part}_batches=0" if part in ("val", "test") else ""
    )


def lost_classes(manifest: Manifest, causes: Mapping[str, str]) -> Iterator[str]:
    """A line for each class of which a split has videos, none of which can be read: its name, files and remedy."""
    if not causes:
        return
    lost: dict[tuple[str, str], list[str]] = {}
    there: set[tuple[str, str]] = set()
    for path, split, label in zip(manifest["path"], manifest["split"], manifest["label"]):
        for name in unpack_labels(label):
            if path in causes:
                lost.setdefault((split, name), []).append(path)
            else:
                there.add((split, name))
    for split in SPLITS:
        for name in manifest.classes:
            if (paths := lost.get((split, name))) and (split, name) not in there:
                what = "is trained without an example" if split == "train" else f"counts nothing in {split}"
                yield (
                    f"class {name} {what}: none of its {len(paths)} {split} videos can be read: "
                    f"{_named(paths, causes)}; mend them, or leave the class out of the data"
                )


def _named(paths: Sequence[str], causes: Mapping[str, str]) -> str:
    more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
    return "; ".join(f"{path}: {causes[path]}" for path in paths[:MAX_NAMED]) + more
