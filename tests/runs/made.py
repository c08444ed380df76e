"""Run folders made by hand: only the files that compare and record look at."""

import json
from pathlib import Path
from typing import Any

import yaml

Row = dict[str, Any]
CONFIG = {
    "seed": 0,
    "dataset": {"seed": 0, "layout": {"seed": 0}, "batch_size": 8},
    "optimizer": {"lr": 0.003},
    "task": {"_target_": "videxp.tasks.Classification", "monitor": "val/accuracy"},
    "hardware": {"accelerator": "cpu", "precision": "32-true"},
}
ROWS = [
    {"step": 2, "epoch": 0, "clips_seen": 16, "train/loss": 2.0, "throughput/clips_per_second": 10},
    {"step": 4, "epoch": 0, "clips_seen": 32, "train/loss": 1.0, "throughput/clips_per_second": 50},
    {"step": 4, "epoch": 0, "clips_seen": 32, "val/accuracy": 0.75, "val/loss": 1.5},
    {"step": 6, "epoch": 1, "clips_seen": 48, "train/loss": 0.5, "throughput/clips_per_second": 40},
    {"step": 6, "epoch": 1, "clips_seen": 48, "val/accuracy": 0.5, "val/loss": 1.25},
    {"step": 6, "epoch": 1, "clips_seen": 48, "test/accuracy": 0.625, "test/loss": 1.0},
]
PROVENANCE = {
    "command": "videxp train mine/tiny seed=0",
    "recipe": "mine/tiny",
    "code": {"commit": "0123456789abcdef", "diff": "", "untracked": {}},
    "data": {"name": "digits", "fingerprint": "f1"},
    "gpus": [],
    "cpu": "Some CPU",
    "cpu_count": 2,
    "world_size": 1,
    "packages": {"torch": "2.9"},
}


def csv_text(rows: list[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return "".join(
        ",".join(str(row.get(name, "")) for name in columns) + "\n" for row in [dict(zip(columns, columns)), *rows]
    )


def changed(config: Any, **values: Any) -> Any:
    """`changed(CONFIG, optimizer__lr=0.1)`: a deep copy with some values replaced."""
    copy = json.loads(json.dumps(config))
    for name, value in values.items():
        *above, last = name.split("__")
        node = copy
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    return copy


def make_run(
    path: Path, *, config: Any = None, rows: list[Row] | None = None, provenance: Any = None, **status: Any
) -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config or CONFIG))
    (path / "metrics.csv").write_text(csv_text(ROWS if rows is None else rows))
    (path / "provenance.json").write_text(json.dumps(provenance or PROVENANCE))
    (path / "status.json").write_text(json.dumps({"state": "finished", "seconds": 12.5, **status}))
    return path
