"""Adversarial training: a generator against one or several discriminators. The only manual optimization in videxp.

In each batch the discriminators take a step, then (each `generator_interval` batches) the generator takes one; steps,
schedules and penalties are counted in batches. All chance comes from the clip's own generator, so a clip is answered
by the same noise whatever the batch, the part or the process in which it comes.

Shapes: B clips, T frames, C channels, H, W; P judgements of one clip. Videos are float [B,T,C,H,W] in [-1,1].
"""

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from videxp.core.lines import note
from videxp.core.private_lightning import leave_uncounted
from videxp.core.randomness import Stream, generator
from videxp.losses.adversarial import (
    PathLengthPenalty,
    category_loss,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)
from videxp.losses.objective import AdversarialObjective
from videxp.metrics.divergence import DivergenceWatch
from videxp.models.gan import DiscriminatorInput, Rngs, uniform
from videxp.tasks.base import VideoTask, parameter_groups
from videxp.tasks.schedules import Schedule

log = logging.getLogger("videxp")

WATCHED_EVERY = 10  # batches: to look at an accuracy waits for the device
Log = dict[str, Tensor]


@dataclass(frozen=True)
class Generated:
    """What the discriminators are shown of generated clips, by their names.

    terms: scalars to be added to the generator's loss, by name. category: int64 [B], what they have to recognize.
    """

    inputs: dict[str, DiscriminatorInput]
    terms: dict[str, Tensor] = field(default_factory=dict)
    category: Tensor | None = None


class Adversarial(VideoTask):
    """A subclass says what is real and what is generated in a batch; its network has `generator`, `discriminators`.

    What is evaluated and used is `average`, the exponential moving average of the generator's weights:
    the contract's `exported` is "average.". Its `instead_of_trainer` names what Lightning does for one optimizer only.
    """

    average: nn.Module

    def __init__(
        self,
        *,
        objective: AdversarialObjective,
        discriminator_optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer] | None,
        discriminator_scheduler: Schedule | None,
        average_half_life_clips: float,
        gradient_clip_norm: float | None,
        accumulated_parts: int,
        seed: int,
        **of_the_task: Any,
    ) -> None:
        """
        discriminator_optimizer, discriminator_scheduler: None: as the generator's.
        average_half_life_clips: clips seen until a weight counts half in the average; at first 5% of those seen so far
            (StyleGAN2). 0: the generator itself.
        gradient_clip_norm: of each of the two steps. accumulated_parts: a batch goes through the networks in so many
            parts, whose gradients are summed; it is still one step.
        """
        super().__init__(**of_the_task)
        self.automatic_optimization = False
        self.objective = objective
        self.make_discriminator_optimizer = discriminator_optimizer or self.make_optimizer
        self.discriminator_schedule = discriminator_scheduler or self.schedule
        self.average_half_life_clips = average_half_life_clips
        self.gradient_clip_norm = gradient_clip_norm
        self.accumulated_parts = accumulated_parts
        self.seed = seed
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.path_length = PathLengthPenalty()
        self.watch = DivergenceWatch(patience=200 // WATCHED_EVERY)
        self.latest: Log = {}  # of what is not evaluated in each batch; the same on all ranks

    @property
    def generator(self) -> nn.Module:
        return cast(nn.Module, self.network.generator)

    @property
    def discriminators(self) -> nn.ModuleDict:
        return cast(nn.ModuleDict, self.network.discriminators)

    @property
    def deployed(self) -> nn.Module:
        return self.average

    def answer_by(self, network: nn.Module) -> None:
        self.average = network

    @property
    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminators": self.discriminators}

    # ---- what a subclass says ------------------------------------------------------------------------------------

    def real_inputs(self, batch: Mapping[str, Tensor], rngs: Rngs) -> dict[str, DiscriminatorInput]:
        """What each discriminator is shown of the batch's own clips."""
        raise NotImplementedError

    def generated_inputs(self, batch: Mapping[str, Tensor], rngs: Rngs) -> Generated:
        """What each is shown of clips generated in answer to the batch."""
        raise NotImplementedError

    def condition(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """int64 [B], the classes, where the networks know classes."""
        return None

    def lengths(self, batch: Mapping[str, Tensor], rngs: Rngs) -> Tensor:
        """[B], how far each clip moves with its codes (`path_lengths`), differentiable."""
        raise NotImplementedError

    # ---- one batch -----------------------------------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        of_generator, of_discriminators = cast(list[Any], self.optimizers())
        # Lightning counts optimizer steps; the discriminators', one in each batch, are those that count.
        leave_uncounted(of_generator)
        parts = self._parts(batch)
        values = self._step(of_discriminators, self.discriminators, self._discriminator_loss, parts)
        if self._is_due(self.objective.generator_interval):
            with frozen(self.discriminators):
                values |= self._step(of_generator, self.generator, self._generator_loss, parts)
            self._update_average(clips=self._clips(batch))
        for schedule in cast(Any, self.lr_schedulers()):
            schedule.step()
        log = self._with_latest(values)
        self._watch_discriminators(log["train/discriminator_accuracy"])
        return {"loss": log["train/loss"], "log": log}

    def _parts(self, batch: Mapping[str, Tensor]) -> list[tuple[dict[str, Tensor], Rngs]]:
        """The batch, in `accumulated_parts` parts, and one generator of chance for each clip."""
        keys = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        rngs = [generator(self.seed, stream=Stream.NOISE, epoch=epoch, index=index) for epoch, index in keys]
        count = min(self.accumulated_parts, len(rngs))
        bounds = [len(rngs) * i // count for i in range(count + 1)]
        return [
            ({name: rows[a:b] for name, rows in batch.items() if rows.ndim}, rngs[a:b]) for a, b in pairwise(bounds)
        ]

    def _step(
        self,
        optimizer: Any,
        network: nn.Module,
        loss_of: Callable[[Mapping[str, Tensor], Rngs], tuple[Tensor, Log]],
        parts: list[tuple[dict[str, Tensor], Rngs]],
    ) -> Log:
        """One optimizer step; returns what is logged, the mean over the parts."""
        parameters = [p for p in network.parameters() if p.requires_grad]
        clips = sum(len(rngs) for _, rngs in parts)
        optimizer.zero_grad()
        total: Log = {}
        for part, rngs in parts:
            loss, values = loss_of(part, rngs)
            share = len(rngs) / clips
            self._backward(loss * share)
            total = {name: total.get(name, 0) + share * value.detach() for name, value in values.items()}
        average_over_ranks([p.grad for p in parameters if p.grad is not None])
        if self.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.gradient_clip_norm)
        optimizer.step()
        return total

    def _backward(self, loss: Tensor) -> None:
        """Not `manual_backward`: DDP's reducer expects one backward for each forward, through all weights."""
        precision = self.trainer.precision_plugin
        precision.backward(precision.pre_backward(loss, self), self, None)
        precision.post_backward(loss, self)

    # ---- the two sides -------------------------------------------------------------------------------------------

    def _discriminator_loss(self, batch: Mapping[str, Tensor], rngs: Rngs) -> tuple[Tensor, Log]:
        objective, label = self.objective, self.condition(batch)
        real_inputs = self.real_inputs(batch, rngs)
        with torch.no_grad():
            generated = self.generated_inputs(batch, rngs)
        terms: dict[str, list[Tensor]] = {}
        right: list[Tensor] = []
        for name, judge in self.discriminators.items():
            real = _judge(judge, real_inputs[name], label, rngs)
            fake = _judge(judge, generated.inputs[name], label, rngs)
            term = discriminator_loss(real["logits"], fake["logits"], kind=objective.loss)
            terms.setdefault("adversarial", []).append(term)
            right.append(((real["logits"] > 0).float().mean() + (fake["logits"] < 0).float().mean()) / 2)
            if (category := self._category_term(real if label is not None else fake, label, generated)) is not None:
                terms.setdefault("category", []).append(category)
        loss = torch.stack([term for one in terms.values() for term in one]).sum()
        values = {"train/loss_discriminator": loss, "train/discriminator_accuracy": torch.stack(right).mean()}
        for name, weight in (("r1", objective.r1_weight / 2), ("gradient_penalty", objective.gradient_penalty_weight)):
            interval = getattr(objective, f"{name}_interval")
            if weight and self._is_due(interval):
                penalty = self._penalty(name, real_inputs, generated.inputs, label, rngs)
                loss = loss + weight * interval * penalty
                values[f"train/{name}"] = penalty
        return loss, values

    def _penalty(
        self,
        name: str,
        real: dict[str, DiscriminatorInput],
        fake: dict[str, DiscriminatorInput],
        label: Tensor | None,
        rngs: Rngs,
    ) -> Tensor:
        """R1 or the gradient penalty, summed over the discriminators; in full precision, as gradients of gradients."""
        total = []
        with torch.autocast(self.device.type, enabled=False):
            for key, judge in self.discriminators.items():
                times = real[key].times

                def logits(video: Tensor, judge: nn.Module = judge, times: Tensor = times) -> Tensor:
                    return judge(video, times=times, label=label)["logits"]

                video = real[key].video.float()
                if name == "r1":
                    total.append(r1_penalty(logits, video))
                else:
                    share = (uniform(rngs, 1, device=video.device)[:, 0] + 1) / 2
                    other = fake[key].video.float()
                    total.append(gradient_penalty(logits, video, other, real_share=share))
        return torch.stack(total).sum()

    def _generator_loss(self, batch: Mapping[str, Tensor], rngs: Rngs) -> tuple[Tensor, Log]:
        objective, label = self.objective, self.condition(batch)
        generated = self.generated_inputs(batch, rngs)
        adversarial, categories = [], []
        for name, judge in self.discriminators.items():
            fake = _judge(judge, generated.inputs[name], label, rngs)
            adversarial.append(generator_loss(fake["logits"], kind=objective.loss))
            if (category := self._category_term(fake, label, generated)) is not None:
                categories.append(category)
        terms = {"adversarial": torch.stack(adversarial).sum(), **generated.terms}
        if categories:
            terms["category"] = torch.stack(categories).sum()
        loss = self.combined(terms)
        several = {f"train/{name}": term for name, term in terms.items()} if len(terms) > 1 else {}
        values = {"train/loss": loss, **several}
        if objective.path_length_weight and self._is_due(objective.path_length_interval):
            penalty, values["train/path_length"] = self._path_length_penalty(batch, rngs)
            loss = loss + objective.path_length_weight * objective.path_length_interval * penalty
        return loss, values

    def combined(self, terms: dict[str, Tensor]) -> Tensor:
        """The generator's loss from its terms, `adversarial` among them."""
        return torch.stack(list(terms.values())).sum()

    def _category_term(self, judged: Log, label: Tensor | None, generated: Generated) -> Tensor | None:
        category = generated.category if label is None else label
        if "category" not in judged or category is None:
            return None
        return self.objective.category_weight * category_loss(judged["category"], category)

    def _path_length_penalty(self, batch: Mapping[str, Tensor], rngs: Rngs) -> tuple[Tensor, Tensor]:
        """(penalty, the clips' mean length)."""
        with torch.autocast(self.device.type, enabled=False):
            lengths = self.lengths(batch, rngs)
        mean = lengths.mean().detach()
        average_over_ranks([mean])
        return self.path_length(lengths, mean_length=mean), mean

    # ---- bookkeeping ---------------------------------------------------------------------------------------------

    def _is_due(self, interval: int) -> bool:
        """In the first batch all is, so that the same names are logged in each."""
        return not self.latest or (self.batches_seen - 1) % interval == 0

    def _with_latest(self, values: Log) -> Log:
        """What was evaluated in this batch, and the latest values of what was not; train/loss first."""
        values = {name: value.detach().float() for name, value in values.items()}
        objective = self.objective
        intervals = {objective.generator_interval, objective.r1_interval, objective.gradient_penalty_interval}
        if any(self._is_due(interval) for interval in (intervals | {objective.path_length_interval}) - {1}):
            average_over_ranks(list(values.values()))  # a checkpoint holds them once for all ranks
        self.latest = {**self.latest, **values}
        return {name: self.latest[name] for name in sorted(self.latest, key=lambda name: (name != "train/loss", name))}

    def _clips(self, batch: Mapping[str, Tensor]) -> int:
        """Of all ranks."""
        return int(batch["total"]) if "total" in batch else len(batch["index"]) * self.trainer.world_size

    @torch.no_grad()
    def _update_average(self, *, clips: int) -> None:
        half_life = min(self.average_half_life_clips, 0.05 * self.clips_seen)
        kept = 0.5 ** (clips * self.objective.generator_interval / half_life) if half_life else 0.0
        pairs = list(zip(self.average.parameters(), self.generator.parameters()))
        get_ema_multi_avg_fn(kept)([mine for mine, _ in pairs], [now.detach() for _, now in pairs], 0)
        for mine, now in zip(self.average.buffers(), self.generator.buffers()):
            mine.copy_(now)

    def _watch_discriminators(self, accuracy: Tensor) -> None:
        if self.batches_seen % WATCHED_EVERY:
            return
        accuracy = accuracy.detach().float().clone()
        average_over_ranks([accuracy])
        self.warn(self.watch.discriminator(float(accuracy), batch=self.batches_seen))

    def warn(self, message: str | None) -> None:
        """Say it once, on the terminal and in the log."""
        if message is not None and self.trainer.is_global_zero:
            note(message)
            log.warning(message)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        latest = {name: value.cpu() for name, value in self.latest.items()}
        checkpoint["adversarial"] = {"latest": latest, "watch": self.watch.state_dict()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.latest = {name: value.to(self.device) for name, value in checkpoint["adversarial"]["latest"].items()}
        self.watch.load_state_dict(checkpoint["adversarial"]["watch"])

    def configure_optimizers(self) -> Any:
        """The generator's, then the discriminators'."""
        total_epochs, steps_per_epoch = self.schedule_length()
        pairs = []
        for network, make, schedule in (
            (self.generator, self.make_optimizer, self.schedule),
            (self.discriminators, self.make_discriminator_optimizer, self.discriminator_schedule),
        ):
            groups = parameter_groups(network, decay_norms_and_biases=self.decay_norms_and_biases)
            optimizer = make(groups)

            def factor(step: int, schedule: Schedule = schedule) -> float:
                return schedule.factor(step / steps_per_epoch, total_epochs=total_epochs)

            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
            pairs.append({"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}})
        return pairs


def _judge(judge: nn.Module, given: DiscriminatorInput, label: Tensor | None, rngs: Rngs) -> Log:
    return judge(given.video, times=given.times, label=label, rngs=rngs)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through, and none are kept."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def average_over_ranks(tensors: list[Tensor]) -> None:
    """In place, in one reduction; the mean over ranks of losses that are means is that of the whole batch."""
    if not tensors or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors])):
        tensor.copy_(mean.view_as(tensor))


def clip_rng(seed: int, index: int) -> np.random.Generator:
    """That of the `index`-th clip that is generated for show, for a figure, or for a file."""
    return generator(seed, stream=Stream.SAMPLE, index=index)
