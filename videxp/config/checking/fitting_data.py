"""Is the data where a config says, and does it fit task and model? Each rule is one function of plain values."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from videxp.config.checking.targets import class_name, signature_of, target_of
from videxp.config.problems import NOTHING, Problem, refuse, suggestion
from videxp.core.contract import COMMON_FIELDS, contract_of
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import expand_home

LAYOUT = "videxp.data.layouts.base.Layout"
WHOLE_CLIPS = "videxp.transforms.train.TrainTransform"
"""Trained on with labels of whole clips: nothing is said of single pixels or frames."""
PARTS = ("clips", "decoding", "loading", "preparing")
"""Of a data module, beside its layout and transforms."""


def check_parts(dataset: dict[str, Any]) -> Iterator[Problem]:
    """What the parts of a data module (`clips`, `decoding`, ...) say of their own values."""
    from videxp.config.building import build

    for node in (dataset.get(name) for name in PARTS):
        if target_of(node).startswith("videxp.data."):
            try:
                build(node)
            except BadRequest as error:  # KEY=VALUE: MESSAGE
                key, _, message = str(error).partition(": ")
                yield Problem(key, NOTHING, message)


def check_corruptions(dataset: dict[str, Any]) -> Iterator[Problem]:
    """Are there corruptions of these names to train against?"""
    transform = dataset.get("train_transform")
    if not isinstance(transform, dict) or (given := transform.get("corruptions")) is None:
        return
    from videxp.transforms.corruptions.training import training_corruptions

    found = signature_of(target_of(transform))
    try:
        training_corruptions(given, seed=0, in_place=found is not None and WHOLE_CLIPS not in found.lineage)
    except BadRequest as error:  # KEY=VALUE: MESSAGE
        key, _, message = str(error).partition(": ")
        yield Problem(key, NOTHING, message)


def check_data(plain: dict[str, Any], *, model_is_sound: bool) -> Iterator[Problem]:
    """Is the data where the config says, and has the model as many outputs as it has classes?"""
    from videxp.config.building import build

    dataset = plain.get("dataset")
    layout_node = dataset.get("layout") if isinstance(dataset, dict) else None
    found = signature_of(target_of(layout_node))
    if not isinstance(dataset, dict) or found is None or LAYOUT not in found.lineage:
        return
    root = dataset.get("root")
    if not isinstance(root, str):
        return
    try:
        layout = build(layout_node)
        missing = layout.missing(expand_home(root))
    except VidexpError as error:
        yield Problem("dataset.layout", found.qualname, str(error))
        return
    yield from _check_needs(plain, {annotation.name for annotation in layout.annotations})
    yield from _check_mosaic(plain, {annotation.name for annotation in layout.annotations if annotation.joins})
    for line in missing:
        yield Problem("dataset.root", root, line)
    if not missing and model_is_sound:
        yield from _check_classes(plain, layout, Path(root))


def _check_needs(plain: dict[str, Any], fields: set[str]) -> Iterator[Problem]:
    """Fields that the task needs of a sample, and that neither all data sets have nor this layout adds."""
    task = target_of(plain.get("task"))
    contract, known = contract_of(task), {*COMMON_FIELDS, *fields}
    for name in contract.needs if contract else ():
        if name not in known:
            message = f"needs the field {name} of a sample, which this layout has not; {suggestion(name, known)}"
            yield Problem("task", class_name(task), message)


def _check_mosaic(plain: dict[str, Any], joined: set[str]) -> Iterator[Problem]:
    """Fields that the task needs of a sample, and that four clips in one have not."""
    transform, task = plain["dataset"].get("train_transform") or {}, target_of(plain.get("task"))
    contract, chance = contract_of(task), transform.get("mosaic", 0)
    lost = sorted({*contract.needs} - joined) if contract and chance else []
    if lost:
        message = f"four clips in one have no {lost[0]}, which {class_name(task)} needs; set 0"
        yield Problem("dataset.train_transform.mosaic", chance, message)


def check_samples(cfg: Mapping[str, Any]) -> Iterator[Problem]:
    """Read the files that list the samples, if there are any, as preparing the data does; no video is opened."""
    from videxp.config.building import build
    from videxp.data.preparing.preparation import list_samples

    dataset = cfg["dataset"]
    found, root = signature_of(target_of(dataset.get("layout"))), dataset.get("root")
    if found is None or LAYOUT not in found.lineage or not isinstance(root, str):
        return
    layout, place = build(dataset["layout"]), expand_home(root)
    if not layout.list_files:
        return
    try:
        rows, _ = list_samples(
            layout, place, name=dataset["name"], allow_copies=_part(dataset, "preparing").get("allow_copies", False)
        )
    except BadRequest as error:
        yield Problem("dataset.layout", NOTHING, str(error))
        return
    absent = [path for path in dict.fromkeys(row.path for row in rows) if not (place / path).exists()]
    if len(absent) > (dataset.get("max_unreadable") or 0):
        listed = ", ".join(layout.list_files)
        message = (
            f"{len(absent)} files that {listed} lists are not there, such as {absent[0]}: mend the paths or the root"
        )
        yield Problem("dataset.root", root, message)


def _check_classes(plain: dict[str, Any], layout: Any, root: Path) -> Iterator[Problem]:
    """An explicit number of classes, and what the task takes, against the prepared data set's, if it is prepared."""
    from videxp.data.preparing.preparation import manifest_path

    model, dataset = plain["model"], plain["dataset"]
    given, cache, name = model.get("num_classes"), _part(dataset, "preparing").get("cache_dir"), dataset.get("name")
    if not isinstance(cache, str) or not isinstance(name, str):
        return
    path = manifest_path(layout, root=root, cache_dir=Path(cache), name=name)
    if not os.path.isfile(path):  # which may lie where this user may not look
        return
    with path.open(encoding="utf-8", errors="surrogateescape") as manifest:
        first_line = manifest.readline()  # what is known of the whole; the rows may be a quarter of a million
    about = json.loads(first_line[first_line.index("{") :])
    labels = about.get("labels", "label")
    yield from _check_labels(plain, labels=labels)
    if labels == "labels" and _part(dataset, "loading").get("shuffle") == "class_balanced":
        yield Problem(
            "dataset.loading.shuffle", "class_balanced", f"the videos of {name} have several classes each; null"
        )
    classes, contract = len(about["classes"]), contract_of(target_of(plain.get("task")))
    is_of_classes = contract is None or contract.reads_one_label or "labels" in contract.needs
    if isinstance(given, int) and given != classes and is_of_classes:
        message = f"{name} has {classes} classes; leave it out (it is filled from the data)"
        yield Problem("model.num_classes", given, message)


def _check_labels(plain: dict[str, Any], *, labels: str) -> Iterator[Problem]:
    """Several labels of a video, and a task that reads one."""
    task = target_of(plain.get("task"))
    contract = contract_of(task)
    if labels == "labels" and contract is not None and contract.reads_one_label:
        name = (plain.get("dataset") or {}).get("name")
        message = f"takes one label of a video, those of {name} have several; task=multi_label"
        yield Problem("task", class_name(task), message)


def require_labels(cfg: Mapping[str, Any], *, labels: str) -> None:
    """Raises BadRequest where the task of a checked config would misread the `labels` of its data's manifest: asked
    again of data that was prepared after the check."""
    refuse(_check_labels({key: cfg[key] for key in ("task", "dataset")}, labels=labels))


def _part(dataset: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Empty where the config leaves it to its defaults."""
    return dataset.get(name) or {}
