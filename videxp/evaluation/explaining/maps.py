"""Maps of a clip: how much each place and moment counts for an answer, by one of several published methods.

Shapes: T frames, C channels, H, W pixels of the clip; t, h, w of a feature map.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest, NotInstalled
from videxp.core.token_layout import FeatureMap, attention_of, feature_map_of, grid_of, pack_like, unpack
from videxp.evaluation.explaining.removal import CLIPS_AT_ONCE, blank
from videxp.evaluation.explaining.rollout import attention_rollout
from videxp.tasks.questions import Question

IG_STEPS = 32
NEEDS_NOTHING = "integrated_gradients"  # of a network
OF_CAPTUM = ("gradcam", "integrated_gradients")
METHOD_NAMES = {"gradcam": "Grad-CAM", "attention_rollout": "attention rollout"}


class NoMap(BadRequest):
    """A network whose answers cannot be explained, whatever the method."""


@dataclass(frozen=True)
class SpaceTimeMap:
    """float32 [T,H,W] on the CPU; what is below 0 speaks against the answer."""

    values_THW: Tensor
    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    """What the map depends on beside the clip and the weights, as JSON."""

    @property
    def shown_THW(self) -> Tensor:
        """What speaks for the answer, from 0 to 1."""
        positive = self.values_THW.clamp(min=0)
        return positive / positive.max().clamp(min=1e-30)

    @property
    def share_of_frames(self) -> list[float]:
        """What of the map lies in each frame, [T] with sum 1; 0 of an empty one."""
        of_frames = self.shown_THW.sum((1, 2))
        return (of_frames / of_frames.sum().clamp(min=1e-30)).tolist()


def require_weights(network: nn.Module) -> None:
    """Raises NoMap for a network without any."""
    if next(network.parameters(), None) is None:
        raise NoMap(f"{type(network).__name__} has no weights: it has learned nothing that a map could show")


def choose_method(asked: str | None, own: str, network: nn.Module, *, option: str) -> tuple[str, str]:
    """(how maps are made, why it is not the task's own way): as `asked` by `option` or, if it is None, the task's `own`
    way, or what needs nothing of a network.

    Raises BadRequest where the network does not say of itself what the method asked for needs, NotInstalled without
    captum where it is needed.
    """
    method = own if asked is None else asked
    lacking = _lacking(network, method)
    if lacking and asked is not None:
        raise BadRequest(f"{option} {method}: {lacking}: {option} {NEEDS_NOTHING} needs none")
    chosen = NEEDS_NOTHING if lacking else method
    if chosen in OF_CAPTUM:
        captum_attributions()
    return chosen, f"{lacking} for {METHOD_NAMES[method]}" if lacking else ""


def _lacking(network: nn.Module, method: str) -> str:
    """What the network does not say of itself, and the method needs; "" where it lacks nothing."""
    if method == "gradcam" and feature_map_of(network) is None:
        return f"{type(network).__name__} declares no feature_map"
    if method == "attention_rollout" and not attention_of(network):
        return f"{type(network).__name__} declares no attention over all tokens"
    return ""


def make_map(question: Question, network: nn.Module, method: str) -> SpaceTimeMap:
    """The map by `method`, one of MAP_METHODS, which `choose_method` gave. Raises NoMap for an answer that has no
    gradient."""
    with torch.enable_grad():
        if not question.score(question.video.detach().clone().requires_grad_()).requires_grad:
            raise NoMap(f"{type(network).__name__}: its answer has no gradient with respect to the clip, so no map")
    make = {
        "gradcam": gradcam,
        "integrated_gradients": integrated_gradients,
        "attention_rollout": rollout,
        "gradient": gradient,
    }[method]
    return make(question, network)


def gradient(question: Question, network: nn.Module) -> SpaceTimeMap:
    """The gradient's size, of the channel where it is largest. Simonyan et al. 2014, "Deep Inside Convolutional
    Networks", section 3."""
    video = question.video.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(question.score(video).sum(), video)
    return SpaceTimeMap(slope[0].abs().amax(1).float().cpu(), "gradient")


def gradcam(question: Question, network: nn.Module) -> SpaceTimeMap:
    """Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2, over time and space: one weight for each feature.

    The map is of the last feature map's size, made as large as the clip.
    """
    attr = captum_attributions()
    where = feature_map_of(network)
    assert where is not None  # `choose_method`
    video = question.video.detach().clone().requires_grad_()
    with features_tapped(network, where, clip_THW=question.clip_THW) as tap:
        coarse = attr.LayerGradCam(question.score, tap).attribute(video, relu_attributions=True)
    grid = list(coarse.shape[2:])
    return SpaceTimeMap(_enlarged(coarse[0, 0], question), "gradcam", {"layer": where.module, "grid": grid})


def integrated_gradients(question: Question, network: nn.Module) -> SpaceTimeMap:
    """Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", equation 1, from the blurred, still clip;
    the sum over channels. Of a patch: Local Attribution Maps (Gu & Dong 2021), by a straight path."""
    attr = captum_attributions()
    video = question.video.detach().clone().requires_grad_()
    values, delta = attr.IntegratedGradients(question.score).attribute(
        video,
        baselines=blank(video).detach(),
        n_steps=IG_STEPS,
        method="gausslegendre",
        internal_batch_size=CLIPS_AT_ONCE,
        return_convergence_delta=True,
    )
    of_pixels = values[0].sum(1).detach().float().cpu()
    parameters = {
        "baseline": "the clip's mean frame, blurred",
        "steps": IG_STEPS,
        "convergence_delta": float(delta[0]),
    }
    return SpaceTimeMap(of_pixels if question.signed else of_pixels.abs(), "integrated_gradients", parameters)


def rollout(question: Question, network: nn.Module) -> SpaceTimeMap:
    """See `rollout.py`."""
    stages = attention_of(network)
    coarse = attention_rollout(question, network, stages)
    parameters = {"stages": [stage.module for stage in stages], "grid": list(coarse.shape)}
    return SpaceTimeMap(_enlarged(coarse, question), "attention_rollout", parameters)


@contextmanager
def features_tapped(network: nn.Module, where: FeatureMap, *, clip_THW: tuple[int, int, int]) -> Iterator[nn.Module]:
    """A module through which the network's features pass as [B,D,t,h,w], however they lie in the network."""
    tap = nn.Identity()
    grid = grid_of(clip_THW, where.stride)

    def through(_: nn.Module, __: Any, output: Any) -> Any:
        features = output if where.item is None else output[where.item]
        passed = pack_like(tap(unpack(features, where.axes, grid).clone()), features, where.axes).clone()
        if where.item is None:
            return passed
        return type(output)([passed if n == where.item else other for n, other in enumerate(output)])

    handle = network.get_submodule(where.module).register_forward_hook(through)
    try:
        yield tap
    finally:
        handle.remove()


def _enlarged(coarse_THW: Tensor, question: Question) -> Tensor:
    """[t,h,w] -> float32 [T,H,W] on the CPU."""
    coarse = coarse_THW.detach().float().cpu()[None, None]
    return F.interpolate(coarse, size=question.clip_THW, mode="trilinear")[0, 0]


def captum_attributions() -> ModuleType:
    try:
        from captum import attr
    except ImportError as error:
        raise NotInstalled("captum", extra="explain") from error
    return attr
