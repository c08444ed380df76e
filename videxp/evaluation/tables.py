"""Tables of an evaluation for the terminal: the classes and the videos that went least well."""

from typing import Any

from videxp.core.printable import aligned

CLASSES, VIDEOS = 10, 5


def classes_table(classes: list[dict[str, Any]]) -> list[str]:
    """Lines: the heading, then the classes with the lowest score, each with how many videos it has."""
    tested = [row for row in classes if row["videos"]]
    if not tested:
        return []
    score = next(name for name in tested[0] if name not in ("class", "videos"))
    ordered = sorted(tested, key=lambda row: -1.0 if row[score] is None else row[score])
    heading = f"the least of {len(tested)} classes" if len(tested) > CLASSES else "class"
    if lacking := len(classes) - len(tested):
        heading += f" ({lacking} without a video)"
    rows = [
        (row["class"], str(row["videos"]), "nan" if row[score] is None else f"{row[score]:.4f}")
        for row in ordered[:CLASSES]
    ]
    return aligned([(heading, "videos", score.replace("_", " ")), *rows], right={1, 2})


def worst_table(rows: list[dict[str, Any]], *, by: str) -> list[str]:
    """Lines: the heading, then the videos with the highest loss, or of rows without one the worst `by`, and what they
    were taken for; paths last, whole, however long."""
    if not rows:
        return []
    if not {"loss", "predicted"} <= rows[0].keys():
        by = "loss" if "loss" in rows[0] else by
        return aligned([(by, "worst videos"), *((f"{row[by]:.3f}", _path(row)) for row in rows[:VIDEOS])], right={0})
    shown = [
        (f"{row['loss']:.3f}", _predicted(row), str(row.get("label") or "none"), _path(row)) for row in rows[:VIDEOS]
    ]
    return aligned([("loss", "predicted", "true", "worst videos"), *shown], right={0})


def _path(row: dict[str, Any]) -> str:
    path = str(row.get("path") or f"sample {row.get('index')}")
    ends = [row.get("start_seconds"), row.get("end_seconds")]
    if ends == [None, None]:
        return path
    start, end = ends
    return f"{path} ({start or 0:g} s to {'the end' if end is None else f'{end:g} s'})"


def _predicted(row: dict[str, Any]) -> str:
    sure = f" ({row['probability']:.2f})" if "probability" in row else ""
    return f"{row.get('predicted') or 'none'}{sure}"
