"""A task's headline clean, under each corruption at each severity, and under attack: one pass over the samples each.

No more is held than one pass holds. Each figure is kept as it comes (`ledger.py`).
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from omegaconf import OmegaConf

from videxp.core.contract import Contract
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.printable import number_text
from videxp.data.samples import BatchChange
from videxp.evaluation.corrupting.adversary import EPSILONS, STEPS, Attack, Kind
from videxp.evaluation.corrupting.clips import save_corrupted_clips
from videxp.evaluation.corrupting.consistency import SHIFT_FRAMES, measure_consistency
from videxp.evaluation.corrupting.latent import smoothness_section
from videxp.evaluation.corrupting.ledger import Figures, Ledger
from videxp.evaluation.corrupting.one_severity import OneSeverity, changed
from videxp.evaluation.corrupting.request import RobustnessRequest, read_baseline, read_request
from videxp.evaluation.corrupting.summary import summarize
from videxp.evaluation.subject import Subject, Tested
from videxp.models.gan import VideoGenerator
from videxp.runs.evaluation_files import short_hash
from videxp.runs.figures import NETWORK, split_figures
from videxp.tasks import VideoTask
from videxp.transforms.corruptions.corruption import Corruption

SEED = 0  # not the run's: all runs are to meet the same corruptions
NO_MATTER = (
    "root",
    "name",
    "loading",
    "preparing",
    "timeout_seconds",
    "max_unreadable",
    "batch_size",
    "eval_batch_size",
)
"""Keys of a data set that change no figure; its samples are known by their fingerprint."""


def measure_robustness(subject: Subject, options: argparse.Namespace) -> dict[str, Any]:
    """The section of evaluation.json. Raises BadRequest for what the options ask in vain."""
    of: dict[str, Any] = {"weights": subject.weights, "samples": subject.samples.fingerprint, "seed": SEED}
    maker = subject.task.to(subject.device).deployed
    if isinstance(maker, VideoGenerator):
        return {**of, **smoothness_section(maker, seed=SEED, device=subject.device)}
    contract = subject.task.contract
    metric = metric_of(contract)
    if not metric:
        return {"does_not_apply": "the task's contract names no metric"}
    request = read_request(options, contract)
    baseline = baseline_of(subject, options, request)
    meter = Meter(subject, Ledger(subject.run.robustness, weights=subject.weights), metric, request)
    section = {
        **of,
        **samples_of(subject),
        "protocol": request.protocol.name,
        "source": request.protocol.source,
        "severities": list(request.severities),
        "is_whole": request.is_whole,
        "left_out": request.left_out,
        "moved": request.moved,
        "groups": {one.name: one.group for one in request.corruptions},
        "metric": metric,
        "direction": contract.better(metric) or "max",
        "clean": meter.corrupted(None, 0),
        "figures": {
            one.name: {str(severity): meter.corrupted(one, severity) for severity in request.severities}
            for one in request.corruptions
        },
    }
    section |= summarize(section, is_error=is_error(contract), baseline=baseline)
    if baseline is not None:
        section["baseline"] = options.baseline
    section["consistency"] = meter.consistency()
    section["attacks"] = meter.attacks()
    if options.save_clips:
        files = save_corrupted_clips(subject, request, seed=SEED)
        section["clips"] = [str(path.relative_to(subject.run.path)) for path in files]
    if known := meter.ledger.found:
        figures = "1 figure was" if known == 1 else f"{known} figures were"
        told = f"{figures} measured before: {meter.ledger.path} (delete it to measure anew)"
        subject.console.print(told, soft_wrap=True)
    return section


def metric_of(contract: Contract) -> str:
    """What is measured: the task's headline; "" where it names no metric."""
    return next(iter(contract.headline or contract.metrics), "")


def samples_of(subject: Subject) -> dict[str, Any]:
    """Which samples figures are means over: two runs are compared on the same ones."""
    return {"samples": subject.samples.fingerprint, "videos": len(subject.tested)}


def is_error(contract: Contract) -> bool:
    """Whether 1 - the metric is an error, whose ratio to another run's says something."""
    return contract.better(metric_of(contract)) == "max" and not contract.of_baselines


def baseline_of(
    subject: Subject, options: argparse.Namespace, request: RobustnessRequest
) -> dict[str, dict[str, float]] | None:
    """Corruption -> severity -> the metric of `--baseline`; None where none was named. Raises BadRequest."""
    if options.baseline is None:
        return None
    contract = subject.task.contract
    if not is_error(contract):
        what = f"{metric_of(contract)} has none" if metric_of(contract) else "the task has none"
        raise BadRequest(f"--baseline {options.baseline}: mCE is of errors 1 - x, and {what}: leave --baseline out")
    return read_baseline(options.baseline, request, metric=metric_of(contract), samples=samples_of(subject))


@dataclass(frozen=True)
class Meter:
    """Measures one metric of a subject under one change after the other."""

    subject: Subject
    ledger: Ledger
    metric: str
    request: RobustnessRequest

    @cached_property
    def total(self) -> int:
        """How many figures there will be."""
        corrupted = len(self.request.corruptions) * len(self.request.severities)
        attacked = 0 if self._no_attacks else len(self._kinds) * len(EPSILONS)
        return 1 + corrupted + (not self._no_consistency) + attacked

    def corrupted(self, corruption: Corruption | None, severity: int) -> Figures:
        """corruption: None: clips as they are."""
        corrupting = OneSeverity(corruption, severity, SEED)
        name = "clean" if corruption is None else corruption.name
        return self._measured(
            f"{name} {severity or ''}".strip(),
            lambda: self._figures(self._test(corrupting)),
            corruption=name,
            severity=severity,
            parameters={} if corruption is None else corruption.parameters(severity),
        )

    def consistency(self) -> Figures:
        """Of tasks that tell a prediction for each video as it is shown in its clips."""
        if self._no_consistency:
            return {"does_not_apply": self._no_consistency}
        return self._measured(
            f"clips {SHIFT_FRAMES} frames later",
            lambda: measure_consistency(self.subject, self._test(None)),
            shift_frames=SHIFT_FRAMES,
        )

    @cached_property
    def _no_consistency(self) -> str:
        """Why there is none; "" where there is."""
        if not self.subject.task.contract.activation:
            return "the task gives no label to a clip"
        return "videos are read whole" if self.subject.datamodule.dataset("test").choice.num_frames == "all" else ""

    def attacks(self) -> dict[str, Any]:
        if self._no_attacks:
            return {"does_not_apply": self._no_attacks}
        mean, std = self._normalization
        changes = [
            Attack(kind, epsilon / 255, task=self.subject.task, mean=mean, std=std, seed=SEED)
            for kind in self._kinds
            for epsilon in EPSILONS
        ]
        return {"steps": STEPS, "rows": [self._attacked(change) for change in changes]}

    @property
    def _kinds(self) -> list[Kind]:
        return cast(list[Kind], ["noise", *self.request.attacks])

    @property
    def _normalization(self) -> tuple[Any, Any]:
        """Mean and std of the test's transform; None of what it doesn't tell."""
        transform = self.subject.datamodule.test_transform
        return getattr(transform, "mean", None), getattr(transform, "std", None)

    @cached_property
    def _no_attacks(self) -> str:
        """Why there are none; "" where there are."""
        if not self.request.attacks:
            return "not asked for"
        task = type(self.subject.task)
        if task.sample_losses is VideoTask.sample_losses:
            return f"{task.__name__} has no loss of each sample that an attack could raise"
        tells = all(values is not None for values in self._normalization)
        return "" if tells else "the test's transform does not tell the mean and std that pixels are normalized by"

    def _attacked(self, attack: Attack) -> Figures:
        of = {"attack": attack.kind, "epsilon": round(attack.epsilon * 255)}
        steps = {"steps": STEPS} if attack.kind == "pgd" else {}
        told = f"{attack.kind} {of['epsilon']}/255"
        return {**of, **self._measured(told, lambda: self._figures(self._test(None, attack=attack)), **of, **steps)}

    @cached_property
    def _read(self) -> str:
        return read_how(self.subject)

    def _measured(self, told: str, measure: Callable[[], Figures], **of: Any) -> Figures:
        before = self.ledger.found
        fingerprint = self.subject.samples.fingerprint
        figures = self.ledger.measured(measure, samples=fingerprint, seed=SEED, read=self._read, **of)
        if self.ledger.found == before:
            said = next((f"{name} {number_text(figures[key])}" for key, name in self._named if key in figures), None)
            figure = f"{told}: {said or figures['does_not_apply']}"
            self.subject.console.print(f"{figure} (figure {self.ledger.asked} of {self.total})", soft_wrap=True)
        return figures

    @property
    def _named(self) -> list[tuple[str, str]]:
        """Key of a figure -> what it is called."""
        return [("value", self.metric), ("flips", "flips")]

    def _test(self, corrupting: OneSeverity | None, *, attack: BatchChange | None = None) -> Tested:
        with changed(self.subject.datamodule, corrupting, attack=attack):
            return self.subject.test()

    def _figures(self, tested: Tested) -> Figures:
        """`value`, the metric; where there are baselines, `baselines`: theirs under the same corruption."""
        contract = self.subject.task.contract
        plain = {name.partition("/")[2]: value for name, value in tested.metrics.items()}
        if self.metric not in plain:
            raise VidexpError(f"{self.metric} cannot be measured on these samples: {contract.undefined}")
        baselines = baseline_values(tested.metrics, contract, metric=self.metric)
        return {"value": plain[self.metric], **({"baselines": baselines} if baselines else {})}


def baseline_values(metrics: Mapping[str, float], contract: Contract, *, metric: str) -> dict[str, float]:
    """Baseline -> the metric of it, in the same test."""
    rows, _, _ = split_figures(metrics, contract)
    return {name: row[metric] for name, row in rows.items() if name != NETWORK and metric in row}


def read_how(subject: Subject) -> str:
    """A hash of what figures depend on beside weights and samples: how clips are read, and what answers them."""
    cfg = cast(dict[str, Any], OmegaConf.to_container(subject.cfg, resolve=True))
    dataset = {key: value for key, value in cfg["dataset"].items() if key not in NO_MATTER}
    rest = {key: cfg[key] for key in ("model", "task", "pruning") if key in cfg}
    how = {"precision": cfg["hardware"]["precision"], "videos": len(subject.tested)}
    return short_hash({"dataset": dataset, **rest, **how})
