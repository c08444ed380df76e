"""Samples of an evaluation: which part of a data set, and its classes in the run's order."""

from videxp.core.errors import BadRequest
from videxp.data.manifest import SPLITS, Manifest, Part
from videxp.runs.evaluation_files import EvaluatedData, evaluated_data, first_of
from videxp.runs.folder import RunFolder
from videxp.runs.provenance import read_samples, samples


def choose_samples(
    manifest: Manifest, run: RunFolder, *, part: Part | None, is_elsewhere: bool
) -> tuple[Part, EvaluatedData]:
    """The part, and its samples beside those that the run recorded.

    None: test; of other data than the run's, all samples where nobody but a hash has parted them. Data elsewhere are
    the run's where each sample, by its content, is one that the run recorded. Raises BadRequest for an empty split.
    """
    recorded = read_samples(run.data)
    is_other = is_elsewhere and {*recorded} != {*samples(manifest)}
    part = part or ("all" if is_other and "test" in manifest.made_splits else "test")
    if not manifest.is_in(part).any():
        there = [name for name in SPLITS if manifest.is_in(name).any()]
        raise BadRequest(f"dataset {manifest.name} has no {part} samples: --split {there[0]}, or --split all")
    now = [sample for sample in samples(manifest) if part in (sample.split, "all")]
    return part, evaluated_data(recorded, now, split=part)


def order_classes(manifest: Manifest, known: list[str] | None) -> list[str]:
    """The classes in the run's order: a classifier's outputs are those of the data it learned from.

    manifest: without a video of some class it is as good. known: the run's classes; None: it has none.
    Raises BadRequest where it has none of them, or others.
    """
    if not known:
        return manifest.classes
    lacking = [name for name in known if name not in manifest.classes]
    strange = [name for name in manifest.classes if name not in known]
    if strange or not manifest.classes:
        reasons = [f"it lacks {first_of(lacking)}"] * bool(lacking)
        reasons += [f"the run does not know {first_of(strange)}"] * bool(strange)
        renamed = [f"{name} -> {other}" for name in strange for other in lacking if name.casefold() == other.casefold()]
        remedy = f"\nRename them in the data as the run has them: {first_of(renamed)}" if renamed else ""
        raise BadRequest(f"dataset {manifest.name}: its classes are not those of the run: {'; '.join(reasons)}{remedy}")
    return known
