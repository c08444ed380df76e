"""The loop of a sweep: starts trials, watches them, and writes down what became of each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import yaml

from videxp.config import Composed
from videxp.config.composing.sweeping import Axis
from videxp.core.errors import VidexpError
from videxp.core.yaml_files import read_yaml
from videxp.runs.folder import RunFolder, seconds_now
from videxp.sweeps.launching import Launcher, started
from videxp.sweeps.outcome import NoScore, curve, ending, scores
from videxp.sweeps.planning import plan
from videxp.sweeps.search import Objective, Search, Trial
from videxp.training.processes.signals import Signals

STOPPING_SECONDS = 15
"""What a trial that is to stop has for its checkpoint."""
LOOK_SECONDS = 1.0
"""How often metrics are read while trials run."""


@dataclass
class Active:
    """A trial whose process is there."""

    trial: Trial
    run: RunFolder
    handle: str
    since: float
    """By the monotonic clock."""
    adopted: bool = False
    """It was started by a controller that is no more."""
    giving_up: str = ""
    """Why it was asked to stop: it is behind, or took too long."""
    stopping_since: float | None = None
    curve: dict[int, float] = field(default_factory=dict)
    """Epoch -> the first objective's metric."""


class SweepDisplay(Protocol):
    """What people see of it."""

    def started(self, active: Active, place: str) -> None: ...
    def ended(self, trial: Trial, seconds: float) -> None: ...
    def refresh(self, active: list[Active]) -> None: ...


@dataclass
class Policy:
    retries: int = 0
    trial_minutes: float | None = None


class Controller:
    """One sweep, from where it stands to its end.

    compose: a trial's values -> its checked config. Raises BadRequest where they do not fit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        search: Search,
        launcher: Launcher,
        compose: Callable[[Trial], Composed],
        policy: Policy,
        view: SweepDisplay,
    ) -> None:
        self.folder, self.search, self.launcher = folder, search, launcher
        self.compose, self.policy, self.view = compose, policy, view
        self.active: dict[str, Active] = {}
        self.waiting: list[Trial] = []
        """Begun by an earlier controller, and to be gone on with first."""
        self._looked = 0.0

    def take_up(self) -> None:
        """What an earlier controller left: processes that are still there, runs without one, runs that failed; and
        all runs, where the study was lost."""
        take_up_folders(self.search, self.folder)
        self.search.prepare()
        self.search.left_without_values()
        for trial in self.search.trials():
            if trial.state == "failed":
                self.search.requeue(trial, attempt=0)
            elif trial.state == "running" and trial.handle and not self.launcher.ended([trial.handle]):
                self._watch(trial, trial.handle, adopted=True)
            elif trial.state == "running":
                self.waiting.append(trial)

    def run(self, signals: Signals) -> None:
        """Until all trials have ended, or a signal has been received and all running ones have stopped."""
        while True:
            self._harvest(is_stopping=signals.received is not None)
            if signals.received is None:
                self._judge()
                self._fill()
            else:
                self._stop([active for active in self.active.values() if active.stopping_since is None])
            self.view.refresh(list(self.active.values()))
            if not self.active and (signals.received is not None or not self.waiting):
                return
            time.sleep(self.launcher.poll_seconds)

    def end_at_once(self) -> None:
        """A second signal."""
        self.launcher.stop([active.handle for active in self.active.values()], at_once=True)

    # ---- starting ----------------------------------------------------------------------------------------------------

    def _next(self) -> Trial | None:
        free = [trial for trial in self.waiting if not RunFolder(self.folder / trial.name).is_held()]
        if free:
            self.waiting.remove(free[0])
            return free[0]
        return self.search.next()

    def _fill(self) -> None:
        """Give the free slots to trials."""
        ready: dict[Path, Trial] = {}
        while len(self.active) + len(ready) < self.launcher.slots and (trial := self._next()) is not None:
            if (run := self._planned(trial)) is not None:
                ready[run.path] = trial
        for path, handle in started(self.launcher, list(ready)):
            self.search.started(ready[path], handle)
            self._watch(ready[path], handle)

    def _planned(self, trial: Trial) -> RunFolder | None:
        """Its run, ready to be started; None where the trial has ended already."""
        run = RunFolder(self.folder / trial.name)
        if run.standing().state == "finished":
            if (
                trial.handle is not None or not trial.is_retry
            ):  # a controller was killed before it could write that down
                self._judge_finished(trial, run, seconds=0.0)
                return None
            _put_aside(run)
        if not run.config.exists():
            try:
                plan(self.compose(trial), run.path)
            except VidexpError as error:
                self._failed(trial, str(error).splitlines()[0], seconds=0.0)
                return None
        return run

    def _watch(self, trial: Trial, handle: str, *, adopted: bool = False) -> None:
        run = RunFolder(self.folder / trial.name)
        active = Active(trial, run, handle, since=time.monotonic(), adopted=adopted)
        self.active[trial.name] = active
        self.view.started(active, self.launcher.place(handle))

    # ---- while they run ----------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Read the metrics; stop what is behind or takes too long."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        plan = self.search.plan
        for active in self.active.values():
            if active.giving_up:
                self._insist(active)
                continue
            active.curve = curve(active.run, plan.objectives[0].metric)
            if self._overdue(active):
                active.giving_up = f"took longer than {self.policy.trial_minutes:g} minutes"
            elif plan.pruner and self.search.is_behind(active.trial, active.curve):
                active.giving_up = f"behind after epoch {max(active.curve) + 1}"
            if active.giving_up:
                self._stop([active])

    def _overdue(self, active: Active) -> bool:
        if self.policy.trial_minutes is None:
            return False
        seconds = seconds_now(active.run) if self.launcher.queues else time.monotonic() - active.since
        return seconds > 60 * self.policy.trial_minutes

    def _stop(self, some: list[Active]) -> None:
        for active in some:
            active.stopping_since = time.monotonic()
        self.launcher.stop([active.handle for active in some])

    def _insist(self, active: Active) -> None:
        """What hangs hears no request."""
        if active.stopping_since is not None and time.monotonic() - active.stopping_since > STOPPING_SECONDS:
            self.launcher.stop([active.handle], at_once=True)

    # ---- when they have ended ----------------------------------------------------------------------------------------

    def _harvest(self, *, is_stopping: bool) -> None:
        by_handle = {active.handle: active for active in self.active.values()}
        for handle, how in self.launcher.ended(list(by_handle)).items():
            active = by_handle[handle]
            del self.active[active.trial.name]
            self._ended(active, how, is_stopping=is_stopping)

    def _ended(self, active: Active, how: str, *, is_stopping: bool) -> None:
        trial, seconds = active.trial, time.monotonic() - active.since
        if (
            active.run.is_held()
        ):  # it was started twice, by a controller that was killed before it could write that down
            self.waiting.append(trial)
            return
        state, cause = ending(active.run, how)
        if state == "finished":
            self._judge_finished(trial, active.run, seconds=seconds)
        elif active.giving_up.startswith("behind"):
            self.search.pruned(trial, active.giving_up)
            trial.state, trial.cause = "pruned", active.giving_up
            self.view.ended(trial, seconds)
        elif active.giving_up:
            self._failed(trial, active.giving_up, seconds=seconds)
        elif is_stopping:
            return  # it counts as running, and is gone on with
        elif active.adopted:
            self.waiting.append(trial)
        else:
            self._failed(trial, cause or f"was interrupted from outside ({how})", seconds=seconds)

    def _judge_finished(self, trial: Trial, run: RunFolder, *, seconds: float) -> None:
        try:
            trial.scores = scores(run, self.search.plan.objectives)
        except NoScore as error:
            self._failed(trial, str(error), seconds=seconds)
            return
        self.search.finished(trial, trial.scores)
        trial.state = "finished"
        self.view.ended(trial, seconds)

    def _failed(self, trial: Trial, cause: str, *, seconds: float) -> None:
        self.search.failed(trial, cause)
        trial.state, trial.cause = "failed", cause
        self.view.ended(trial, seconds)
        if trial.attempt < self.policy.retries:
            self.search.requeue(trial, attempt=trial.attempt + 1)


def _put_aside(run: RunFolder) -> None:
    """A run that finished and was no success all the same, by a metric that is NaN, begins anew; the old one stays."""
    number = 1
    while (aside := run.path.with_name(f"{run.path.name}-failed-{number}")).exists():
        number += 1
    run.path.rename(aside)


def take_up_folders(search: Search, folder: Path) -> None:
    """Where the study knows nothing, because it was lost or has just begun: adopt the runs that are there."""
    if search.trials():
        return
    for run in [RunFolder(path) for path in sorted(folder.iterdir()) if path.name.isdecimal()]:
        if (values := _values(run, search.plan.axes)) is not None:
            search.adopt(run.path.name, values, scores=_scores(run, search.plan.objectives))


def _scores(run: RunFolder, objectives: list[Objective]) -> list[float] | None:
    """Those of a run that has finished; None for others, and for one that cannot be judged."""
    if run.standing().state != "finished":
        return None
    try:
        return scores(run, objectives)
    except NoScore:
        return None


def _values(run: RunFolder, axes: Sequence[Axis]) -> dict[str, str] | None:
    """Key of an axis -> the value with which a run was planned; None for a folder that is no run of these axes."""
    try:
        typed = dict(text.partition("=")[::2] for text in read_yaml(run.overrides))
        values = {axis.key: typed[axis.key] for axis in axes}
        return values if all(axis.is_interval or values[axis.key] in axis.values for axis in axes) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None
