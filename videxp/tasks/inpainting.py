"""Video inpainting: a clip with holes in, the whole clip out; and the same with discriminators.

Shapes: B clips, T frames, C = 3 channels, H, W pixels. Values in [0,1]; the mask is 1 where a pixel is hidden.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from torch import Tensor

from videxp.core.contract import Contract
from videxp.metrics.inpainting import hidden_psnr, uniform_ssim
from videxp.models.restoration.sttn import composited
from videxp.tasks.adversarial_restoration import AdversarialRestoration
from videxp.tasks.base import Split
from videxp.tasks.restoration import Restoration

PAPERS_WINDOW = 65  # of SSIM, in STTN and those after it


class Inpainting(Restoration):
    """A network that is told the mask, float [B,T,C,H,W] and [B,T,1,H,W] -> [B,T,C,H,W].

    What is scored is composited: the output in the holes, the video elsewhere. Beside the scores of a restoration,
    `psnr_hole` is of a clip's hidden pixels alone, and `ssim_65` is SSIM with the papers' window; there is none of
    frames that are smaller.
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="scale",
        needs=("target",),
        metrics={
            "psnr": "max",
            "ssim": "max",
            "psnr_gain": "max",
            "psnr_hole": "max",
            "ssim_65": "max",
            "loss": "min",
            "psnr_std": "min",
            "flicker": "min",
        },
        test_only=("ssim_65", "psnr_std", "flicker"),
        baselines=("input",),
        of_baselines=("psnr", "ssim", "psnr_hole", "ssim_65", "psnr_std", "flicker"),
        of_degradations=("psnr", "psnr_gain"),
        headline=("psnr_hole", "psnr", "ssim"),
        undefined="their frames are smaller than 65 x 65 (ssim_65)",
        predictor="videxp.deploy.inpaint_files",
        predict_example="VIDEO.mp4 --mask MASK -o WHOLE.mp4",
        explains=("map", "frames"),
        map_method="integrated_gradients",
    )

    def score_names(self, split: str) -> tuple[str, ...]:
        own = ("psnr_hole", "ssim_65") if split == "test" else ("psnr_hole",)
        return (*super().score_names(split), *own)

    def answer(self, batch: Mapping[str, Tensor]) -> Tensor:
        return composited(batch["video"], super().answer(batch), batch["condition"])

    def interest(self, given: Mapping[str, Tensor], frame: int) -> Tensor:
        """Where most is hidden."""
        return given["condition"][:, frame].float()

    def untrained(self, batch: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        for name, clip in super().untrained(batch):
            yield name, composited(batch["video"], clip, batch["condition"])

    def scores(self, output: Tensor, batch: Mapping[str, Tensor], split: Split) -> dict[str, Tensor]:
        scores = super().scores(output, batch, split)
        scores["psnr_hole"] = hidden_psnr(output, batch["target"], batch["condition"])
        if split == "test":
            fits = min(output.shape[-2:]) >= PAPERS_WINDOW
            none = scores["psnr"][:, :0]
            scores["ssim_65"] = uniform_ssim(output, batch["target"], window=PAPERS_WINDOW) if fits else none
        return scores


class AdversarialInpainting(AdversarialRestoration, Inpainting):
    """A `RestorationGAN` around an inpainting network: its discriminators see the composited clips."""

    contract: ClassVar[Contract] = Contract(
        network_parameter="generator",
        needs=("target",),
        metrics={
            "psnr": "max",
            "ssim": "max",
            "psnr_gain": "max",
            "psnr_hole": "max",
            "ssim_65": "max",
            "loss": "min",
            "psnr_std": "min",
            "flicker": "min",
        },
        test_only=("ssim_65", "psnr_std", "flicker"),
        baselines=("input",),
        of_baselines=("psnr", "ssim", "psnr_hole", "ssim_65", "psnr_std", "flicker"),
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
        headline=("psnr_hole", "psnr", "ssim"),
        undefined="their frames are smaller than 65 x 65 (ssim_65)",
        predictor="videxp.deploy.inpaint_files",
        predict_example="VIDEO.mp4 --mask MASK -o WHOLE.mp4",
        explains=("map", "frames"),
        map_method="integrated_gradients",
        exported="average.",
        instead_of_trainer={
            "gradient_clip_val": "gradient_clip_norm",
            "accumulate_grad_batches": "accumulated_parts",
        },
    )
