"""Gradient-weighted attention rollout. Chefer et al. 2021, "Generic Attention-model Explainability for Interpreting
Bi-Modal and Encoder-Decoder Transformers", equations 5 and 6, over the token layouts that a network declares.

Legend: G groups of tokens that are attended over apart, S tokens of a group, N tokens of all and the class token.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from videxp.core.errors import VidexpError
from videxp.core.token_layout import AXES, AttentionStage, Grid, grid_of, read_axes, token_numbers
from videxp.tasks.questions import Question

SOFTMAXES = (F.softmax, torch.softmax, Tensor.softmax)


def attention_rollout(question: Question, network: nn.Module, stages: Sequence[AttentionStage]) -> Tensor:
    """float32 [t,h,w] on the grid of the tokens: how much each place of the clip reaches the answer.

    Raises VidexpError where the network's attention is not as its stages say.
    """
    video = question.video.detach()
    with attention_kept(network, stages) as kept, torch.enable_grad():
        score = question.score(video.clone().requires_grad_())
        for stage, of_stage in zip(stages, kept):
            if not of_stage:
                raise VidexpError(f"{type(network).__name__}: no attention was seen in its {stage.module}")
        weights = [weight for of_stage in kept for weight in of_stage]
        gradients = iter(torch.autograd.grad(score.sum(), weights, allow_unused=True))
    found = torch.ones(1, 1, 1, device=video.device)
    for stage, of_stage in zip(stages, kept):
        pairs = [(weight.detach(), next(gradients)) for weight in of_stage]
        found = found * stage_rollout(stage, pairs, grid_of(question.clip_THW, stage.stride))
    return found.float().cpu()


def stage_rollout(stage: AttentionStage, layers: Sequence[tuple[Tensor, Tensor | None]], grid: Grid) -> Tensor:
    """[t,h,w] (1 along an axis that the stage has not) of attention [G,heads,S,S] and its gradients, layer by layer.

    What no layer attends over is gone over apart: each time step of ViViT's first encoder has tokens of its own.
    """
    layouts = [read_axes(axes) for axes in stage.axes]
    named = {name for groups in layouts for group in groups for name in group}
    attended = {name for _, inner, *_ in layouts for name in inner}
    apart = [name for name in AXES if name in named - attended]
    own = {name: grid[name] for name in AXES if name in attended}
    repeats = math.prod(grid[name] for name in apart)
    tokens = math.prod(own.values()) + 1
    rolled = torch.eye(tokens, device=layers[0][0].device).repeat(repeats, 1, 1)
    for number, (weight, gradient) in enumerate(layers):
        if gradient is None:
            continue  # nothing of this layer reaches the answer
        axes = stage.axes[number % len(stage.axes)]
        rule = (weight * gradient).clamp(min=0).mean(1)  # eq. 5: over heads
        rolled = rolled + joint_attention(rule, axes, own, repeats=repeats) @ rolled  # eq. 6
    rolled = rolled - torch.eye(tokens, device=rolled.device)
    read = rolled[:, 0] if stage.readout == "class" else rolled[:, 1:].mean(1)  # [repeats,N]
    read = read[:, 1:].reshape([*(grid[name] for name in apart), *own.values()])
    names = [*apart, *own]
    order = [names.index(name) for name in AXES if name in names]
    return read.permute(order).reshape([grid[name] if name in names else 1 for name in AXES])


def joint_attention(rule_GSS: Tensor, axes: str, own: Grid, *, repeats: int) -> Tensor:
    """[repeats,N,N] over all tokens of a stage, from attention within groups; a token in several groups (the class
    token of divided attention) has the mean of its rows. Raises VidexpError for another number of tokens."""
    outer, inner = read_axes(axes)[:2]
    kept = " ".join(name for name in outer if name == "b" or name in own)
    numbers_GS = token_numbers(f"({kept}) ({' '.join(inner)})", own).to(rule_GSS.device)
    groups, length = numbers_GS.shape
    if rule_GSS.shape != (repeats * groups, length, length):
        due = [repeats * groups, length, length]
        raise VidexpError(f"attention {list(rule_GSS.shape)} where the network says {axes!r}, which is {due}")
    tokens = math.prod(own.values()) + 1
    joint = rule_GSS.new_zeros(repeats, tokens * tokens)
    places = (numbers_GS[:, :, None] * tokens + numbers_GS[:, None, :]).flatten()
    joint.index_add_(1, places, rule_GSS.reshape(repeats, -1))
    rows = torch.bincount(numbers_GS.flatten(), minlength=tokens).clamp(min=1)
    return joint.view(repeats, tokens, tokens) / rows[:, None]


@contextmanager
def attention_kept(network: nn.Module, stages: Sequence[AttentionStage]) -> Iterator[list[list[Tensor]]]:
    """For each stage the attention of each of its layers, [G,heads,S,S], as a forward pass computes it."""
    kept: list[list[Tensor]] = [[] for _ in stages]
    mode = _KeptAttention(kept)
    handles = []
    for number, stage in enumerate(stages):
        module = network.get_submodule(stage.module)
        handles.append(module.register_forward_pre_hook(lambda *_, number=number: mode.enter_stage(number)))
        handles.append(module.register_forward_hook(lambda *_: mode.leave_stage()))
    try:
        with mode:
            yield kept
    finally:
        for handle in handles:
            handle.remove()


class _KeptAttention(TorchFunctionMode):
    """Computes attention in steps, so that its weights can be seen: torch's fused function keeps none."""

    def __init__(self, kept: list[list[Tensor]]) -> None:
        super().__init__()
        self.kept = kept
        self.stage: int | None = None

    def enter_stage(self, number: int) -> None:
        self.stage = number

    def leave_stage(self) -> None:
        self.stage = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.stage is None:
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return self._attend(*args, **kwargs)
        result = func(*args, **kwargs)
        if func in SOFTMAXES and result.dim() == 4 and result.shape[-1] == result.shape[-2]:
            self.kept[self.stage].append(result)
        return result

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *dropout_and_causal: Any,
        scale: float | None = None,
        **others: Any,
    ) -> Tensor:
        if attn_mask is not None or any(dropout_and_causal[1:]) or others.get("is_causal") or others.get("enable_gqa"):
            raise VidexpError("attention_rollout is for attention without a mask: take integrated_gradients")
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        weight = ((query @ key.transpose(-2, -1)) * scale).softmax(-1)
        assert self.stage is not None
        self.kept[self.stage].append(weight)
        return weight @ value
