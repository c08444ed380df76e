"""videxp sweep: many runs of one recipe, each in a fresh process; a killed sweep goes on where it was."""

import argparse
import json
import shlex
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest

if TYPE_CHECKING:
    from videxp.core.console import Console
    from videxp.sweeps.launching import Launcher
    from videxp.sweeps.request import Sweep
    from videxp.sweeps.search import Plan, Search
    from videxp.sweeps.watching import Line

SUMMARY = "RECIPE key=a,b ...        many runs, one process each; --resume FOLDER, --status FOLDER"
USAGE = """usage: videxp sweep RECIPE key=VALUES ... [sweep.KEY=VALUE ...] [launcher=NAME ...] [--json]
       videxp sweep --resume FOLDER [sweep.trials=N ...]
       videxp sweep --status FOLDER [--json]

VALUES are Hydra's: a,b,c  range(0,3)  glob(x3d_*)  interval(0,1)  tag(log,interval(1e-4,1e-1))  int(interval(1,8))
  videxp sweep classification/moving_digits optimizer.lr=1e-2,1e-3 'seed=range(0,3)'
  videxp sweep classification/moving_digits 'optimizer.lr=tag(log,interval(1e-4,1e-1))' \\
      sweep.sampler=tpe sweep.trials=40 sweep.metric=val/accuracy sweep.pruner=hyperband launcher.jobs=2

--resume goes on with a sweep that was killed or stopped: finished trials stay, running ones are resumed from their
checkpoint, failed ones are tried again. --status looks at one from another terminal.
Exit status: 0 all trials ended well, 1 some failed, 130 or 143 stopped by a signal."""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    options, rest = _options(arguments)
    if options.status:
        return status(Path(options.status), as_json=options.json)
    if options.resume:
        return _go_on(Path(options.resume), rest, as_json=options.json)
    if not rest or "=" in rest[0]:
        raise BadRequest("the recipe comes first: videxp sweep RECIPE key=a,b (videxp list recipes)")
    return begin(rest[0], rest[1:], as_json=options.json)


def _options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="videxp sweep", add_help=False)
    parser.add_argument("--resume", metavar="FOLDER")
    parser.add_argument("--status", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    if unknown := [word for word in rest if word.startswith("-")]:
        raise BadRequest(f"{unknown[0]}: unknown flag; videxp sweep --help")
    return options, rest


def begin(recipe: str, overrides: list[str], *, as_json: bool = False) -> int:
    """A new sweep."""
    from videxp.sweeps.request import FILE, read_sweep, repeated_values, save_sweep

    sweep = read_sweep(recipe, overrides)
    folder = Path(sweep.base.sweep_dir)
    if (folder / FILE).exists():
        raise BadRequest(f"{folder} holds a sweep already: videxp sweep --resume {folder}, or another hydra.sweep.dir")
    sweep.launcher().close()  # what is wrong with it is said before anything is written
    save_sweep(sweep, folder)
    for line in repeated_values(sweep, overrides):
        print(f"videxp: {line}", file=sys.stderr)
    return _carry_out(sweep, folder, as_json=as_json)


def _go_on(folder: Path, changes: list[str], *, as_json: bool) -> int:
    from videxp.sweeps.request import load_sweep, save_sweep

    sweep = load_sweep(folder, changes)
    if changes:
        save_sweep(sweep, folder)
    return _carry_out(sweep, folder, as_json=as_json)


def status(folder: Path, *, as_json: bool) -> int:
    """What has become of a sweep so far; whoever runs it is not disturbed."""
    from videxp.core.console import Console
    from videxp.sweeps.request import read_plan
    from videxp.sweeps.search import Search
    from videxp.sweeps.watching import line

    plan = read_plan(folder)
    search = Search(folder, plan, writes=False)
    lines = [line(folder, trial) for trial in search.trials()]
    if as_json:
        print(json.dumps(_account(lines, folder, plan), default=str))
    else:
        _show_all(Console(highlight=False), lines, folder, plan)
    return 0


def _carry_out(sweep: "Sweep", folder: Path, *, as_json: bool) -> int:
    from videxp.core.console import Console
    from videxp.runs.folder import RunFolder
    from videxp.sweeps.controller import Controller
    from videxp.sweeps.search import Search
    from videxp.sweeps.storage import storage_errors, study_words
    from videxp.sweeps.watching import Lines, LiveTable, line
    from videxp.training.processes.signals import Interrupted, Signals

    console = Console(highlight=False, quiet=as_json)
    lock = RunFolder(folder).claim()
    launcher = sweep.launcher()
    search = Search(folder, sweep.plan)
    _announce(console, sweep, folder, launcher=launcher)
    view: Lines
    if console.is_terminal and not as_json:
        view = LiveTable(console, folder=folder, plan=sweep.plan, trials=search.trials, slots=launcher.slots)
    else:
        view = Lines(console, plan=sweep.plan, trials=search.trials)
    controller = Controller(
        folder,
        search=search,
        launcher=launcher,
        compose=partial(sweep.compose, folder=folder, share=launcher.share()),
        policy=sweep.policy,
        view=view,
    )
    started = time.time()
    with Signals(at_once=controller.end_at_once) as signals:
        try:
            with signals.held(), study_words(folder, sweep.plan.storage, of=storage_errors()):
                controller.take_up()
                controller.run(signals)
        except Interrupted as interruption:
            view.close()
            print(f"videxp: stopped; videxp sweep --resume {shlex.quote(str(folder))} goes on", file=sys.stderr)
            return interruption.exit_status
        finally:
            view.close()
            launcher.close()
            lock.close()
    lines = [line(folder, trial) for trial in search.trials()]
    if as_json:
        print(json.dumps(_account(lines, folder, sweep.plan), default=str))
    else:
        console.print()
        _show_all(console, lines, folder, sweep.plan, seconds=time.time() - started)
        _conclude(console, lines, folder, search)
    return 1 if any(one.state == "failed" for one in lines) else 0


# ---- what the terminal shows -----------------------------------------------------------------------------------------


def _announce(console: "Console", sweep: "Sweep", folder: Path, *, launcher: "Launcher") -> None:
    from rich.markup import escape

    plan = sweep.plan
    space = "; ".join(f"{axis.name} {_axis(axis)}" for axis in plan.axes)
    name = type(launcher).__name__.lower()
    search = plan.sampler + (f", {plan.pruner} pruner" if plan.pruner else "")
    rows = {
        "space": escape(space),
        "search": f"{search}: {plan.points} trials, {launcher.slots} at a time ({name})",
        "best": ", ".join(f"{objective.metric} ({objective.direction})" for objective in plan.objectives),
        "sweep": escape(str(folder)),
    }
    console.print(f"[bold]{escape(sweep.recipe)}[/]")
    for title, text in rows.items():
        console.print(f"  [dim]{title:<7}[/]{text}", soft_wrap=True)


def _axis(axis: Any) -> str:
    if axis.is_interval:
        return f"{axis.low:g} to {axis.high:g}" + (" (log)" if axis.is_log else "")
    return ", ".join(axis.values) if len(axis.values) <= 8 else f"{len(axis.values)} values"


def _show_all(
    console: "Console", lines: list["Line"], folder: Path, plan: "Plan", *, seconds: float | None = None
) -> None:
    from videxp.sweeps.watching import best_of, counts, duration, table

    best = best_of(lines, plan.objectives)
    begun = [one for one in lines if one.state != "queued"]
    if begun:
        console.print(table(begun, plan, best=best))
    took = f" in {duration(seconds)}" if seconds is not None else ""
    console.print(f"{counts(lines, plan)}{took}  ({folder})", soft_wrap=True)


def _conclude(console: "Console", lines: list["Line"], folder: Path, search: "Search") -> None:
    from videxp.runs.folder import RunFolder
    from videxp.sweeps.watching import best_of

    by_name = {one.trial.name: one for one in lines}
    objectives = search.plan.objectives
    rows = []
    for name in best_of(lines, objectives):
        scores = ", ".join(f"{o.metric} {s:.4g}" for o, s in zip(objectives, by_name[name].scores))
        rows.append(("best", f"{folder / name}  ({scores})"))
        rows.append(("", str(RunFolder(folder / name).known_provenance().get("command", ""))))
    for metric, shares in search.importance().items():
        text = ", ".join(f"{key} {share:.0%}" for key, share in shares.items())
        rows.append(("matters", f"{text}  (share of what {metric} varies by)"))
    if any(one.state == "failed" for one in lines):
        rows.append(("next", f"videxp sweep --resume {folder}   tries those that failed again"))
    rows.append(("look", f"videxp compare {folder} --html {folder}/compare.html"))
    if list(folder.glob("*/wandb/offline-run-*")):
        rows.append(("", f"wandb sync {folder}/*/wandb/offline-run-*"))
    for title, text in rows:
        console.print(f"[bold]{title:<8}[/]{text}" if title else f"{'':<8}{text}", soft_wrap=True)


def _account(lines: list["Line"], folder: Path, plan: "Plan") -> dict[str, Any]:
    from videxp.sweeps.watching import as_dict, best_of

    return {
        "sweep": str(folder),
        "metrics": {objective.metric: objective.direction for objective in plan.objectives},
        "points": plan.points,
        "best": best_of(lines, plan.objectives),
        "trials": [as_dict(one, folder, plan) for one in lines],
    }
