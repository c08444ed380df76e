"""Which values are tried next, and what came of those before: an Optuna study on disk.

A trial of the sweep is a run folder (`0007`). Each attempt at it is a trial of Optuna's, with the run's name as an
attribute, because Optuna never changes one that has ended; the newest attempt says what has become of the run.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

from videxp.config.composing.sweeping import Axis
from videxp.sweeps.storage import open_storage, storage_to_read, study_words

State = Literal["queued", "running", "finished", "pruned", "failed"]
STUDY = "sweep"
MIN_FOR_IMPORTANCE = 4
MAX_DRAWS = 50
"""Draws of known points before one is taken that is not."""


@dataclass(frozen=True)
class Objective:
    """What makes one trial better than another."""

    metric: str
    direction: Literal["maximize", "minimize"]

    def best(self, values: list[float]) -> float:
        return max(values) if self.direction == "maximize" else min(values)


@dataclass(frozen=True)
class Plan:
    """What is searched, and how."""

    axes: list[Axis]
    objectives: list[Objective]
    sampler: str = "grid"
    trials: int | None = None
    pruner: str | None = None
    max_epochs: int = 1
    seed: int = 0
    storage: str = "sqlite"

    @property
    def points(self) -> int:
        """How many runs the sweep has."""
        return math.prod(len(axis.values) for axis in self.axes) if self.sampler == "grid" else self.trials or 0


@dataclass
class Trial:
    """What is known of one run of the sweep."""

    name: str
    """Its folder beneath the sweep's."""
    number: int
    """Of its newest attempt, in the study."""
    state: State
    values: dict[str, str]
    """Key of an axis, with Hydra's prefix -> the value, as one would type it."""
    scores: list[float] | None = None
    cause: str = ""
    """Why it failed or was pruned."""
    handle: str | None = None
    """Where the launcher finds its process."""
    attempt: int = 0
    """Retries since the sweep was called last."""
    is_retry: bool = False
    """An attempt before this one has failed."""
    reported: set[int] = field(default_factory=set)
    """Epochs whose metric the pruner knows."""


class Search:
    """A study beneath `folder`; made where there is none. One process writes it, others may look at it.

    writes: False leaves every file as it is, also in a folder that cannot be written: then there may be no study.
    Raises BadRequest for a study that is damaged, or locked for longer than SQLite waits.
    """

    def __init__(self, folder: Path, plan: Plan, *, writes: bool = True) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", module=r"optuna\b.*")
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.plan = plan
        self._study: Any = None
        with study_words(folder, plan.storage):
            if not writes:
                if (storage := storage_to_read(folder, plan.storage)) is not None:
                    self._study = optuna.load_study(storage=storage, study_name=STUDY)
            else:
                self._study = optuna.create_study(
                    storage=open_storage(folder, plan.storage),
                    study_name=STUDY,
                    directions=[objective.direction for objective in plan.objectives],
                    pruner=_pruner(plan),
                    load_if_exists=True,
                )
            self.trials()

    # ---- what has become of the runs ---------------------------------------------------------------------------------

    def trials(self) -> list[Trial]:
        """All runs that the study knows, by name."""
        newest: dict[str, Trial] = {}
        for frozen in self._study.get_trials(deepcopy=False) if self._study is not None else []:
            if "run" in frozen.user_attrs:
                newest[frozen.user_attrs["run"]] = self._trial(frozen)
        return [newest[name] for name in sorted(newest, key=int)]

    def _trial(self, frozen: Any) -> Trial:
        params = {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}
        states = {"WAITING": "queued", "RUNNING": "running", "COMPLETE": "finished", "PRUNED": "pruned"}
        state: Any = states.get(frozen.state.name, "failed")
        facts = frozen.user_attrs
        return Trial(
            name=facts["run"],
            number=frozen.number,
            state=state,
            values={axis.key: str(params[axis.name]) for axis in self.plan.axes if axis.name in params},
            scores=list(frozen.values) if frozen.values is not None else None,
            cause=facts.get("cause", ""),
            handle=facts.get("handle"),
            attempt=facts.get("attempt", 0),
            is_retry="attempt" in facts,
            reported=set(frozen.intermediate_values),
        )

    # ---- what comes next ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Write down what is known beforehand: all points of a grid. Again after a kill, what is missing of them."""
        if self.plan.sampler != "grid":
            return
        known = len(self._study.get_trials(deepcopy=False)) and {trial.name for trial in self.trials()}
        for number, point in enumerate(self._grid()):
            if not known or _name(number) not in known:
                values = {axis.name: value for axis, value in zip(self.plan.axes, point)}
                self._study.enqueue_trial(values, user_attrs={"run": _name(number)})

    def adopt(self, name: str, values: dict[str, str], *, scores: list[float] | None = None) -> None:
        """Take up a run that lies in the sweep's folder and that the study does not know, with the values that it has,
        by their keys as typed. scores: of one that has finished; without, it is the next one to be run."""
        import optuna

        params = {axis.name: _parsed(axis, values[axis.key]) for axis in self.plan.axes}
        if scores is None:
            self._study.enqueue_trial(params, user_attrs={"run": name})
            return
        # At once: given out and told, each of n would have Optuna read all that wait.
        drawn_from = {axis.name: _distribution(axis) for axis in self.plan.axes}
        run = optuna.trial.create_trial(
            params=params, distributions=drawn_from, values=scores, user_attrs={"run": name}
        )
        self._study.add_trial(run)

    def next(self) -> Trial | None:
        """The next run, with its values; None when all have been given out. It counts as running from here on."""
        trials = self.trials()
        waiting = any(trial.state == "queued" for trial in trials)
        if not waiting and (self.plan.sampler == "grid" or len(trials) >= self.plan.points):
            return None
        self._study.sampler = _sampler(self.plan, number=len(self._study.get_trials(deepcopy=False)))
        return self._given_values(self._study.ask())

    def left_without_values(self) -> list[Trial]:
        """Trials that a kill caught between their begin and their first value: they get their values now."""
        frozen = [t for t in self._study.get_trials(deepcopy=False) if t.state.name == "RUNNING"]
        wanting = [t for t in frozen if "run" not in t.user_attrs or len(t.params) < len(self.plan.axes)]
        self._study.sampler = _sampler(self.plan, number=len(self._study.get_trials(deepcopy=False)))
        return [self._given_values(self._live(t.number)) for t in wanting]

    def _given_values(self, live: Any) -> Trial:
        """The trial with its values: those that a run has had are drawn again, since its result is known."""
        known = self.trials()
        self._suggest_values(live)
        draws = 1
        while "run" not in live.user_attrs and self._trial_values(live) in [trial.values for trial in known]:
            self._give_back(live)
            live = self._another(known, draws=draws)
            self._suggest_values(live)
            draws += 1
        if "run" not in live.user_attrs:
            live.set_user_attr("run", _name(int(known[-1].name) + 1 if known else 0))
        return self._trial(self._frozen(live.number))

    def _give_back(self, live: Any) -> None:
        import optuna

        self._study.tell(live.number, state=optuna.trial.TrialState.FAIL)

    def _another(self, known: list[Trial], *, draws: int) -> Any:
        """Drawn anew; after many draws of what is known, the first point that is not."""
        if draws >= MAX_DRAWS:
            taken = [trial.values for trial in known]
            points = ({axis.key: value for axis, value in zip(self.plan.axes, point)} for point in self._grid())
            free = next(point for point in points if {key: str(value) for key, value in point.items()} not in taken)
            self._study.enqueue_trial({axis.name: free[axis.key] for axis in self.plan.axes})
        self._study.sampler = _sampler(self.plan, number=len(self._study.get_trials(deepcopy=False)))
        return self._study.ask()

    def _grid(self) -> Iterator[tuple[Any, ...]]:
        """All points of axes that have an end."""
        return product(*(axis.values or range(int(axis.low), int(axis.high) + 1) for axis in self.plan.axes))

    def _trial_values(self, live: Any) -> dict[str, str]:
        return {axis.key: str(live.params[axis.name]) for axis in self.plan.axes}

    def _suggest_values(self, live: Any) -> None:
        for axis in self.plan.axes:
            if not axis.is_interval:
                live.suggest_categorical(axis.name, axis.values)
            elif axis.is_int:
                live.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.is_log)
            else:
                live.suggest_float(axis.name, axis.low, axis.high, log=axis.is_log)

    def requeue(self, trial: Trial, *, attempt: int) -> None:
        """A failed run is to be gone on with."""
        params = self._frozen(trial.number).params
        self._study.enqueue_trial(params, user_attrs={"run": trial.name, "attempt": attempt})

    # ---- what came of it ---------------------------------------------------------------------------------------------

    def started(self, trial: Trial, handle: str) -> None:
        trial.handle = handle
        self._live(trial.number).set_user_attr("handle", handle)

    def finished(self, trial: Trial, scores: list[float]) -> None:
        self._study.tell(trial.number, scores)

    def failed(self, trial: Trial, cause: str) -> None:
        import optuna

        self._live(trial.number).set_user_attr("cause", cause)
        self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def pruned(self, trial: Trial, cause: str) -> None:
        import optuna

        self._live(trial.number).set_user_attr("cause", cause)
        self._study.tell(trial.number, state=optuna.trial.TrialState.PRUNED)

    def is_behind(self, trial: Trial, values: dict[int, float]) -> bool:
        """Whether the pruner gives the trial up; `values`: of the metric, epoch by epoch."""
        live = self._live(trial.number)
        for epoch in sorted(values.keys() - trial.reported):
            live.report(values[epoch], epoch)
            trial.reported.add(epoch)
        return live.should_prune()

    # ---- looking back ------------------------------------------------------------------------------------------------

    def best(self) -> list[str]:
        """The name of the best run; with several objectives, those that no other run beats in all of them."""
        return [frozen.user_attrs["run"] for frozen in self._study.best_trials] if self._finished() else []

    def importance(self) -> dict[str, dict[str, float]]:
        """Metric -> key -> its share of what the metric varies by (fANOVA); empty where too few runs have finished."""
        if self._finished() < MIN_FOR_IMPORTANCE or len(self.plan.axes) < 2:
            return {}
        import optuna

        found = {}
        for position, objective in enumerate(self.plan.objectives):
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            score = partial(_value, position)
            found[objective.metric] = optuna.importance.get_param_importances(
                self._study, evaluator=evaluator, target=score
            )
        return found

    def _finished(self) -> int:
        return sum(frozen.state.name == "COMPLETE" for frozen in self._study.get_trials(deepcopy=False))

    def _frozen(self, number: int) -> Any:
        return self._study.get_trials(deepcopy=False)[number]

    def _live(self, number: int) -> Any:
        import optuna

        return optuna.trial.Trial(self._study, self._frozen(number)._trial_id)  # its way to go on with one


def _value(position: int, frozen: Any) -> float:
    return frozen.values[position]


def _distribution(axis: Axis) -> Any:
    """The one that `_suggest_values` draws from."""
    from optuna import distributions

    if not axis.is_interval:
        return distributions.CategoricalDistribution(axis.values)
    if axis.is_int:
        return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.is_log)
    return distributions.FloatDistribution(axis.low, axis.high, log=axis.is_log)


def _parsed(axis: Axis, text: str) -> Any:
    return text if not axis.is_interval else int(text) if axis.is_int else float(text)


def _name(number: int) -> str:
    return f"{number:04d}"


def _sampler(plan: Plan, *, number: int) -> Any:
    """For one trial. Its randomness comes from (seed, number), so a sweep that was killed draws what it would have."""
    import optuna

    seed = (plan.seed * 1_000_003 + number) % 2**32
    samplers = optuna.samplers
    if plan.sampler in ("grid", "random"):
        return samplers.RandomSampler(seed=seed)
    if plan.sampler == "tpe":
        return samplers.TPESampler(seed=seed, constant_liar=True)
    if plan.sampler == "cmaes":
        return samplers.CmaEsSampler(seed=seed)
    return samplers.QMCSampler(seed=plan.seed, scramble=True)  # counts its points in the study


def _pruner(plan: Plan) -> Any:
    import optuna

    if plan.pruner == "median":
        # Of a small sweep a quarter, of a large one five trials, are seen to their end first.
        return optuna.pruners.MedianPruner(n_startup_trials=min(5, max(1, plan.points // 4)))
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(1, plan.max_epochs))
    return optuna.pruners.NopPruner()
