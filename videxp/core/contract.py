"""A task's contract: what the rest of videxp goes by, read from the task's source without importing torch.

contract_of("videxp.tasks.Restoration").needs  ->  ("target",)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache

from videxp.core.signatures import UNREADABLE, Call, Source, find_spec, locate, signature

EXPLANATIONS = ("map", "frames", "order", "walks")
"""What an explanation may consist of."""

MAP_METHODS = ("gradcam", "integrated_gradients", "attention_rollout", "gradient")
"""How a map may be made."""

COMMON_FIELDS = ("label", "labels", "target")
"""What a contract may need of data sets that add no field of their own."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A task class has one, as its attribute `contract`: a call with literals alone.

    A subclass inherits it whole or writes one of its own; the two are not merged, so that each can be read at a glance.
    Raises ValueError for a text where a tuple belongs, a metric that gets better in no known way, a headline that is no
    metric, and an unknown activation.
    """

    network_parameter: str = ""
    """Parameter that the constructors of all networks of the task's kind have; "": it takes any network."""

    needs: tuple[str, ...] = ()
    """Fields that a sample must have beside its clip: "label" (one class), "labels" (any number of classes, one
    included), "target" (the clean clip; transforms that make one say `gives_target`), and what a layout adds."""

    uses: tuple[str, ...] = ()
    """Fields that some of its networks are told, such as the class."""

    metrics: Mapping[str, str] = field(default_factory=dict)
    """Name -> "max" or "min" (which is better), logged as `val/<name>` and `test/<name>`."""

    test_only: tuple[str, ...] = ()
    """Metrics that the test alone logs, as `test/<name>`, of `metrics` or beside them."""

    baselines: tuple[str, ...] = ()
    """Rows that need no training, which the test may put beside the network's, such as "input"; a config adds others in
    `task.baselines`."""

    of_baselines: tuple[str, ...] = ()
    """Metrics that the test logs of each baseline, too: `test/<metric>_<baseline>`. Those of `task.test_metrics` are
    among them."""

    of_degradations: tuple[str, ...] = ()
    """Metrics that the test logs of each of `task.test_degradations`, too: `test/<metric>_<name>`."""

    train_metrics: tuple[str, ...] = ("loss",)
    """What `training_step` may log, as `train/<name>`, beside the names of `task.losses`."""

    headline: tuple[str, ...] = ()
    """The metrics that matter most; none given: all."""

    undefined: str = "they do not define it"
    """Why a metric may be absent from an evaluation."""

    predictor: str = ""
    """Module that `videxp predict` puts a trained task to work with; "": there is nothing to predict.

    It has `add_arguments(parser)`, which adds what comes after RUN on the command line, and
    `predict(task, datamodule, options) -> exit status`. A name, because what deploys tasks lies above them. Where a
    file is not read as the test's samples are, `read_explained(task, datamodule, path)` reads it for `videxp explain`.
    """

    streamer: str = ""
    """Module that `videxp stream` puts a trained task to work with; "": it cannot go over a stream.

    It has `add_arguments(parser)` and `open_streamer(task, datamodule, options)`: `videxp.deploy.streaming.streamer`.
    """

    makes_clips: bool = False
    """Whether it makes clips of nothing: there is no file whose frames it would answer."""

    predict_example: str = "VIDEO.mp4"
    """What follows RUN in a first `videxp predict`."""

    explains: tuple[str, ...] = ()
    """What an explanation of an answer consists of, of EXPLANATIONS; (): there is none.

    "map": where and when in the clip the answer comes from; "frames": what it loses without each frame; "order":
    without their order. These are of `VideoTask.questions`. "walks": what changes along the codes of a generator, which
    has no input; of `Generation.walks`.
    """

    map_method: str = "gradcam"
    """How its maps are made unless another method is asked for: one of MAP_METHODS."""

    exported: str = "network."
    """Prefix of the state-dict keys that `videxp export` writes."""

    activation: str = ""
    """What makes probabilities of a classifier's logits, "softmax" or "sigmoid"; a teacher must share it."""

    normalization: Mapping[str, float] = field(default_factory=dict)
    """The `mean` and `std` that the data's transforms must subtract and divide by; empty: any."""

    instead_of_trainer: Mapping[str, str] = field(default_factory=dict)
    """Trainer keys that Lightning honors for one optimizer only -> the task's own key for each."""

    def __post_init__(self) -> None:
        for kind in fields(self):
            if kind.type == tuple[str, ...] and isinstance(value := getattr(self, kind.name), str):
                raise ValueError(f"{kind.name}: write a tuple, ({value!r},)")
        if self.activation not in ("", "softmax", "sigmoid"):
            raise ValueError(f"activation: {self.activation!r} is neither 'softmax' nor 'sigmoid'")
        if self.map_method not in MAP_METHODS:
            raise ValueError(f"map_method: {self.map_method!r} is none of {', '.join(MAP_METHODS)}")
        for name in self.explains:
            if name not in EXPLANATIONS:
                raise ValueError(f"explains: {name!r} is none of {', '.join(EXPLANATIONS)}")
        for name, way in self.metrics.items():
            if way not in ("max", "min"):
                raise ValueError(f"metrics: {name} is better when {way!r}; write 'max' or 'min'")
        for name in self.headline:
            if name not in self.metrics:
                raise ValueError(f"headline: {name} is none of metrics")

    def better(self, metric: str) -> str | None:
        """ "max" or "min", for `psnr` and also for `psnr_<baseline>`; None where the contract does not say."""
        if metric in self.metrics:
            return self.metrics[metric]
        of = [name for name in (*self.of_baselines, *self.of_degradations) if metric.startswith(f"{name}_")]
        return self.metrics.get(max(of, key=len)) if of else None

    @property
    def reads_one_label(self) -> bool:
        """Whether it would misread samples of several classes."""
        return "label" in (*self.needs, *self.uses)


@cache
def contract_of(task: str) -> Contract | None:
    """The contract of a task class by its dotted name; None where there is none, or none that can be read."""
    found = signature(task) if task else None
    return _read(found.calls["contract"])[0] if found is not None and "contract" in found.calls else None


@cache
def contract_trouble(task: str) -> str:
    """Why a task's contract cannot be read or kept; "" where it can, and where there is none."""
    found = signature(task) if task else None
    contract, trouble = (
        _read(found.calls["contract"]) if found is not None and "contract" in found.calls else (None, "")
    )
    if trouble or contract is None:
        return trouble
    return _module_trouble("predictor", contract.predictor, ("add_arguments", "predict")) or _module_trouble(
        "streamer", contract.streamer, ("add_arguments", "open_streamer")
    )


def _module_trouble(field: str, name: str, functions: tuple[str, ...]) -> str:
    if not name:
        return ""
    if find_spec(name) is None:
        return f"contract: {field}: there is no module {name}"
    is_read = isinstance(locate(name), Source)
    lacking = [needed for needed in functions if is_read and locate(f"{name}.{needed}") is None]
    return f"contract: {field}: {name} has no function {lacking[0]}" if lacking else ""


def _read(call: Call) -> tuple[Contract | None, str]:
    """(the contract, "") or (None, what is wrong with it)."""
    known = [item.name for item in fields(Contract)]
    if call.name != "Contract":
        return None, "contract is read, not run: write contract = Contract(...), with literals"
    for name, value in call.arguments.items():
        if name not in known:
            return None, f"contract has no field {name}, only {', '.join(known)}"
        if value is UNREADABLE:
            return None, f"contract is read, not run: write a literal for {name}"
    try:
        return Contract(**call.arguments), ""
    except (TypeError, ValueError, AttributeError) as error:
        return None, f"contract: {error}"
