"""What a sweep looks like: a live table in a terminal, lines in a file, and the account of all trials at the end."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from videxp.core.console import Console
from videxp.runs.folder import RunFolder, seconds_now
from videxp.sweeps.controller import Active
from videxp.sweeps.search import Objective, Plan, Trial

STYLES = {"finished": "green", "running": "cyan", "failed": "red", "interrupted": "yellow", "pruned": "yellow"}
ORDER = ("finished", "pruned", "failed", "running", "interrupted", "queued")
REFRESH_SECONDS = 1.0
MAX_ROWS = 30
MAX_CAUSE = 60
"""Characters in the table; the whole stands in the run's status.json."""


@dataclass(frozen=True)
class Line:
    """A trial as it is shown."""

    trial: Trial
    state: str
    """Of the trial; `interrupted` where its process was stopped and it is to be gone on with."""
    seconds: float
    """Of all its attempts."""
    now: float | None = None
    """The first metric's newest value, while it runs."""

    @property
    def scores(self) -> list[float]:
        return self.trial.scores or ([] if self.now is None else [self.now])


def line(folder: Path, trial: Trial) -> Line:
    """What the study and the run's folder say of a trial."""
    run = RunFolder(folder / trial.name)
    found = run.standing()
    state: str = trial.state
    if state == "running" and found.state in ("interrupted", "failed"):
        state = "interrupted"
    return Line(trial, state, float(found.status.get("seconds", 0.0)) + seconds_now(run))


def counts(lines: list[Line], plan: Plan) -> str:
    """`12 of 20 trials: 9 finished, 2 failed, 1 running`."""
    number = Counter(one.state for one in lines)
    parts = ", ".join(f"{number[state]} {state}" for state in ORDER if number[state] and state != "queued")
    ended = sum(number[state] for state in ("finished", "pruned", "failed"))
    return f"{ended} of {max(plan.points, len(lines))} trials" + (f": {parts}" if parts else "")


def table(lines: list[Line], plan: Plan, *, best: list[str]) -> Table:
    """One row for each trial."""
    view = Table(show_edge=False, pad_edge=False)
    view.add_column("trial", no_wrap=True)
    view.add_column("state", no_wrap=True)
    for axis in plan.axes:
        view.add_column(axis.name.replace(".", ".\n"), justify="right", no_wrap=True)
    for objective in plan.objectives:
        view.add_column(objective.metric.replace("/", "/\n", 1), justify="right", no_wrap=True)
    view.add_column("time", justify="right", no_wrap=True)
    causes = {one.trial.name: one.trial.cause for one in lines if one.state in ("failed", "pruned")}
    if causes:
        view.add_column("")  # the only one that gives way, each cause in one line
    for one in lines:
        scores = [_number(value) for value in one.scores] + [""] * len(plan.objectives)
        view.add_row(
            f"[bold]{one.trial.name}[/]" if one.trial.name in best else one.trial.name,
            f"[{STYLES.get(one.state, 'dim')}]{one.state}[/]",
            *(escape(_short(one.trial.values.get(axis.key, ""))) for axis in plan.axes),
            *scores[: len(plan.objectives)],
            duration(one.seconds) if one.seconds else "",
            *([_cause(causes.get(one.trial.name, ""))] if causes else []),
            style="bold" if one.trial.name in best else None,
        )
    return view


def _cause(text: str) -> Text:
    return Text(shorten(text, MAX_CAUSE, placeholder=" ..."), no_wrap=True, overflow="ellipsis")


class Lines:
    """A line when a trial starts and when it ends: for files, and for terminals that are none."""

    def __init__(self, console: Console, *, plan: Plan, trials: Callable[[], list[Trial]]) -> None:
        self.console, self.plan, self.trials = console, plan, trials
        self.begun = time.monotonic()

    def started(self, active: Active, place: str) -> None:
        values = " ".join(f"{key}={_short(value)}" for key, value in active.trial.values.items())
        again = " (still there)" if active.adopted else ""
        self._print(f"{active.trial.name} started   {values}  ({place}){again}")

    def ended(self, trial: Trial, seconds: float) -> None:
        named = zip(self.plan.objectives, trial.scores or [])
        result = "  ".join(f"{objective.metric} {_number(value)}" for objective, value in named)
        self._print(f"{trial.name} {trial.state:<9} {result or trial.cause}  ({duration(seconds)})")

    def refresh(self, active: list[Active]) -> None:
        pass

    def close(self) -> None:
        pass

    def _print(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, markup=False)


class LiveTable(Lines):
    """The same in place, with what runs now, how good it is, and how long the rest will take."""

    def __init__(
        self, console: Console, *, folder: Path, plan: Plan, trials: Callable[[], list[Trial]], slots: int
    ) -> None:
        super().__init__(console, plan=plan, trials=trials)
        self.folder, self.slots = folder, slots
        self.live = Live(console=console, auto_refresh=False, transient=True)
        self.live.start()
        self._shown = 0.0

    def started(self, active: Active, place: str) -> None:
        self._shown = 0.0

    def ended(self, trial: Trial, seconds: float) -> None:
        if trial.state != "finished":
            super().ended(trial, seconds)  # above the table, where it stays
        self._shown = 0.0

    def refresh(self, active: list[Active]) -> None:
        if time.monotonic() - self._shown < REFRESH_SECONDS:
            return
        self._shown = time.monotonic()
        now = {one.trial.name: one.curve[max(one.curve)] for one in active if one.curve}
        lines = [line(self.folder, trial) for trial in self.trials()]
        lines = [Line(one.trial, one.state, one.seconds, now.get(one.trial.name)) for one in lines]
        best = best_of(lines, self.plan.objectives)
        view = table(_few(lines, best), self.plan, best=best)
        view.caption = Text(f"{counts(lines, self.plan)}{self._remaining(lines)}", style="bold")
        view.caption_justify = "left"
        self.live.update(view, refresh=True)

    def _remaining(self, lines: list[Line]) -> str:
        done = [one.seconds for one in lines if one.state == "finished" and one.seconds]
        left = self.plan.points - sum(one.state in ("finished", "pruned", "failed") for one in lines)
        if not done or left <= 0:
            return ""
        return f"; about {duration(left * sum(done) / len(done) / self.slots)} left"

    def close(self) -> None:
        self.live.stop()


def best_of(lines: list[Line], objectives: list[Objective]) -> list[str]:
    """The name of the best finished trial; with several objectives, of those that no other beats in all."""
    done = [one for one in lines if one.trial.scores is not None]
    signs = [1 if objective.direction == "maximize" else -1 for objective in objectives]

    def beats(a: Line, b: Line) -> bool:
        pairs = [(s * x, s * y) for s, x, y in zip(signs, a.scores, b.scores)]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    front = [one for one in done if not any(beats(other, one) for other in done)]
    return [one.trial.name for one in (front if len(objectives) > 1 else front[:1])]


def _few(lines: list[Line], best: list[str]) -> list[Line]:
    """What fits a screen: what runs, what is best, and the newest of the rest; never those that wait."""
    begun = [one for one in lines if one.state != "queued"]
    first = [one for one in begun if one.state == "running" or one.trial.name in best]
    rest = [one for one in begun if one not in first]
    kept = first + rest[len(rest) - max(0, MAX_ROWS - len(first)) :] if len(begun) > MAX_ROWS else begun
    return sorted(kept, key=lambda one: int(one.trial.name))


def as_dict(one: Line, folder: Path, plan: Plan) -> dict[str, Any]:
    """For `--json`."""
    return {
        "trial": one.trial.name,
        "run": str(folder / one.trial.name),
        "state": one.state,
        "values": {axis.name: one.trial.values.get(axis.key) for axis in plan.axes},
        "scores": {o.metric: value for o, value in zip(plan.objectives, one.trial.scores or [])},
        "seconds": round(one.seconds, 1),
        "cause": one.trial.cause,
    }


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.3e}"


def _short(value: str) -> str:
    """Digits that a sampler drew are not worth a wide column: 0.00123456789 -> 0.001235."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if len(value) < 8 or number.is_integer() else f"{number:.4g}"


def duration(seconds: float) -> str:
    """`12 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
