"""Restoration whose network also has to convince discriminators: the second stage of SRGAN, RealBasicVSR and their kin.

Shapes as in `videxp.tasks.restoration`; values in [0,1].
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from videxp.core.contract import Contract
from videxp.core.limits import Ge, Gt
from videxp.losses.objective import AdversarialObjective
from videxp.models.gan import Discriminator, DiscriminatorInput, Rngs
from videxp.tasks.adversarial import Adversarial, Generated
from videxp.tasks.restoration import Restoration
from videxp.tasks.schedules import Schedule


class AdversarialRestoration(Adversarial, Restoration):
    """A `RestorationGAN`: the losses of a restoration, and `adversarial_weight` times that of the discriminators.

    What they call generated is the network's answer to a degraded clip, what they call real is its target. The average
    of the weights is what is evaluated and what restores files.
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="generator",
        needs=("target",),
        metrics={
            "psnr": "max",
            "ssim": "max",
            "psnr_gain": "max",
            "loss": "min",
            "psnr_std": "min",
            "flicker": "min",
        },
        test_only=("psnr_std", "flicker"),
        baselines=("input",),
        of_baselines=("psnr", "ssim", "psnr_std", "flicker"),
        of_degradations=("psnr", "psnr_gain"),
        train_metrics=(
            "loss",
            "loss_discriminator",
            "discriminator_accuracy",
            "adversarial",
            "category",
            "r1",
            "gradient_penalty",
            "path_length",
            "mask",
            "restoration",
        ),
        headline=("psnr", "ssim"),
        predictor="videxp.deploy.restore_files",
        streamer="videxp.deploy.streaming.restore",
        predict_example="VIDEO.mp4 -o RESTORED.mp4",
        explains=("map", "frames"),
        map_method="integrated_gradients",
        exported="average.",
        instead_of_trainer={
            "gradient_clip_val": "gradient_clip_norm",
            "accumulate_grad_batches": "accumulated_parts",
        },
    )

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Any,
        scheduler: Any,
        losses: dict[str, nn.Module],
        objective: AdversarialObjective,
        adversarial_weight: Annotated[float, Ge(0)] = 0.05,
        discriminator_optimizer: Any = None,
        discriminator_scheduler: Schedule | None = None,
        average_half_life_clips: Annotated[float, Ge(0)] = 10_000,
        gradient_clip_norm: Annotated[float, Gt(0)] | None = None,
        accumulated_parts: Annotated[int, Ge(1)] = 1,
        test_metrics: dict[str, nn.Module] | None = None,
        baselines: dict[str, nn.Module] | None = None,
        test_degradations: dict[str, nn.Module] | None = None,
        monitor: str = "val/psnr",
        channel: Literal["rgb", "y"] = "y",
        border: Annotated[int, Ge(0)] = 0,
        decay_norms_and_biases: bool = False,
        example_clips: Annotated[int, Ge(0)] = 3,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            losses=losses,
            objective=objective,
            discriminator_optimizer=discriminator_optimizer,
            discriminator_scheduler=discriminator_scheduler,
            average_half_life_clips=average_half_life_clips,
            gradient_clip_norm=gradient_clip_norm,
            accumulated_parts=accumulated_parts,
            test_metrics=test_metrics,
            baselines=baselines,
            test_degradations=test_degradations,
            monitor=monitor,
            channel=channel,
            border=border,
            decay_norms_and_biases=decay_norms_and_biases,
            example_clips=example_clips,
            seed=seed,
        )
        self.adversarial_weight = adversarial_weight

    @property
    def restorer(self) -> nn.Module:
        return self.generator

    def real_inputs(self, batch: Mapping[str, Tensor], rngs: Rngs) -> dict[str, DiscriminatorInput]:
        return self._inputs(batch["target"], rngs)

    def generated_inputs(self, batch: Mapping[str, Tensor], rngs: Rngs) -> Generated:
        if not torch.is_grad_enabled():  # for the discriminators: no loss is asked for
            return Generated(self._inputs(self.restorer(*self.network_inputs(batch)), rngs))
        output, loss, _ = self.restored(batch)
        return Generated(self._inputs(output, rngs), {"restoration": loss})

    def combined(self, terms: dict[str, Tensor]) -> Tensor:
        return terms["restoration"] + self.adversarial_weight * terms["adversarial"]

    def _inputs(self, video: Tensor, rngs: Rngs) -> dict[str, DiscriminatorInput]:
        return {
            name: cast(Discriminator, judge).select(video, rngs=rngs) for name, judge in self.discriminators.items()
        }
