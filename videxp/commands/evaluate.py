"""videxp evaluate: a run's best checkpoint on a split, each sample counted once."""

import argparse
import csv
import json
import time
from typing import Any

from videxp import config
from videxp.errors import BadRequest

SUMMARY = "RUN [overrides]           test a run's best checkpoint -> RUN/evaluation.json"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp evaluate", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.test_clips=10 hardware=cpu")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    from rich.console import Console

    from videxp.commands.train import quiet_libraries
    from videxp.experiment import build_experiment, load_weights
    from videxp.runs.folder import open_run, write_json

    run = open_run(options.run)
    cfg = config.load_resolved(run.config, overrides=options.overrides)
    cfg.logger = {}
    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    console = Console(highlight=False, quiet=options.json)
    experiment = build_experiment(cfg, run, console, datamodule, log_metrics=False)
    checkpoint = run.checkpoint()
    load_weights(experiment.task, checkpoint)
    started = time.perf_counter()
    experiment.trainer.test(experiment.task, datamodule=datamodule, verbose=False)
    seconds = time.perf_counter() - started
    metrics = {name: float(value) for name, value in experiment.trainer.callback_metrics.items()}
    result: dict[str, Any] = {
        "checkpoint": str(checkpoint.relative_to(run.path)),
        "data": {"name": datamodule.name, "fingerprint": datamodule.fingerprint, "clips": datamodule.counts["test"]},
        "overrides": options.overrides,
        "metrics": metrics,
        "videos_per_second": round(datamodule.counts["test"] / seconds, 2),
    }
    write_json(run.evaluation, result)
    if hasattr(experiment.task, "prediction_rows"):
        write_predictions(run.path / "predictions.csv", experiment.task.prediction_rows(datamodule))
    if options.json:
        print(json.dumps(result))
        return 0
    for name, value in metrics.items():
        console.print(f"{name:<28}{value:.4f}")
    console.print(f"{run.evaluation}  ({result['videos_per_second']:.0f} videos/s)", soft_wrap=True)
    return 0


def write_predictions(path: Any, rows: list[dict[str, Any]]) -> None:
    """One row per sample."""
    from videxp.files import replacing

    if not rows:
        raise BadRequest("the test split is empty: nothing to evaluate")
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
