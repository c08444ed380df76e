"""The page of `videxp compare --html`: one file that holds everything and asks no network for anything.

Its parts are assets/page.{html,css}, `SCRIPTS` and uPlot (assets/uplot), which draws the curves. No package of PyPI has
a plotting library of that size (51 kB) in it: plotly's and bokeh's are 1 to 5 MB a page.
"""

import base64
import hashlib
import json
import math
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

from videxp import __version__
from videxp.comparison.repetitions import different_inputs, repetitions
from videxp.comparison.table import BEST, Column, Row, best_rows, cell_text, common_config, deciding_column, short_names
from videxp.core.files import read_json
from videxp.runs.reading import AXES, Run

ASSETS = Path(__file__).parent / "assets"
MEDIA = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
POINTS_PER_CURVE = 1000
RATE = re.compile(r"(.*[._])?(lr|learning_rate)")
"""Keys whose values are compared by their ratio."""
SCRIPTS = (
    *("scales.js", "parameters.js", "tradeoffs.js", "means.js", "significance.js", "classes.js", "robustness.js"),
    "page.js",  # the last one starts the page
)


@dataclass(frozen=True)
class Page:
    html: str
    samples: int
    """How many pictures and videos are in it."""
    left_out: list[str]
    """Those that were too large for it: `first/samples/clip.mp4`."""


def build_page(
    runs: list[Run],
    rows: list[Row],
    columns: list[Column],
    *,
    max_sample_bytes: int,
    keep_order: bool = False,
    significance: dict[str, Any] | None = None,
) -> Page:
    """The whole page as text. No path in it leads out of the folder that holds all runs.

    max_sample_bytes: of the samples' files together; those beyond are left out and named.
    keep_order: the runs come as they are given; else what decided ranks them.
    significance: facts of a `Significance`, for a table.
    """
    parent, names = short_names([run.path for run in runs])
    samples, left_out = _samples(runs, names, max_bytes=max_sample_bytes)
    groups = repetitions(rows, columns)
    experiments = {run: number for number, group in enumerate(groups) for run in group}
    decides = deciding_column(runs, columns)
    best = {column.key: best_rows(column, rows) for column in columns}
    in_table = [column for column in columns if column.kind not in ("run", "trouble")]
    data = {
        "where": Path(parent).name or parent,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "columns": [_column(column, runs) for column in in_table],
        "decides": None if decides is None else in_table.index(decides),
        "keepOrder": keep_order,
        "notAveraged": different_inputs(rows, groups, columns),
        "significance": significance,
        "runs": [
            {
                "name": name,
                "experiment": experiments.get(number),
                "state": run.state,
                "trouble": run.trouble,
                "cells": [_cell(column, row, best=number in best[column.key]) for column in in_table],
                "curves": _curves(run),
                "samples": samples[number],
                "speed": _speed(run),
                **_classes(run),
                "robustness": _robustness(run),
            }
            for number, (name, run, row) in enumerate(zip(names, runs, rows))
        ],
        "metrics": _curve_order(runs, columns),
        "common": {k: _shown(v) for k, v in sorted(common_config([run.config for run in runs if run.config]).items())},
        "leftOut": left_out,
        "pointsPerCurve": POINTS_PER_CURVE,
    }
    return Page(_fill(data), samples=sum(len(each) for each in samples), left_out=left_out)


def _fill(data: dict[str, Any]) -> str:
    """The template with its parts; each is put in once, so no part can hold another's place."""
    script = (ASSETS / "uplot/uPlot.iife.min.js").read_text(encoding="utf-8") + "\n"
    script += "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "STYLE": (ASSETS / "uplot/uPlot.min.css").read_text() + "\n" + (ASSETS / "page.css").read_text(),
        "LICENSE": (ASSETS / "uplot/LICENSE").read_text(),
        "SCRIPT": script,
        # Whatever a run folder has put into the data, this page runs this one script and loads nothing.
        "SCRIPT_HASH": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "DATA": json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
        "VERSION": escape(__version__),
    }
    text = (ASSETS / "page.html").read_text(encoding="utf-8")
    pieces = text.split("@@")  # text, name, text, name, ..., text
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


# ---- the table ---------------------------------------------------------------------------------------------------


def _column(column: Column, runs: list[Run]) -> dict[str, Any]:
    costs = {"seconds": "time", "clips_per_second": "clips/s", "latency_ms": "latency of a clip (ms)"}
    label = costs.get(column.key, column.key.removesuffix(BEST))
    keys = {column.key, *column.copies}
    return {
        "label": label,
        "kind": column.kind,
        "better": column.better,
        "copies": column.copies,
        "on": column.shown,
        "ofMachine": column.of_machine,
        "log": any(RATE.fullmatch(key) for key in keys) or any(keys & run.logarithmic for run in runs),
    }


def _cell(column: Column, row: Row, *, best: bool) -> dict[str, Any]:
    """Text, what it sorts by (number, text or nothing), and the whole value where the text shortens it."""
    value: Any = row.get(column.key)
    text = cell_text(column, row)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    by = value if not number else float(value) if math.isfinite(value) else None
    full = _shown(value) if column.key in row and value is not None and column.kind != "cost" else ""
    return {
        "text": text,
        "by": by if number or value is None else text,
        "full": full if full != text else "",
        "best": best,
    }


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, str) else value


def _speed(run: Run) -> dict[str, Any] | None:
    """What the run's speed was measured on, and whether the machine was busy; None where it was not measured."""
    section = run.evaluation.get("speed")
    if not isinstance(section, dict) or not isinstance(on := section.get("conditions"), dict):
        return None
    threads = f"{on.get('threads')} thread{'' if on.get('threads') == 1 else 's'}"
    return {"on": f"{on.get('device')}, {threads}, {on.get('precision')}", "busy": "busy" in section}


# ---- the curves --------------------------------------------------------------------------------------------------


def _curve_order(runs: list[Run], columns: list[Column]) -> list[dict[str, Any]]:
    """Metrics that are curves in some run: the table's first ones first, and whether they are shown at once."""
    shown = [column.key for column in columns if column.kind == "last" and column.shown]
    names = [*dict.fromkeys(name for run in runs for name in [*run.logged] if len(run.logged[name]) > 1)]
    first = [name for name in shown if name in names]
    first += [name for name in names if name.startswith("train/") and name.partition("/")[2] in _words(first)]
    first += ["train/loss"] if "train/loss" in names and "train/loss" not in first else []
    return [{"name": name, "on": name in first} for name in [*first, *(n for n in names if n not in first)]]


def _words(names: list[str]) -> set[str]:
    return {name.partition("/")[2] for name in names}


def _curves(run: Run) -> dict[str, list[list[float | None]]]:
    """Metric -> [step, epoch, clips_seen, value]; a value that is no number breaks the curve (null)."""
    curves = {}
    for name, rows in run.logged.items():
        if len(rows) > 1:
            kept = [rows[i] for i in thinned([run.columns[name][row] for row in rows], points=POINTS_PER_CURVE)]
            curves[name] = [
                [_finite(run.columns[column][row]) if column in run.columns else None for row in kept]
                for column in (*AXES, name)
            ]
    return curves


def thinned(values: list[float], *, points: int) -> list[int]:
    """At most `points` indices that keep a curve's peaks: the least and the greatest of each of equal parts."""
    if len(values) <= points:
        return list(range(len(values)))
    parts = points // 2
    kept: set[int] = set()
    for part in range(parts):
        indices = range(part * len(values) // parts, (part + 1) * len(values) // parts)
        kept |= {min(indices, key=lambda i: _low(values[i])), max(indices, key=lambda i: -_low(-values[i]))}
    return sorted(kept)


def _low(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _finite(value: float) -> float | None:
    return None if not math.isfinite(value) else int(value) if value == int(value) else float(f"{value:.7g}")


# ---- the classes -------------------------------------------------------------------------------------------------


def _classes(run: Run) -> dict[str, Any]:
    """How each class went in the run's evaluation.json: `{"name": "run", "videos": 12, "value": 0.75}`; none where
    there is no such file, or none that can be read. Where it is only evaluated by other protocols, in the newest of
    these, `accuracy 10x3`."""
    try:
        path, protocol = run.folder.evaluation, ""
        if not path.exists() and (others := [file for file in run.path.glob("evaluation_*.json") if _of_views(file)]):
            path = max(others, key=lambda file: file.stat().st_mtime)
            protocol = f" {_of_views(path)}"
        rows = read_json(path)["classes"]
        score = next((name for row in rows for name in row if name not in ("class", "videos")), "")
        classes = [
            {"name": str(row["class"]), "videos": int(row["videos"]), "value": _score(row[score])} for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"classes": [], "classScore": ""}
    return {"classes": classes, "classScore": score.replace("_", " ") + protocol}


def _of_views(evaluation: Path) -> str:
    """`10x3` of evaluation_10x3.json, else empty."""
    found = re.fullmatch(r"evaluation_(\d+x\d+)", evaluation.stem)
    return found[1] if found else ""


def _score(value: Any) -> float | None:
    return None if value is None else _finite(float(value))


# ---- robustness --------------------------------------------------------------------------------------------------


def _robustness(run: Run) -> dict[str, Any] | None:
    """The metric over severities (0: clean) of the run's evaluation.json, `{"protocol": "yi2021", "metric": "accuracy",
    "samples": "1a2b3c4d", "curves": {"mean of all": [[0, 0.9], [1, 0.7]], ...}}`; None: there is none that can be read.
    """
    try:
        section = run.evaluation["robustness"]
        clean, figures = float(section["clean"]["value"]), section["figures"]
        curves = {
            str(name): [[0, clean], *([int(severity), float(one["value"])] for severity, one in of.items())]
            for name, of in figures.items()
        }
        mean = [[points[0][0], sum(value for _, value in points) / len(points)] for points in zip(*curves.values())]
        if not mean or not all(math.isfinite(value) for _, value in mean):
            return None
        return {
            "protocol": str(section["protocol"]),
            "metric": str(section["metric"]),
            "samples": str(section["samples"])[:8],
            "curves": {"mean of all": mean, **curves},
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


# ---- the samples -------------------------------------------------------------------------------------------------


def _samples(runs: list[Run], names: list[str], *, max_bytes: int) -> tuple[list[list[dict[str, str]]], list[str]]:
    """Each run's pictures and videos as data URIs, name by name over all runs while they fit; and what did not."""
    files = [_sample_files(run) for run in runs]
    samples: list[list[dict[str, str]]] = [[] for _ in runs]
    left_out, room = [], max_bytes
    for name in sorted({name for each in files for name in each}):
        for number, there in enumerate(files):
            path = there.get(name)
            if path is None:
                continue
            if path.stat().st_size > room:
                left_out.append(f"{names[number]}/samples/{name}")
                continue
            content = path.read_bytes()
            room -= len(content)
            media = MEDIA[path.suffix.lower()]
            uri = f"data:{media};base64,{base64.b64encode(content).decode()}"
            samples[number].append({"name": name, "kind": media.partition("/")[0], "uri": uri})
    return samples, left_out


def _sample_files(run: Run) -> dict[str, Path]:
    """Beneath samples/, by relative path. Links that lead out of the run are no samples of it."""
    folder, home = run.folder.samples, run.path.resolve()
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MEDIA)
    good = [
        path for path in paths if path.resolve().is_relative_to(home) and path.is_file() and os.access(path, os.R_OK)
    ]
    return {path.relative_to(folder).as_posix(): path for path in good}
