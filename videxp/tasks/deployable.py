"""What a file holds of a task: 8-bit frames in, the answer out, and nothing of videxp between.

Legend: B clips, T frames, H, W their size in pixels, K classes, s the enlargement.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.models.layers.streaming import Streaming
from videxp.transforms.evaluate import FramePreparation

AXES = ("batch", "frames", "height", "width")
"""Of frames, uint8 [B,T,H,W,3]; what else a network is told has its channels before the height."""


class Deployable(nn.Module):
    """A network between what a file is given and what it gives; `forward` has the inputs and outputs in their order.

    `taken` and `given` are what stands for the network when a file answers in its place: the file's inputs from the
    network's, and the network's answer from the file's.
    """

    outputs: tuple[str, ...]
    state_axes: Mapping[str, tuple[str, ...]] = {}
    """Of the inputs that one call's answer hands to the next: `axes` are those of all others."""

    def __init__(self, network: nn.Module, *, axes: Mapping[str, tuple[str, ...]]) -> None:
        """axes: name of each input -> names of its axes; those with a name may differ from call to call, where the
        network allows it ("" is fixed)."""
        super().__init__()
        self.network = network
        self.axes = dict(axes)

    def network_inputs(self, *inputs: Tensor) -> tuple[Any, ...]:
        """The file's inputs, in the order of `axes` -> what the network is called with."""
        raise NotImplementedError

    def file_outputs(self, answer: Any) -> tuple[Tensor, ...]:
        """What the network answers -> the file's outputs, in the order of `outputs`."""
        raise NotImplementedError

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.file_outputs(self.network(*self.network_inputs(*inputs)))

    def answer_clip(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The file's outputs of whole clips."""
        return self(*inputs)

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

    def network_inputs(self, *inputs: Tensor) -> tuple[Tensor]:
        (clip,) = inputs
        return (self.preparation(clip),)

    def file_outputs(self, answer: Tensor) -> tuple[Tensor, Tensor]:
        return probabilities(answer, self.activation)

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

    def network_inputs(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        clip, *condition = inputs
        return (clip.permute(0, 1, 4, 2, 3).float() / 255, *condition)

    def file_outputs(self, answer: Tensor) -> tuple[Tensor]:
        return (levels(answer),)

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

    def network_inputs(self, *inputs: Tensor) -> tuple[Tensor]:
        (clip,) = inputs
        return (clip.permute(0, 1, 4, 2, 3).float() / 255,)

    def file_outputs(self, answer: Any) -> tuple[Tensor, Tensor]:
        one_hot_BT, many_hot_BT = answer
        return one_hot_BT.sigmoid(), many_hot_BT.sigmoid()

    def taken(self, video: Tensor) -> dict[str, Tensor]:
        return {"clip": levels(video)}

    def given(self, outputs: Mapping[str, Tensor]) -> Any:
        from videxp.models.scenes.interface import TransitionLogits

        return TransitionLogits(*(outputs[name].double().logit(eps=1e-9).float() for name in self.outputs))


class DeployableDetector(Deployable):
    """`clip` uint8 [B,T,H,W,3] -> `boxes` float [B,D,4], pixels of the key frame of each clip, and `scores` float
    [B,D,K], probabilities: as the network gives them, before those that overlap are suppressed."""

    outputs = ("boxes", "scores")

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, axes={"clip": ("batch", "", *AXES[2:], "")})

    def network_inputs(self, *inputs: Tensor) -> tuple[Tensor]:
        (clip,) = inputs
        return (clip.permute(0, 1, 4, 2, 3).float() / 255,)

    def file_outputs(self, answer: Any) -> tuple[Tensor, Tensor]:
        xyxy_BD4, scores_BDK = answer
        return xyxy_BD4, scores_BDK

    def taken(self, video: Tensor) -> dict[str, Tensor]:
        return {"clip": levels(video)}

    def given(self, outputs: Mapping[str, Tensor]) -> Any:
        from videxp.models.detection.interface import DetectedBoxes

        return DetectedBoxes(*(outputs[name] for name in self.outputs))


class DeployableActions(Deployable):
    """`clip` uint8 [B,T,H,W,3], `boxes` float [M,4], corners in pixels of the key frame of a clip, and `of_clip` int64
    [M], which clip each is of, -> `scores` float [M,K], probabilities, and `logits` float [M,K]."""

    outputs = ("scores", "logits")

    def __init__(self, network: nn.Module, *, preparation: FramePreparation, activation: str) -> None:
        """activation: "softmax" or "sigmoid"."""
        super().__init__(network, axes={"clip": (*AXES, ""), "boxes": ("boxes", ""), "of_clip": ("boxes",)})
        self.preparation = preparation
        self.activation = activation

    def network_inputs(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        clip, xyxy_M4, of_clip_M = inputs
        return self.preparation(clip), self.preparation.placed(xyxy_M4, clip), of_clip_M

    def file_outputs(self, answer: Tensor) -> tuple[Tensor, Tensor]:
        return probabilities(answer, self.activation)

    def taken(self, *inputs: Tensor, **_: Any) -> dict[str, Tensor]:
        video, xyxy_M4, clip_M = inputs
        return {
            "clip": self.preparation.undone(video),
            "boxes": self.preparation.placed_before(xyxy_M4).float(),
            "of_clip": clip_M,
        }

    def given(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["logits"]


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

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        latent = dict(zip(self.codes, inputs))
        label = inputs[-1] if "label" in self.axes else None
        return self.file_outputs(self.network(latent, label=label))

    def file_outputs(self, answer: Tensor) -> tuple[Tensor]:
        return (levels((answer + 1) / 2),)

    def taken(self, latent: Mapping[str, Tensor], *, label: Tensor | None = None, **_: Any) -> dict[str, Tensor]:
        codes = {name: latent[name] for name in self.codes}
        return codes if label is None else {**codes, "label": label}

    def given(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["frames"].movedim(-1, 2).float() / 127.5 - 1


class DeployableStep(Deployable):
    """A step of a `Streaming` network: the inputs of `whole` for a frame or more, and `state_i`, what was left of all
    frames before -> the outputs of `whole` for each of these frames, and `next_state_i`; a video begins with zeros.

    A number for each video of the batch, [B] in the network's state, is [B,1] here: Triton has no state of no
    dimensions.
    """

    def __init__(self, whole: Deployable, *, example: Mapping[str, Tensor]) -> None:
        """example: of the inputs of `whole`, of which the state's size follows.

        Raises BadRequest where the network does not go over a video in steps.
        """
        super().__init__(whole.network, axes={name: (axes[0], "", *axes[2:]) for name, axes in whole.axes.items()})
        self.whole = whole
        self.size, *longer = (self._size_seen(example, twice) for twice in ("none", "height", "width"))
        shapes, taller, wider = (self._state_shapes(size) for size in (self.size, *longer))
        self.ranks = [len(shape) for shape in shapes]
        names = [f"state_{i}" for i in range(len(shapes))]
        self.state_axes = {name: grown_axes(*three) for name, *three in zip(names, shapes, taller, wider)}
        self.outputs = (*whole.outputs, *(f"next_{name}" for name in names))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        own, state = inputs[: len(self.axes)], inputs[len(self.axes) :]
        ranked = tuple(one.squeeze(1) if rank == 1 else one for one, rank in zip(state, self.ranks))
        (video,) = self.whole.network_inputs(*own)
        answers, after = require_streaming(self.network).step(video, ranked)
        return (*self.whole.file_outputs(answers), *map(at_least_2d, after))

    def answer_clip(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Of all frames, in one step."""
        (video,) = self.whole.network_inputs(*inputs)
        state = self.zero_state(len(video), (video.shape[-2], video.shape[-1]))
        return self(*inputs, *state)[: len(self.whole.outputs)]

    def zero_state(self, batch: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
        return tuple(map(at_least_2d, require_streaming(self.network).initial_state(batch, size, device="cpu")))

    def taken(self, *inputs: Any, **options: Any) -> dict[str, Tensor]:
        return self.whole.taken(*inputs, **options)

    def given(self, outputs: Mapping[str, Tensor]) -> Any:
        return self.whole.given(outputs)

    def _size_seen(self, example: Mapping[str, Tensor], twice: str) -> tuple[int, int]:
        """Height and width of what the network sees of an example that is twice as long along an axis."""
        longer = (
            example[name].repeat([2 if axis == twice else 1 for axis in axes]) for name, axes in self.whole.axes.items()
        )
        (video,) = self.whole.network_inputs(*longer)
        return video.shape[-2], video.shape[-1]

    def _state_shapes(self, size: tuple[int, int]) -> list[Sequence[int]]:
        return [one.shape for one in require_streaming(self.network).initial_state(2, size, device="meta")]


def grown_axes(shape: Sequence[int], taller: Sequence[int], wider: Sequence[int]) -> tuple[str, ...]:
    """Names of a state's axes, of frames of some size, taller ones and wider ones; [B] has an axis more in the file."""
    names = ["height" if a != b else "width" if a != c else "" for a, b, c in zip(shape[1:], taller[1:], wider[1:])]
    return ("batch", *(names or [""]))


def require_streaming(network: nn.Module) -> Streaming:
    """Raises BadRequest for a network that takes whole clips."""
    if not isinstance(network, Streaming):
        raise BadRequest(
            f"{type(network).__name__} takes whole clips, not a frame and a state: leave --step out, or train a "
            "streaming network, such as model=movinet_a0_stream or model=basicvsr_forward"
        )
    return network


def at_least_2d(state: Tensor) -> Tensor:
    return state.unsqueeze(1) if state.ndim == 1 else state


def probabilities(logits: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """Of each class, and the logits themselves."""
    logits = logits.float()
    return logits.softmax(-1) if activation == "softmax" else logits.sigmoid(), logits


def levels(video: Tensor) -> Tensor:
    """float [B,T,C,H,W] in [0,1] -> the nearest of 256 levels, uint8 [B,T,H,W,C]; uint8 stays as it is."""
    if video.dtype != torch.uint8:
        video = (video.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return video.movedim(2, -1)
