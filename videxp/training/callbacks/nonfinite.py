"""A training step whose loss or gradients are NaN or infinite changes no weight: the run stops, or goes on without it.

Every rank comes to the same verdict without asking: a loss that is not finite makes its gradients NaN, DDP sums the
gradients of all ranks, and the verdict is on the sums. (Sharded gradients, and those of a GradScaler, which overflow as
a matter of course, need one exchange.) A step is left out by taking away its gradients: torch's optimizers pass over
weights that have none, with their moments, decay and counts.

On a GPU the verdict waits for the step, as GradScaler's does, unless the optimizer is fused (`optimizer.fused=true`):
then it stays on the device, gates the step there, and is read when metrics are logged or a checkpoint is taken.
"""

import logging
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import FSDPStrategy
from torch import Tensor, nn

from videxp.core.errors import VidexpError
from videxp.core.limits import Ge
from videxp.core.lines import note
from videxp.core.private_lightning import accumulating
from videxp.core.private_torch import gate_step
from videxp.runs.folder import RunFolder
from videxp.runs.newest import newest_checkpoint
from videxp.tasks import VideoTask
from videxp.tasks.blame import listed, sample_names
from videxp.training import loops

log = logging.getLogger("videxp")


@dataclass(frozen=True)
class Verdict:
    """Of one optimizer step: which batch ended it, the samples that it was made of, and whether it may be taken."""

    step: int
    epoch: int
    samples: list[Tensor]
    blemishes: list[Tensor]
    """Of this rank's losses: each 0, or NaN where the loss is not finite."""
    good: Tensor
    """Bool []: the gradients are finite; the same on all ranks."""

    @property
    def finite_loss(self) -> bool:
        return _unblemished(self.blemishes)


class NonFinite(Callback):
    """policy: `stop` at the first such step, or `skip` up to `limit` of them. Every training has this callback."""

    def __init__(self, *, policy: Literal["stop", "skip"] = "stop", limit: Annotated[int, Ge(1)] = 10) -> None:
        self.policy = policy
        self.limit = limit
        self.run: RunFolder | None = None
        self.skipped: list[int] = []
        """Batches, as `step` counts them."""
        self._samples: list[Tensor] = []  # of the batches since the last optimizer step
        self._blemishes: list[Tensor] = []  # of their losses
        self._buffers: list[tuple[Tensor, Tensor]] = []  # BatchNorm's statistics, and what they were
        self._unread: list[Verdict] = []

    # ---- one step --------------------------------------------------------------------------------------------------

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: VideoTask, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        self._samples.append(batch["index"])
        if self.policy == "skip" and not self._buffers:
            self._buffers = [(buffer, buffer.clone()) for buffer in pl_module.network.buffers()]

    def on_before_backward(self, trainer: Trainer, pl_module: VideoTask, loss: Tensor) -> None:
        blemish = loss.detach() * 0
        self._blemishes.append(blemish)
        if loss.requires_grad:
            loss.register_hook(lambda gradient: gradient + blemish)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: VideoTask, optimizer: torch.optim.Optimizer
    ) -> None:
        good = _verdict(trainer, optimizer, self._blemishes)
        step, epoch = pl_module.batches_seen, trainer.current_epoch
        verdict = Verdict(step, epoch, list(self._samples), list(self._blemishes), good)
        for buffer, before in self._buffers:
            buffer.copy_(torch.where(good, buffer, before))
        if self._gates_itself(trainer, optimizer):
            gate_step(optimizer, good)
            self._unread.append(verdict)
        elif not bool(good):
            optimizer.zero_grad(set_to_none=True)
            self._answer(trainer, verdict)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: VideoTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not accumulating(trainer):
            self._samples, self._blemishes, self._buffers = [], [], []
        if loops.logs_after(trainer, batch_idx):
            self._read(trainer)

    # ---- what follows ----------------------------------------------------------------------------------------------

    def _read(self, trainer: Trainer) -> None:
        """Look at the verdicts that stayed on the device."""
        unread, self._unread = self._unread, []
        if unread:
            for verdict, good in zip(unread, torch.stack([one.good for one in unread]).tolist()):
                if not good:
                    self._answer(trainer, verdict)

    def _answer(self, trainer: Trainer, verdict: Verdict) -> None:
        """On all ranks: stop, or say that the step was left out."""
        if verdict.step in self.skipped:
            return  # of two optimizers both were at fault
        text = _describe(trainer, verdict)
        if self.policy == "stop":
            raise VidexpError(f"{text}\nNo weight was changed by it. {self._last_good()}")
        self.skipped.append(verdict.step)
        if len(self.skipped) > self.limit:
            raise VidexpError(
                f"{text}\nIt is one more than callbacks.nonfinite.limit={self.limit}, after those of batches "
                f"{listed([str(step) for step in self.skipped[:-1]])}. {self._last_good()}"
            )
        if trainer.is_global_zero:
            note(f"{text}: left out ({len(self.skipped)} of at most {self.limit})")
            log.warning(text)
            if self.run is not None:
                self.run.note(skipped_steps=self.skipped)

    def _last_good(self) -> str:
        start = None if self.run is None else newest_checkpoint(self.run)
        where = f"The last checkpoint is {start.path} (batch {start.step:,})" if start else "There is no checkpoint yet"
        return f"{where}. Try a smaller optimizer.lr, trainer.gradient_clip_val, or callbacks.nonfinite.policy=skip"

    @staticmethod
    def _gates_itself(trainer: Trainer, optimizer: torch.optim.Optimizer) -> bool:
        fused = bool(optimizer.param_groups[0].get("fused"))
        return fused and trainer.strategy.root_device.type == "cuda" and _scaler(trainer) is None

    # ---- a resumed run has skipped what it had ---------------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._read(trainer)  # before the file is written: with `stop`, the one before stays
        checkpoint["skipped_steps"] = list(self.skipped)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.skipped = list(checkpoint.get("skipped_steps", []))


def _verdict(trainer: Trainer, optimizer: torch.optim.Optimizer, blemishes: list[Tensor]) -> Tensor:
    """Bool [], the same on all ranks."""
    if _scaler(trainer) is not None:
        return torch.tensor(trainer.strategy.reduce_boolean_decision(_unblemished(blemishes), all=True))
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    if not gradients:
        return torch.tensor(True)
    # On a CPU the largest takes twenty times as long as the norm, which is not finite either, but may overflow.
    on_cpu = gradients[0].device.type == "cpu"
    good = _norms_are_finite(gradients, order=2 if on_cpu else torch.inf)
    if on_cpu and not bool(good):
        good = _norms_are_finite(gradients, order=torch.inf)
    if isinstance(trainer.strategy, FSDPStrategy):
        return torch.tensor(trainer.strategy.reduce_boolean_decision(bool(good), all=True))
    return good


def _norms_are_finite(gradients: list[Tensor], *, order: float) -> Tensor:
    return nn.utils.get_total_norm(gradients, order) < torch.inf  # that of NaN and others is NaN


def _unblemished(blemishes: list[Tensor]) -> bool:
    return not any(bool(blemish.isnan().any()) for blemish in blemishes)


def _scaler(trainer: Trainer) -> Any:
    return getattr(trainer.strategy.precision_plugin, "scaler", None)


def _describe(trainer: Trainer, verdict: Verdict) -> str:
    """One line for all ranks: what is not finite, where, and the samples of the ranks whose loss was not."""
    task = trainer.lightning_module
    names = sample_names(task, [int(i) for indices in verdict.samples for i in indices], split="train")
    mine = (verdict.finite_loss, names)
    parts: list[Any] = [mine]
    if trainer.world_size > 1:
        parts = [None] * trainer.world_size
        torch.distributed.all_gather_object(parts, mine)
    losses_bad = [rank for rank, (finite, _) in enumerate(parts) if not finite]
    what = "the loss is" if losses_bad else "gradients are"
    ranks = losses_bad or range(len(parts))
    where = f" on rank {', '.join(map(str, ranks))}" if losses_bad and len(parts) > 1 else ""
    culprits = [name for rank in ranks for name in parts[rank][1]]
    when = f"Batch {verdict.step:,} (epoch {verdict.epoch + 1})"
    return f"{when}: {what} NaN or infinite{where}; samples: {listed(culprits)}"
