"""videxp compare: what differed between runs, and what came out."""

import argparse
import json
from pathlib import Path
from typing import Any

from videxp import config
from videxp.errors import BadRequest

SUMMARY = "RUN...                    a table of what differed and what came out"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp compare", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, or folders that hold them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    rows = [read_run(folder) for folder in find_runs(options.runs)]
    differing = differing_keys([row["config"] for row in rows])
    table = [
        {
            "run": row["run"],
            "state": row["state"],
            **{key: row["config"].get(key) for key in differing},
            **{name: round(value, 4) for name, value in row["metrics"].items()},
        }
        for row in rows
    ]
    if options.json:
        print(json.dumps(table))
    else:
        print_table(table)
    return 0


def find_runs(inputs: list[str]) -> list[Path]:
    """Run folders among `inputs` and beneath them, oldest first."""
    folders = {path.parent for text in inputs for path in Path(text).rglob("status.json")}
    if not folders:
        raise BadRequest(f"{' '.join(inputs)}: no run folder there (a run folder holds config.yaml and status.json)")
    return sorted(folders)


def read_run(folder: Path) -> dict[str, Any]:
    from videxp.runs.folder import RunFolder
    from videxp.runs.metrics_file import last_values, read_metrics

    run = RunFolder(folder)
    rows = read_metrics(run.metrics) if run.metrics.exists() else []
    return {
        "run": str(folder),
        "state": run.status()["state"],
        "config": config.flat(config.load_resolved(run.config)),
        "metrics": {**last_values(rows, prefix="val/"), **last_values(rows, prefix="test/")},
    }


def differing_keys(configs: list[dict[str, Any]]) -> list[str]:
    """Config keys that have not the same value in all runs."""
    keys = sorted(set().union(*configs))
    return [key for key in keys if len({repr(c.get(key)) for c in configs}) > 1]


def print_table(table: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(name for row in table for name in row))
    view = Table(show_edge=False, pad_edge=False)
    for name in columns:
        view.add_column(name, overflow="fold")
    for row in table:
        view.add_row(*("" if row.get(name) is None else str(row[name]) for name in columns))
    Console(highlight=False).print(view)
