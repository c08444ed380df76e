"""videxp bench: where the time of a recipe's training goes, and whether data or network set its pace.

Prepares the data as `videxp train` would; all else that it writes lies in a temporary folder.
"""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.options import OneLineParser

if TYPE_CHECKING:
    from videxp.data.speed import Spread
    from videxp.training.benchmark import Result

SUMMARY = "RECIPE [overrides]        where the time of a training step goes, and what limits"
PHASE_NAMES = {
    "wait": "waiting for clips",
    "transform": "to the device, transform",
    "forward": "forward, loss",
    "backward": "backward",
    "optimizer": "optimizer",
    "rest": "logging, rest of the loop",
}


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp bench", description=__doc__)
    parser.add_argument("recipe", metavar="RECIPE", help="a name from `videxp list recipes`, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. hardware.num_workers=4")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="training steps to time; default: 20")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_intermixed_args(arguments)
    if options.steps < 1:
        raise BadRequest(f"bench: --steps {options.steps}: at least 1")
    composed = config.compose(options.recipe, options.overrides)
    config.refuse(config.check(composed))

    from videxp.training.benchmark import benchmark, verdict
    from videxp.training.log_file import quiet_libraries

    quiet_libraries()
    with tempfile.TemporaryDirectory(prefix="videxp-bench-") as folder:
        result = benchmark(composed.cfg, composed.recipe, folder=Path(folder), steps=options.steps)
    if options.json:
        print(json.dumps(facts(result) | {"verdict": verdict(result)}))
        return 0
    print(f"{result.recipe}: {result.network}, batches of {result.batch_clips} clips ({result.clip})")
    print(f"{result.device}; {counted(result.workers, 'worker')}; {counted(result.steps, 'step')}")
    for line in table(result):
        print(line)
    print(f"\n{verdict(result)}")
    return 0


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def table(result: "Result") -> list[str]:
    """What the terminal shows."""
    clips, training, reading = result.batch_clips, result.training, result.reading
    head = f"{'ms: median (range)':<28}{'per step':>25}{'per clip':>12}{'share':>9}"
    lines = ["", head]
    for phase, spread in training.phases.items():
        share = f"{100 * training.shares[phase]:.1f} %"
        lines.append(f"{PHASE_NAMES[phase]:<28}{text(spread):>25}{number(spread.median / clips):>12}{share:>9}")
    lines.append(f"{'a step':<28}{text(training.step):>25}{number(training.step.median / clips):>12}{'100 %':>9}")
    read = reading.read.median
    lines += [
        "",
        f"{'in a worker, of one core':<28}{'':>25}{'per clip':>12}{'share':>9}",
        *(
            f"{name:<53}{number(value):>12}{f'{100 * value / (read + reading.collate.median):.1f} %':>9}"
            for name, value in {
                "open, decode": read * reading.decoding,
                "crop, resize, rest of a sample": read * (1 - reading.decoding),
                "collate": reading.collate.median,
            }.items()
        ),
        "",
        f"{'the loader alone':<28}{text(result.loading.clips_per_second) + ' clips/s':>25}",
        f"{'CPU time of this process for it':<53}{number(result.loading.receive_ms):>12}",
        "",
        f"MFU {100 * result.effort.mfu:.1f} %" if result.effort.mfu is not None else f"no MFU: {result.effort.no_mfu}",
        f"{number(result.effort.watts)} W ({', '.join(result.effort.energy)})"
        if result.effort.watts is not None
        else f"energy not measured: {'; '.join(result.effort.energy)}",
    ]
    return lines


def text(spread: "Spread") -> str:
    """`12.3 (11.8-14.1)`."""
    return f"{number(spread.median)} ({number(spread.low)}-{number(spread.high)})"


def number(value: float) -> str:
    """Three places: `0.0123`, `12.3`, `1,234`."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def facts(result: "Result") -> dict[str, Any]:
    """All figures, by name, times in ms."""
    from dataclasses import asdict

    derived = ("data_clips_per_second", "network_clips_per_second", "workers_enough")
    return asdict(result) | {name: getattr(result, name) for name in derived}
