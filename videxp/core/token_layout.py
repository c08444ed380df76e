"""How a network's features and tokens lie in its tensors: what each network says of itself, and explanations go by.

A layout is written as the axes of a tensor, in their order, b for clips, t h w for time, height and width, d for
features, 1 for a class token; what lies in one axis stands in brackets, the slowest first:

    "b d t h w"          a 3-D convolution's feature map
    "(b t) d h w"        a 2-D convolution's, of frames
    "b (1 t h w) d"      tokens of a Transformer, the class token before the patches of the first time step
    "b (1 h w t) d"      the same with time running fastest (TimeSformer)

Nothing of a tensor's shape tells the last two apart, and a map drawn by the wrong one looks plausible.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import Tensor

AXES = ("t", "h", "w")
Grid = dict[str, int]
"""Steps of time, rows and columns: {"t": 8, "h": 14, "w": 14}."""


@dataclass(frozen=True)
class FeatureMap:
    """The network's last feature map that still has places, as its attribute `feature_map`: what Grad-CAM weighs."""

    module: str
    """Dotted name of the module whose output it is; called once in a forward pass."""
    axes: str = "b d t h w"
    stride: tuple[int, int, int] = (1, 1, 1)
    """Frames, rows and columns of the clip for each of its own; only needed where several axes are in one."""
    item: int | None = None
    """Which of the outputs, where the module gives several."""

    def __post_init__(self) -> None:
        read_axes(self.axes)


@dataclass(frozen=True)
class AttentionStage:
    """Self-attention layers over one set of tokens; a network has one or several, in the order in which they run, as
    its attribute `attention`."""

    module: str
    """Dotted name of the module that runs them."""
    axes: tuple[str, ...]
    """Of the tokens of each call of attention within it, without d, in turn: "b (1 t h w)"; divided attention has two.
    What stands beside b is not attended over: "(b h w) t" attends over time alone."""
    readout: Literal["class", "mean"]
    """What of the tokens goes on: the class token, or the mean of all."""
    stride: tuple[int, int, int] = (1, 1, 1)

    def __post_init__(self) -> None:
        for axes in self.axes:
            read_axes(axes)


def feature_map_of(network: object) -> FeatureMap | None:
    """What the network says of its features; None where it says nothing."""
    found = getattr(network, "feature_map", None)
    return found if isinstance(found, FeatureMap) else None


def box_features_of(network: object) -> FeatureMap | None:
    """What of the network a head over boxes reads: its attribute `box_features` where that is not its `feature_map`,
    as of several pathways (all outputs of the module), and where patches' tokens go on after the last map that the
    answer comes from; None where it says nothing."""
    found = getattr(network, "box_features", None)
    return found if isinstance(found, FeatureMap) else feature_map_of(network)


def attention_of(network: object) -> Sequence[AttentionStage]:
    """What the network says of its attention; () where it says nothing: `attention` may be one of its layers, too."""
    found = getattr(network, "attention", ())
    return found if isinstance(found, Sequence) else ()


def read_axes(text: str) -> list[list[str]]:
    """ "(b t) (1 h w) d" -> [["b", "t"], ["1", "h", "w"], ["d"]]. Raises ValueError for what is no layout."""
    groups = [found.strip("()").split() for found in re.findall(r"\([^()]*\)|[^\s()]+", text)]
    names = [name for group in groups for name in group]
    if len({*names}) != len(names) or not {*names} <= {"b", "d", "1", *AXES} or not groups or "b" not in groups[0]:
        raise ValueError(f"{text!r} is no layout of axes such as 'b d t h w' or '(b t) (1 h w) d'")
    return groups


def grid_of(clip_THW: Sequence[int], stride: Sequence[int]) -> Grid:
    """How many places a clip of T frames of H x W has along each axis; what a stride does not divide counts whole."""
    return {name: -(-length // step) for name, length, step in zip(AXES, clip_THW, stride, strict=True)}


def unpack(tensor: Tensor, axes: str, grid: Grid) -> Tensor:
    """A tensor of this layout as [B,D,t,h,w], without the class token; D or an axis that it lacks is 1.

    grid: of axes that share one with others. Raises ValueError for a tensor that is not of this layout and grid.
    """
    groups = read_axes(axes)
    if tensor.dim() != len(groups):
        raise ValueError(f"a tensor {list(tensor.shape)} is not {axes!r}")
    names: list[str] = []
    for place, group in enumerate(groups):
        at = len(names)
        if "1" in group:
            tensor = tensor.narrow(at, 1, tensor.shape[at] - 1)
        members = [name for name in group if name != "1"]
        if len(members) > 1:
            rest = prod(grid[name] for name in members if name in grid)
            length = tensor.shape[at]
            if length % rest or (members[0] in grid and length != rest):
                raise ValueError(f"{length} places along axis {place} are not {axes!r} on a grid of {grid}")
            tensor = tensor.unflatten(at, [grid.get(name, length // rest) for name in members])
        names += members
    for name in ("b", "d", *AXES):
        if name not in names:
            tensor, names = tensor.unsqueeze(-1), [*names, name]
    return tensor.permute([names.index(name) for name in ("b", "d", *AXES)])


def pack_like(features_BDTHW: Tensor, like: Tensor, axes: str) -> Tensor:
    """`unpack` undone: the features in the layout of `like`, whose class tokens are kept."""
    import torch

    groups = read_axes(axes)
    order = [name for group in groups for name in group if name != "1"]
    lacking = [name for name in ("b", "d", *AXES) if name not in order]
    tensor = features_BDTHW.permute([("b", "d", *AXES).index(name) for name in (*order, *lacking)])
    tensor = tensor.flatten(len(order) - 1) if lacking else tensor
    for place, group in enumerate(groups):
        members = len([name for name in group if name != "1"])
        tensor = tensor.flatten(place, place + members - 1) if members > 1 else tensor
        if "1" in group:
            tensor = torch.cat([like.narrow(place, 0, 1), tensor], dim=place)
    return tensor


def token_numbers(axes: str, grid: Grid) -> Tensor:
    """Which place each token of a call of attention stands for: int64 [groups, tokens], numbered from 1 in the order
    t h w, of the axes that `grid` has; 0: the class token. A group is attended over on its own."""
    import torch

    outer, inner = read_axes(axes)
    own = [name for name in AXES if name in grid]
    numbers = torch.arange(1, prod(grid.values()) + 1).view([grid[name] for name in own])
    kept = [name for name in outer if name in grid]
    attended = [name for name in inner if name != "1"]
    if {*kept, *attended} != {*own}:
        raise ValueError(f"{axes!r} is not of the axes {own}")
    numbers = numbers.permute([own.index(name) for name in (*kept, *attended)])
    numbers = numbers.reshape(prod(grid[name] for name in kept), -1)
    if "1" in inner:
        numbers = torch.cat([numbers.new_zeros(len(numbers), 1), numbers], dim=1)
    return numbers
