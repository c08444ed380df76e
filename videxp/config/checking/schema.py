"""The values of a config that belong to videxp itself rather than to something that is built.

The check reads these classes as text, as it reads the signature of anything a config builds.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from videxp.core.limits import Ge, Gt, Seed


@dataclass
class HardwareOptions:
    """What differs between machines; nothing here changes a result."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    """`auto`: GPUs if there are any, else the CPU."""
    devices: Annotated[int, Ge(1)] | Literal["auto"] | list[Annotated[int, Ge(0)]] = "auto"
    """How many processes, one GPU each; a list names the GPUs."""
    num_nodes: Annotated[int, Ge(1)] = 1
    """Machines."""
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters", "fsdp", "single"] = "auto"
    """How processes share the work."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """Lightning's names. Clips are float32 in any case."""
    num_workers: Annotated[int, Ge(0)] | Literal["auto"] = "auto"
    """Processes that decode video, for each rank."""
    num_threads: Annotated[int, Ge(1)] | None = None
    """Threads of torch; the same number gives the same bits."""
    compile: bool = False
    """Compile the network in place with torch.compile."""
    cache_dir: str = "~/.cache/videxp"
    """Where prepared data sets lie."""
    timeout_seconds: Annotated[int, Ge(1)] = 300
    """How long a rank waits for the others before the run is stopped."""


@dataclass
class RunOptions:
    """How the run is called and found again; nothing here changes a result."""

    group: str | None = None
    """Runs that are compared side by side in W&B."""
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    resume: Literal["never", "auto"] = "never"
    """`auto`: if the run folder holds an unfinished run of this config, go on with it."""


@dataclass
class SweepOptions:
    """Many runs of one recipe: which values they try, and which of them is best."""

    space: dict[str, Any] = field(default_factory=dict)
    """KEY: VALUES, as on the command line: `optimizer.lr: tag(log,interval(1e-4,1e-1))`, `seed: [0,1,2]`."""
    sampler: Literal["grid", "random", "tpe", "cmaes", "quasirandom"] = "grid"
    """`grid` tries every combination; the others draw `trials` of them."""
    trials: Annotated[int, Ge(1)] | None = None
    """How many; a grid has as many as it has."""
    metric: str | list[str] | None = None
    """What decides; several for a Pareto front. null: what task.monitor names."""
    direction: Literal["maximize", "minimize"] | list[Literal["maximize", "minimize"]] | None = None
    """One for each metric; null: as the task says."""
    pruner: Literal["median", "hyperband"] | None = None
    """Ends trials early whose metric falls behind."""
    seed: Seed = 0
    """Of the sampler; the runs' own is `seed`."""
    retries: Annotated[int, Ge(0)] = 0
    """How often a failed trial is gone on with at once."""
    trial_minutes: Annotated[float, Gt(0)] | None = None
    """A trial that takes longer has failed."""
    storage: Literal["sqlite", "journal"] = "sqlite"
    """`journal` for network file systems, whose locks databases cannot trust."""


@dataclass
class PruningOptions:
    """A network with fewer channels than `model` makes, as `videxp compress --prune` left it."""

    share: float | None = None
    """Of the channels of each group, that went; the widths tell all."""
    widths: list[str] = field(default_factory=list)
    """`features.stem.0.out_channels=11`, of each layer that is smaller."""
    weights: str | None = None
    """File of the weights that are left, with which a training begins."""


@dataclass
class Root:
    """The keys that a config may have at its top."""

    dataset: dict[str, Any]
    model: dict[str, Any]
    task: dict[str, Any]
    optimizer: dict[str, Any]
    trainer: dict[str, Any]
    hardware: dict[str, Any]
    seed: Seed = 0
    run: dict[str, Any] = field(default_factory=dict)
    sweep: dict[str, Any] = field(default_factory=dict)
    pruning: dict[str, Any] | None = None
    launcher: dict[str, Any] | None = None
    scheduler: dict[str, Any] | None = None
    callbacks: dict[str, Any] | None = None
    logger: dict[str, Any] | None = None
