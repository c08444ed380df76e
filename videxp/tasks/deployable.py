"""What a file holds of a task: 8-bit frames in, the answer out, and nothing of videxp between.

Legend: B clips, T frames, H, W their size in pixels, K classes, s the enlargement.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from videxp.transforms.evaluate import FramePreparation

AXES = ("batch", "frames", "height", "width")
"""Of frames, uint8 [B,T,H,W,3]; what else a network is told has its channels before the height."""


class Deployable(nn.Module):
    """A network between what a file is given and what it gives; `forward` has the inputs and outputs in their order.

    `taken` and `given` are what stands for the network when a file answers in its place: the file's inputs from the
    network's, and the network's answer from the file's.
    """

    outputs: ClassVar[tuple[str, ...]]

    def __init__(self, network: nn.Module, *, axes: Mapping[str, tuple[str, ...]]) -> None:
        """axes: name of each input -> names of its axes; those with a name may differ from call to call, where the
        network allows it ("" is fixed)."""
        super().__init__()
        self.network = network
        self.axes = dict(axes)

    def taken(self, *inputs: Any, **options: Any) -> dict[str, Tensor]:
        """What the network is called with -> what the file is given."""
        raise NotImplementedError

    def given(self, outputs: Mapping[str, Tensor]) -> Any:
        """What the file answers -> what the network would."""
        raise NotImplementedError


class DeployableClassifier(Deployable):
    """`clip` uint8 [B,T,H,W,3] -> `scores` float [B,K], probabilities, and `logits` float [B,K]."""

    outputs = ("scores", "logits")

    def __init__(self, network: nn.Module, *, preparation: FramePreparation, activation: str) -> None:
        """activation: "softmax" or "sigmoid"."""
        super().__init__(network, axes={"clip": (*AXES, "")})
        self.preparation = preparation
        self.activation = activation

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        logits_BK = self.network(self.preparation(clip)).float()
        scores_BK = logits_BK.softmax(-1) if self.activation == "softmax" else logits_BK.sigmoid()
        return scores_BK, logits_BK

    def taken(self, video: Tensor) -> dict[str, Tensor]:
        return {"clip": self.preparation.undone(video)}

    def given(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["logits"]


class DeployableRestorer(Deployable):
    """`clip` uint8 [B,T,H,W,3], and `condition` float [B,T,C,H,W] where the network is told one, -> `frames` uint8
    [B,T,sH,sW,3]."""

    outputs = ("frames",)

    def __init__(self, network: nn.Module) -> None:
        axes = {"clip": (*AXES, "")}
        told = {"condition": ("batch", "frames", "", "height", "width")} if getattr(network, "told", "") else {}
        super().__init__(network, axes=axes | told)

    def forward(self, clip: Tensor, condition: Tensor | None = None) -> tuple[Tensor]:
        told = () if condition is None else (condition,)
        return (levels(self.network(clip.permute(0, 1, 4, 2, 3).float() / 255, *told)),)

    def taken(self, video: Tensor, *condition: Tensor) -> dict[str, Tensor]:
        return {"clip": levels(video), **dict(zip(("condition",), condition))}

    def given(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["frames"].movedim(-1, 2).float() / 255


class DeployableSceneNetwork(Deployable):
    """`clip` uint8 [B,T,H,W,3] -> `cut` float [B,T], the probability that a frame stands for a transition, and
    `transition` float [B,T], that it lies within one."""

    outputs = ("cut", "transition")

    def __init__(self, network: nn.Module) -> None:
        fixed = getattr(network, "frame_size", None) is not None
        super().__init__(network, axes={"clip": ("batch", "frames", *(("", "") if fixed else AXES[2:]), "")})

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        one_hot_BT, many_hot_BT = self.network(clip.permute(0, 1, 4, 2, 3).float() / 255)
        return one_hot_BT.sigmoid(), many_hot_BT.sigmoid()

    def taken(self, video: Tensor) -> dict[str, Tensor]:
        return {"clip": levels(video)}

    def given(self, outputs: Mapping[str, Tensor]) -> Any:
        from videxp.models.scenes.interface import TransitionLogits

        return TransitionLogits(*(outputs[name].double().logit(eps=1e-9).float() for name in self.outputs))


class DeployableGenerator(Deployable):
    """The codes of clips, each float [B,...], and `label` int64 [B] where there are classes, -> `frames` uint8
    [B,T,H,W,3]."""

    outputs = ("frames",)

    def __init__(self, network: nn.Module, *, codes: Mapping[str, Tensor], has_classes: bool) -> None:
        """codes: an example of each."""
        self.codes = sorted(codes)
        label = {"label": ("batch",)} if has_classes else {}
        axes = {name: ("batch", *[""] * (codes[name].ndim - 1)) for name in self.codes}
        super().__init__(network, axes=axes | label)

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        latent = dict(zip(self.codes, inputs))
        label = inputs[-1] if "label" in self.axes else None
        return (levels((self.network(latent, label=label) + 1) / 2),)

    def taken(self, latent: Mapping[str, Tensor], *, label: Tensor | None = None, **_: Any) -> dict[str, Tensor]:
        codes = {name: latent[name] for name in self.codes}
        return codes if label is None else {**codes, "label": label}

    def given(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["frames"].movedim(-1, 2).float() / 127.5 - 1


def levels(video: Tensor) -> Tensor:
    """float [B,T,C,H,W] in [0,1] -> the nearest of 256 levels, uint8 [B,T,H,W,C]; uint8 stays as it is."""
    if video.dtype != torch.uint8:
        video = (video.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return video.movedim(2, -1)
