"""videxp evaluate: a run's best checkpoint on a split, each sample counted once."""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

from videxp import config
from videxp.files import replacing

SUMMARY = "RUN [overrides]           test a run's best checkpoint -> RUN/evaluation.json"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp evaluate", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.test_clips=10 hardware=cpu")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    from videxp.runs.folder import open_run

    run = open_run(options.run)  # before the slow imports
    cfg = config.load_resolved(run.config, overrides=options.overrides)

    from rich.console import Console

    from videxp.commands.train import quiet_libraries
    from videxp.experiment import build_experiment, load_weights
    from videxp.runs.folder import write_json
    from videxp.runs.progress import ProgressBar

    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    console = Console(highlight=False, quiet=options.json)
    experiment = build_experiment(cfg, datamodule, root=run.path, loggers=[], callbacks=[ProgressBar(console)])
    trainer, task = experiment.trainer, experiment.task
    checkpoint = run.checkpoint()
    load_weights(task, checkpoint)
    started = time.perf_counter()
    trainer.test(task, datamodule=datamodule, verbose=False)
    seconds = time.perf_counter() - started
    rows = gathered(task.prediction_rows(datamodule), world_size=trainer.world_size)
    if not trainer.is_global_zero:
        return 0
    result: dict[str, Any] = {
        "checkpoint": str(checkpoint.relative_to(run.path)),
        "data": {"name": datamodule.name, "fingerprint": datamodule.fingerprint, "clips": datamodule.counts["test"]},
        "overrides": config.redacted_overrides(options.overrides),
        "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
        "videos_per_second": round(datamodule.counts["test"] / seconds, 2),
    }
    write_json(run.evaluation, result)
    if rows:
        write_predictions(run.predictions, rows)
    if options.json:
        print(json.dumps(result))
        return 0
    for name, value in result["metrics"].items():
        console.print(f"{name:<26}{value:.4f}")
    console.print(f"{datamodule.counts['test']} videos, {result['videos_per_second']:.0f} videos/s", soft_wrap=True)
    console.print(f"{run.evaluation}{f', {run.predictions}' if rows else ''}", soft_wrap=True)
    return 0


def gathered(rows: list[dict[str, Any]], *, world_size: int) -> list[dict[str, Any]]:
    """The rows of all ranks, in the order of the samples."""
    if world_size > 1:
        from torch.distributed import all_gather_object

        parts: list[list[dict[str, Any]]] = [[] for _ in range(world_size)]
        all_gather_object(parts, rows)
        rows = [row for part in parts for row in part]
    return sorted(rows, key=lambda row: row["index"])


def write_predictions(path: Path, rows: list[dict[str, Any]]) -> None:
    """One row per sample."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
