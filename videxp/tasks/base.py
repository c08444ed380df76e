"""What every task shares: optimization, the x-axes, where metrics go, and how evaluation behaves under DDP.

A task says once, in its `contract`, what the rest of videxp goes by: its metrics, for example, are logged as
`val/<name>` and `test/<name>`, and the check of a config knows from there which a callback may monitor.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, final

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from videxp.core.contract import Contract
from videxp.core.errors import BadRequest, VidexpError
from videxp.data.loading.quarantine import is_empty
from videxp.data.manifest import Part
from videxp.data.module import VideoDataModule
from videxp.data.prepared import datamodule_of
from videxp.models.summary import gmacs_of_call
from videxp.tasks.blame import naming_samples
from videxp.tasks.deployable import Deployable
from videxp.tasks.questions import Question
from videxp.tasks.schedules import Schedule

Split = Literal["train", "val", "test"]


POSITIONS_AND_TOKENS = {
    *("pos_embed", "spatial_pos", "temporal_pos", "position_embeddings", "time_embeddings", "cls_token"),
    "relative_position_bias_table",
}
"""How ViViT, MViT v1, TimeSformer and Swin call them; their authors decay none. MViT v2's `rel_pos_*` are decayed."""


def parameter_groups(network: nn.Module, *, decay_norms_and_biases: bool) -> list[dict[str, Any]]:
    """Trainable parameters in two groups.

    Norms and biases (all of one dimension or none), embeddings of positions and class tokens go undecayed by default.
    """
    trainable = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if decay_norms_and_biases:
        return [{"params": list(trainable.values())}]
    undecayed = {name for name, p in trainable.items() if p.ndim <= 1 or name.split(".")[-1] in POSITIONS_AND_TOKENS}
    decayed = [p for name, p in trainable.items() if name not in undecayed]
    plain = [p for name, p in trainable.items() if name in undecayed]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def trains_on_what_is_left(step: Callable[..., Any]) -> Callable[..., Any]:
    """A `training_step` that is called only for batches with something in them, and whose errors name the samples.

    Of a batch whose files all turned out unreadable (on one rank: `videxp.data.loading.quarantine`), the loss is a zero
    that hangs on all weights: DDP's ranks meet in the backward pass. No optimizer step follows
    (`on_before_optimizer_step`).
    """

    @wraps(step)
    def guarded(self: "VideoTask", batch: dict[str, Tensor], batch_idx: int) -> Any:
        if not is_empty(batch):
            self.is_left_out = False
            with naming_samples(self, batch, split="train"):
                return step(self, batch, batch_idx)
        if not self.automatic_optimization:
            return {"log": {}}
        trainable = [p for p in self.network.parameters() if p.requires_grad]
        return {"loss": torch.stack([p.sum() for p in trainable]).sum() * 0, "log": {}}

    return guarded


class VideoTask(LightningModule):
    """Base of all tasks.

    A subclass implements `training_step`, which returns {"loss": scalar, "log": {name: scalar}}, `evaluation_step` and
    `evaluation_metrics`; everything is counted in batches and clips, never in optimizer steps, so that a task with two
    optimizers logs on the same axes as a task with one.
    """

    contract: ClassVar[Contract] = Contract()
    """What the rest of videxp goes by: read from the class's source, so a literal."""

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        scheduler: Schedule,
        monitor: str,
        decay_norms_and_biases: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.make_optimizer = optimizer
        self.schedule = scheduler
        self.monitor = monitor
        self.decay_norms_and_biases = decay_norms_and_biases
        self.batches_seen = 0
        self.clips_seen = 0
        self.samples_seen = 0  # in the evaluation under way, by this process
        self.classes_tested: list[dict[str, Any]] = []
        """Of the last evaluation, over all processes, a row for each class: `class`, `videos`, and how well it went."""
        self.is_left_out = True  # no batch since the last optimizer step had anything in it

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Every task's own `training_step` is guarded, without its author thinking of it."""
        super().__init_subclass__(**kwargs)
        if "training_step" in cls.__dict__:
            cast(Any, cls).training_step = trains_on_what_is_left(cls.training_step)

    def network_inputs(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What the network is called with, of a batch as the transform gives it: `video` float [B,T,C,H,W].

        The one place that knows: training, evaluation, prediction and the count of operations all ask here. The batch
        holds the video alone where there is nothing else: of a file, and on the meta device.
        """
        return (batch["video"],)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The network's output for `network_inputs`."""
        return self.deployed(*inputs)

    @property
    def deployed(self) -> nn.Module:
        """The network as it is evaluated, predicts and is exported."""
        return self.network

    def answer_by(self, network: nn.Module) -> None:
        """Put another network in the place of `deployed`."""
        self.network = network

    def deployable(self, transform: nn.Module) -> Deployable:
        """What a file holds of the task. transform: the data's, of its test.

        Raises BadRequest of a task that says nothing of it.
        """
        raise BadRequest(f"{type(self).__name__} says nothing about files: give it `deployable`")

    def deployable_inputs(self, deployable: Deployable, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """What a file is given for the first sample of a batch, where the network takes it at once."""
        return deployable.taken(*self.network_inputs(self.one_clip(batch)))

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What the network consists of, by names that tell: their parameters are counted apart."""
        return {"": self.network}

    def work_of_one_clip(self, *, num_frames: int, size: int) -> float:
        """Billions of multiply-accumulates that it takes to answer, or to make, one clip."""
        blank = {"video": torch.empty(1, num_frames, 3, size, size, device="meta")}
        return gmacs_of_call(self.deployed, *self.network_inputs(blank))

    def one_clip(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The first clip of a batch alone, whose latency is measured: what the network is called with at once."""
        return {name: value[:1] for name, value in batch.items() if isinstance(value, Tensor)}

    def answer(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the network makes of a batch: one forward pass."""
        return self(*self.network_inputs(batch))

    def answer_whole(self, batch: Mapping[str, Tensor]) -> Any:
        """What the network makes of whole samples of the test, where these are more than one pass can take."""
        return self.answer(batch)

    def sample_losses(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Of each sample of a batch the loss that an evaluation measures: float [B], differentiable in `video`.

        A task that has it can be attacked (`videxp evaluate --on robustness`)."""
        raise NotImplementedError

    def questions(self, batch: Mapping[str, Tensor], *, asked: Mapping[str, str]) -> list[Question]:
        """What an explanation of the answer to a batch of one sample is of, where the contract's `explains` has maps,
        frames or order: one question about a class, one about each box of a detector.

        asked: what the user wants explained, by option: {"class": "run"}, {"patch": "20,12"}; {}: the task chooses.
        Raises BadRequest for what it does not know.
        """
        raise BadRequest(
            f"{type(self).__name__}: its contract has explains={self.contract.explains}: give it `questions`"
        )

    # ---- optimization -------------------------------------------------------------------------------------------

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer is given; a group's `lr_scale` is a factor of the learning rate."""
        return parameter_groups(self.network, decay_norms_and_biases=self.decay_norms_and_biases)

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.parameter_groups())
        for group in optimizer.param_groups:
            group["lr"] *= group.pop("lr_scale", 1.0)
        total_epochs, steps_per_epoch = self.schedule_length()
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.schedule.factor(step / steps_per_epoch, total_epochs=total_epochs)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.automatic_optimization:
            if self.is_left_out:
                optimizer.zero_grad(set_to_none=True)  # torch's optimizers pass over weights without a gradient
            self.is_left_out = True

    def schedule_length(self) -> tuple[float, float]:
        """(epochs in the whole run, optimizer steps per epoch), known from the trainer and the data."""
        total_steps = self.trainer.estimated_stepping_batches
        if math.isinf(self.trainer.num_training_batches):  # of so many steps, Lightning has not counted them yet
            self.trainer.fit_loop.setup_data()
        batches = self.trainer.num_training_batches
        steps_per_epoch = -(-batches // self.trainer.accumulate_grad_batches)  # the last, smaller group steps too
        return total_steps / steps_per_epoch, steps_per_epoch

    # ---- the x-axes ---------------------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        # At the start, because callbacks' on_train_batch_end runs before the module's.
        self.batches_seen += 1
        # drop_last: the same on all ranks, unless files were left out; then their number is told.
        videos = int(batch["total"]) if "total" in batch else len(batch["index"]) * self.trainer.world_size
        self.clips_seen += 0 if is_empty(batch) else videos * len(batch["video"]) // len(batch["index"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seen"] = {"batches": self.batches_seen, "clips": self.clips_seen}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches_seen = checkpoint["seen"]["batches"]
        self.clips_seen = checkpoint["seen"]["clips"]

    @final
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Not for subclasses: checkpoints are taken before. What a batch changes is changed by `training_step`."""

    @final
    def on_validation_end(self) -> None:
        """Not for subclasses: checkpoints are taken before. `on_validation_epoch_end` is the place."""

    def log_row(self, values: dict[str, float]) -> None:
        """One row for every logger, on the shared axes `step` (batches), `epoch` and `clips_seen`."""
        row = {"epoch": self.current_epoch, "clips_seen": self.clips_seen, **values}
        for logger in self.loggers:
            logger.log_metrics(row, step=self.batches_seen)

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def evaluation_step(self, batch: dict[str, Tensor], split: Split) -> None:
        """Update the metrics of `split` with one batch."""
        raise NotImplementedError

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        """Compute and reset the metrics of `split`: one scalar for each of `contract.metrics`, but for those that these
        samples do not define: a mean over nothing is absent."""
        raise NotImplementedError

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def _evaluate(self, batch: dict[str, Tensor], split: Split) -> None:
        with naming_samples(self, batch, split=split):
            self.evaluation_step(batch, split)
        self.samples_seen += len(batch["index"]) if "index" in batch else 1

    def on_validation_epoch_end(self) -> None:
        self._finish_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._finish_evaluation("test")

    def _finish_evaluation(self, split: Split) -> None:
        data = datamodule_of(self.trainer)
        part: dict[str, float] = {}
        samples: Part = split
        if isinstance(data, VideoDataModule):
            data.settle(split, seen=self.samples_seen)
            seen, of = data.seen[split]
            samples = data.part_of(split)
            part = {f"{samples}/videos": float(seen)} if seen < of else {}  # beside the figures of a part of them
        values = {f"{samples}/{name}": value for name, value in self.evaluation_metrics(split).items()}
        if split == "val" and self.monitor.startswith("val/") and self.monitor not in values:
            raise VidexpError(
                f"{self.monitor} cannot be measured on the validation samples, and so no best checkpoint be chosen: "
                f"{self.contract.undefined}\nMend the validation split, or go by another metric: "
                f"{' or '.join(f'task.monitor={name}' for name in values)}"
            )
        self.log_dict(values, logger=False, rank_zero_only=False)  # for callbacks that monitor
        self.log_row({name: float(value) for name, value in values.items()} | part)

    def on_validation_epoch_start(self) -> None:
        self._begin_evaluation()  # here, because an EMA has put its average (and its buffers) in place by now

    def on_test_start(self) -> None:
        self._begin_evaluation()

    def _begin_evaluation(self) -> None:
        """All ranks evaluate with rank 0's buffers (BatchNorm statistics), as the checkpoint holds them."""
        self.samples_seen = 0
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, src=0)

    @property
    def evaluation_protocol(self) -> str:
        """What the numbers of an evaluation depend on beside the data, in words: printed and kept beside them."""
        return ""

    # ---- what the task looks like -------------------------------------------------------------------------------

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """Write pictures and clips of the last validation or test into `folder`; return their paths.

        Called on rank 0 alone, in evaluation mode and without gradients; it must not talk to other ranks.
        """
        return []

    def save_worst(self, rows: list[dict[str, Any]], datamodule: Any, path: Path) -> bool:
        """Write a video at `path` that shows these samples of the test, rows of `prediction_rows`; False: it cannot.

        Called on rank 0 alone.
        """
        return False

    def prediction_rows(self, datamodule: Any) -> list[dict[str, Any]]:
        """One row for each sample that this process tested last, with at least `index`: what predictions.csv holds.

        A column called as a metric of the contract holds the sample's own value of it: slices and comparisons of runs
        go by it.
        """
        return []

    def class_probabilities(self) -> dict[str, Tensor]:
        """`index` int64 [n], `probabilities` float [n,K] and `target`, int64 [n] or, of several labels, 1 or 0 [n,K],
        of the samples that this process tested last; {} of a task without."""
        return {}
