"""What the errors of a test are like: calibration, slices that go worse, classes taken for one another, views."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from videxp.core.contract import Contract
from videxp.core.printable import in_one_line
from videxp.data import VideoDataModule
from videxp.data.annotations.labels import unpack_labels
from videxp.data.manifest import Row
from videxp.evaluation.calibration import describe_calibration, ece_text, probabilities_of
from videxp.evaluation.slices import Values, describe_slices, slice_lines
from videxp.evaluation.temperature import Temperature

PAIRS = 50  # that are kept
COLUMNS = 80
LEAST_SURE = 8  # videos
Rows = Sequence[Mapping[str, Any]]


def describe_errors(
    rows: Rows,
    *,
    contract: Contract,
    datamodule: VideoDataModule,
    statistics: Rows,
    answers: Mapping[str, Tensor],
    temperature: Temperature | None,
) -> dict[str, Any]:
    """The sections of evaluation.json: `calibration`, `slices`, `confusions` and `views`.

    rows: predictions of all samples, with a `recording` where the data set names it. statistics: rows of
    `ClipStatistics`. answers: of `VideoTask.class_probabilities`.
    """
    calibration: dict[str, Any] = {"does_not_apply": "no probability for each class"}
    if (tested := probabilities_of(answers)) is not None:
        calibration = describe_calibration(tested, classes=datamodule.classes)
        if temperature is not None:
            calibration["temperature"] = temperature.describe(tested)
    unit = "recording" if rows and "recording" in rows[0] else "path"
    return {
        "calibration": calibration,
        "slices": describe_slices(rows, attributes_of(rows, datamodule, statistics), contract, unit=unit),
        "confusions": confusions(rows) if contract.activation == "softmax" else [],
        "views": describe_views(rows),
    }


def attributes_of(rows: Rows, data: VideoDataModule, statistics: Rows) -> dict[str, Values]:
    """What each sample goes by in a slice: of its file, and of the clips that were tested."""
    manifest = data.manifest
    samples = manifest.samples(data.part_of("test"))[[row["index"] for row in rows]]
    by_index = {row["index"]: row for row in statistics}
    seen = [by_index.get(row["index"], {}) for row in rows]
    length = manifest["num_frames"][samples] / manifest["fps"][samples]
    start, end = (manifest[name][samples] for name in ("start_seconds", "end_seconds"))
    return {
        "class": [unpack_labels(label) for label in manifest["label"][samples]],
        "folder": [tuple(path.split("/")[:-1]) for path in manifest["path"][samples]],
        "seconds": np.where(np.isnan(end), length, end) - np.nan_to_num(start),
        "short side": np.minimum(manifest["width"][samples], manifest["height"][samples]).astype(np.float64),
        "fps": manifest["fps"][samples],
        "codec": [(codec,) for codec in manifest["codec"][samples]],
        **{name: np.array([row.get(name, np.nan) for row in seen]) for name in ("brightness", "motion")},
    }


def name_recordings(data: VideoDataModule) -> list[str] | None:
    """What each test sample was cut from, as the layout names it; None where it names nothing. Raises BadRequest as
    `Layout.recordings`."""
    if (recording := data.layout.recordings(data.root)) is None:
        return None
    samples = data.manifest.samples(data.part_of("test"))
    columns = zip(*(data.manifest[name][samples] for name in ("path", "split", "label")))
    return [recording(Row(path, split, unpack_labels(label))) for path, split, label in columns]


def confusions(rows: Rows) -> list[dict[str, Any]]:
    """`{"true": "walk", "predicted": "run", "videos": 6, "of": 20}`, the most frequent first; `of`: of the true
    class."""
    of = Counter(row["label"] for row in rows)
    pairs = Counter((row["label"], row["predicted"]) for row in rows if row["label"] != row["predicted"])
    ordered = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return [
        {"true": true, "predicted": predicted, "videos": count, "of": of[true]}
        for (true, predicted), count in ordered[:PAIRS]
    ]


def describe_views(rows: Rows) -> dict[str, Any]:
    """How many of a video's views answer as the video, where videos are tested by several: `mean` share, videos with
    less than half, and those with the least."""
    known = [row for row in rows if "agreement" in row]
    if not known:
        return {}
    ordered = sorted(known, key=lambda row: (row["agreement"], row["index"]))
    return {
        "mean": sum(row["agreement"] for row in ordered) / len(ordered),
        "below_half": sum(row["agreement"] < 0.5 for row in ordered),
        "videos": len(ordered),
        "least": [{"path": row["path"], "agreement": row["agreement"]} for row in ordered[:LEAST_SURE]],
    }


def error_lines(sections: Mapping[str, Any]) -> list[str]:
    """For the terminal; of what there is nothing to say, nothing."""
    return [
        *_calibration_lines(sections["calibration"]),
        *_view_lines(sections["views"]),
        *_confusion_lines(sections["confusions"]),
        *slice_lines(sections["slices"]),
    ]


def _calibration_lines(section: Mapping[str, Any]) -> list[str]:
    if "does_not_apply" in section:
        return []
    lines = [f"calibration: {ece_text(section)}, Brier {section['brier']:.3f}"]
    if found := section.get("temperature"):
        before, after = (found["test"][when]["ece"] for when in ("before", "after"))
        limit = f" ({found['limit']})" if found["limit"] else ""
        fitted = f"fitted on {found['fitted_on']['videos']} val videos{limit}"
        lines.append(f"temperature {found['temperature']:.3g}, {fitted}: ECE {before:.3f} -> {after:.3f}")
    return lines


def _view_lines(section: Mapping[str, Any]) -> list[str]:
    if not section:
        return []
    below = f"; less than half in {section['below_half']} of {section['videos']}" if section["below_half"] else ""
    return [f"views that answer as their video: {section['mean']:.1%}{below}"]


def _confusion_lines(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """As many of those that happened more than once as a line of 80 columns has room for, one at least."""
    line = ""
    for pair in pairs:
        names = f"{in_one_line(pair['true'])} -> {in_one_line(pair['predicted'])}"
        longer = f"{line}, " if line else "most confused: "
        longer += f"{names} {pair['videos']} of {pair['of']}"
        if pair["videos"] < 2 or (line and len(longer) > COLUMNS):
            break
        line = longer
    return [line] if line else []
