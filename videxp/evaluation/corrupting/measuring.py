"""A task's headline clean, under each corruption at each severity, and under attack: one pass over the samples each.

No more is held than one pass holds. Each figure is kept as it comes (`ledger.py`).
"""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from videxp.evaluation.corrupting.one_severity import OneSeverity
from videxp.evaluation.corrupting.request import RobustnessRequest, read_baseline, read_request
from videxp.evaluation.corrupting.summary import summarize
from videxp.evaluation.subject import Subject, Tested
from videxp.models.gan import VideoGenerator
from videxp.runs.evaluation_files import short_hash
from videxp.runs.figures import NETWORK, split_figures
from videxp.tasks import VideoTask

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
    total = 2 + len(request.corruptions) * len(request.severities) + len(EPSILONS) * (1 + len(request.attacks))
    meter = Meter(subject, Ledger(subject.run.robustness, weights=subject.weights), metric, total)
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
    section["attacks"] = meter.attacks(request)
    if options.save_clips:
        files = save_corrupted_clips(subject, request, seed=SEED)
        section["clips"] = [str(path.relative_to(subject.run.path)) for path in files]
    if meter.ledger.found:
        told = f"{meter.ledger.found} figures were measured before: {meter.ledger.path} (delete it to measure anew)"
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
    total: int
    """How many figures there will be, at most."""

    def corrupted(self, corruption: Any, severity: int) -> Figures:
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
        if not self.subject.task.contract.activation:
            return {"does_not_apply": "the task gives no label to a clip"}
        if self.subject.datamodule.dataset("test").choice.num_frames == "all":
            return {"does_not_apply": "videos are read whole"}
        return self._measured(
            f"clips {SHIFT_FRAMES} frames later",
            lambda: measure_consistency(self.subject, self._test(None)),
            shift_frames=SHIFT_FRAMES,
        )

    def attacks(self, request: RobustnessRequest) -> dict[str, Any]:
        transform, task = self.subject.datamodule.test_transform, self.subject.task
        mean, std = (getattr(transform, name, None) for name in ("mean", "std"))
        if not request.attacks:
            return {"does_not_apply": "not asked for"}
        if type(task).sample_losses is VideoTask.sample_losses:
            return {"does_not_apply": f"{type(task).__name__} has no loss of each sample that an attack could raise"}
        if mean is None or std is None:
            return {
                "does_not_apply": "the test's transform does not tell the mean and std that pixels are normalized by"
            }
        kinds = cast(list[Kind], ["noise", *request.attacks])
        changes = [
            Attack(kind, epsilon / 255, task=task, mean=mean, std=std, seed=SEED)
            for kind in kinds
            for epsilon in EPSILONS
        ]
        return {"steps": STEPS, "rows": [self._attacked(change) for change in changes]}

    def _attacked(self, attack: Attack) -> Figures:
        of = {"attack": attack.kind, "epsilon": round(attack.epsilon * 255)}
        steps = {"steps": STEPS} if attack.kind == "pgd" else {}
        told = f"{attack.kind} {of['epsilon']}/255"
        return {**of, **self._measured(told, lambda: self._figures(self._test(None, attack=attack)), **of, **steps)}

    def _measured(self, told: str, measure: Any, **of: Any) -> Figures:
        before = self.ledger.found
        figures = self.ledger.measured(
            measure, samples=self.subject.samples.fingerprint, seed=SEED, read=read_how(self.subject), **of
        )
        if self.ledger.found == before and "value" in figures:
            figure = f"{told}: {self.metric} {number_text(figures['value'])}"
            self.subject.console.print(f"{figure} (figure {self.ledger.asked} of {self.total})", soft_wrap=True)
        return figures

    def _test(self, corrupting: OneSeverity | None, *, attack: BatchChange | None = None) -> Tested:
        with changed(self.subject, corrupting, attack=attack):
            return self.subject.test()

    def _figures(self, tested: Tested) -> Figures:
        """`value`, the metric; where there are baselines, `baselines`: theirs under the same corruption."""
        contract = self.subject.task.contract
        plain = {name.partition("/")[2]: value for name, value in tested.metrics.items()}
        if self.metric not in plain:
            raise VidexpError(f"{self.metric} cannot be measured on these samples: {contract.undefined}")
        baselines = baseline_values(tested.metrics, contract, metric=self.metric)
        return {"value": plain[self.metric], **({"baselines": baselines} if baselines else {})}


@contextmanager
def changed(subject: Subject, corrupting: OneSeverity | None, *, attack: BatchChange | None = None) -> Iterator[None]:
    """Meanwhile, the test meets its clips corrupted and its batches attacked."""
    data = subject.datamodule
    data.corrupt_test(corrupting)
    data.attack = attack
    try:
        yield
    finally:
        data.corrupt_test(None)
        data.attack = None


def baseline_values(metrics: Mapping[str, float], contract: Contract, *, metric: str) -> dict[str, float]:
    """Baseline -> the metric of it, in the same test."""
    rows, _, _ = split_figures(metrics, contract)
    return {name: row[metric] for name, row in rows.items() if name != NETWORK and metric in row}


def read_how(subject: Subject) -> str:
    """A hash of what figures depend on beside weights and samples: how clips are read, and what answers them."""
    cfg = cast(dict[str, Any], OmegaConf.to_container(subject.cfg, resolve=True))
    dataset = {key: value for key, value in cfg["dataset"].items() if key not in NO_MATTER}
    rest = {key: cfg[key] for key in ("model", "task")}
    how = {"precision": cfg["hardware"]["precision"], "videos": len(subject.tested)}
    return short_hash({"dataset": dataset, **rest, **how})
