"""videxp compress: a run folder with a smaller network of a run, or an int8 file of it, timed and tested beside it.

--prune takes whole channels away, those with the least weights of each group that goes together, and trains what is
left by the run's own recipe; --model trains another network in its place; --distill has either learn from the run's
answers, too. RUN2 is a run then, as `videxp train` makes them: interrupted, the same command goes on.

--quantize int8 makes RUN2/int8.onnx, which `videxp predict`, `evaluate`, `stream` and `serve` take. It is calibrated on
training clips, read and transformed as the run's test is. Alone, the checkpoint in RUN2 is the run's own, in float32.

RUN2/compression.json holds where it comes from and what was measured.
"""

import argparse
import json
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest, require_installed
from videxp.core.options import OneLineParser, positive
from videxp.core.printable import as_typed_here
from videxp.core.ranges import real_number, whole_number

if TYPE_CHECKING:
    from videxp.deploy.compressing.students import Changes
    from videxp.deploy.exporting.runs import LoadedRun

SUMMARY = "RUN --prune 0.3 -o RUN2   a smaller, faster network or file of a run, tested beside it"


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)

    from videxp.runs.folder import open_run

    run = open_run(options.run)
    cfg = config.load_resolved(run.config)

    from videxp.deploy.compressing.compressing import (
        FILE,
        RECORD,
        Settings,
        complete_student,
        compress_run,
        lineage,
        require_new_folder,
        result_lines,
    )
    from videxp.deploy.compressing.students import Changes
    from videxp.deploy.exporting.runs import load
    from videxp.training.changed_inputs import say_changed_inputs
    from videxp.training.log_file import quiet_libraries

    trains = options.prune is not None or options.model is not None
    if not trains or not options.output.exists():
        require_new_folder(options.output)
    settings = None
    if options.quantize is not None:
        require_installed("onnx", "onnxscript", "onnxruntime", extra="export")
        settings = Settings(clips=options.clips, min_share=options.min_share, min_channels=options.min_channels)
    say_changed_inputs(run, cfg)
    quiet_libraries()
    parent = load(run, cfg)
    changes = Changes(options.prune, options.model, options.distill, options.epochs, options.overrides)
    origin = lineage(parent, asked(options, changes))
    limits = {"seconds": options.seconds, "time_limit": options.time_limit}
    if not trains:
        assert settings is not None
        found = compress_run(parent, output=options.output, settings=settings, origin=origin, **limits)
    else:
        with redirect_stdout(sys.stderr if options.json else sys.stdout):  # with --json, stdout is the answer alone
            status, origin = train(parent, changes, options, origin)
        if status != 0:
            return status
        student_run = open_run(str(options.output))
        student = load(student_run, config.load_resolved(student_run.config))
        found = complete_student(parent, student, settings=settings, origin=origin, **limits)
    made = options.output / (FILE if settings is not None else RECORD)
    print(json.dumps(found) if options.json else "\n".join([*result_lines(found), str(as_typed_here(made))]))
    return 0


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = OneLineParser(prog="videxp compress", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the training: optimizer.lr=1e-4")
    parser.add_argument("-o", "--output", metavar="RUN2", type=Path, required=True, help="the folder that is made")
    parser.add_argument("--prune", metavar="S", type=float, help="share of the channels of each group that goes, 0.3")
    parser.add_argument("--model", metavar="NAME", help="train this model in its place: videxp list models")
    parser.add_argument("--distill", action="store_true", help="learn from the run's answers, too")
    parser.add_argument("--epochs", metavar="N", type=whole_number(1), help="of the training (default: the run's own)")
    parser.add_argument("--quantize", choices=["int8"])
    parser.add_argument(
        "--clips", metavar="N", type=whole_number(1), default=64, help="training clips to calibrate on (default 64)"
    )
    parser.add_argument(
        "--min-share",
        metavar="S",
        type=real_number(0, 1),
        default=0.9,
        help="refuse where a smaller share of convolutions and linear layers became int8 (default 0.9)",
    )
    parser.add_argument(
        "--min-channels",
        metavar="C",
        type=whole_number(0),
        default=8,
        help="convolutions that read fewer channels stay float, which is faster there, and do not count in the share "
        "(default 8; 0: none)",
    )
    parser.add_argument("--seconds", metavar="S", type=positive, default=5.0, help="of timing, at most (default 5)")
    parser.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=whole_number(1),
        default=900,
        help="for writing and comparing the float file, and again for the answers of the int8 file (default 900); "
        "loading, calibrating and testing come on top",
    )
    parser.add_argument("--json", action="store_true", help="print compression.json")
    options = parser.parse_intermixed_args(arguments)
    options.typed = arguments
    require_options(options)
    return options


def require_options(options: argparse.Namespace) -> None:
    """Raises BadRequest for what is asked in vain."""
    if options.prune is not None and not 0 < options.prune < 1:
        raise BadRequest(f"--prune {options.prune:g}: a share of the channels between 0 and 1, such as 0.3")
    if options.prune is not None and options.model is not None:
        raise BadRequest("--prune is of the run's own network, --model another one: leave one of them out")
    trains = options.prune is not None or options.model is not None
    if not trains and options.quantize is None:
        raise BadRequest("nothing to do: add --prune 0.3, --model NAME or --quantize int8")
    of_training = {"--distill": options.distill, "--epochs": options.epochs, "key=value": options.overrides}
    if not trains and (given := [name for name, value in of_training.items() if value]):
        raise BadRequest(f"{given[0]} is of a training: add --prune 0.3 or --model NAME, or leave it out")


def asked(options: argparse.Namespace, changes: "Changes") -> dict[str, Any]:
    """What makes two commands the same."""
    quantize = {key: getattr(options, key) for key in ("quantize", "clips", "min_share", "min_channels")}
    given = {"prune": changes.prune, "model": changes.model, "distill": changes.distill or None}
    training = {"epochs": changes.epochs, "overrides": [*config.redacted_overrides([*changes.overrides])] or None}
    whole = {**(quantize if options.quantize else {}), **given, **training}
    return {key: value for key, value in whole.items() if value is not None}


def train(
    parent: "LoadedRun", changes: "Changes", options: argparse.Namespace, origin: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    """(exit status, what compression.json begins with): the student's folder is made, or goes on where it is one."""
    from videxp.cli.commands.resume import resume
    from videxp.core.files import read_json
    from videxp.deploy.compressing.compressing import RECORD
    from videxp.deploy.compressing.students import plan_student
    from videxp.runs.folder import RunFolder, write_json

    folder = options.output
    if folder.exists():
        before = read_json(folder / RECORD) if (folder / RECORD).is_file() else {}
        same = all(before.get(key) == origin[key] for key in ("parent", "settings"))
        if not same or "times" in before:
            raise BadRequest(f"-o {folder} is there already: choose another name")
        run, origin = RunFolder(folder), before
    else:
        words = [word for word in ("videxp", "compress", *config.redacted_overrides(options.typed)) if word]
        run, known = plan_student(parent, changes, output=folder, command=shlex.join(words))
        origin |= known
        write_json(folder / RECORD, origin)
    status = 0 if run.require_state() == "finished" else resume(run)
    return status, origin
