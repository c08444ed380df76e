"""What operations do to channels: each a function (tracing, node) -> axes of what the node gives."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.fx import Node

from videxp.deploy.compressing.tracing import Axes, Tracing, argument, dims_of, operation, shape_of, where

OF_AXES = re.compile(r"_?([123])d(_with_indices)?$")
"""How the names of operations end that are there for clips, pictures and series."""

SAME = """
relu silu sigmoid tanh gelu leaky_relu elu hardswish hardtanh hardsigmoid relu6 mish softplus abs neg exp log sqrt rsqrt
pow square clamp clamp_min clamp_max add sub rsub mul div maximum minimum where lerp dropout clone contiguous detach to
_to_copy alias zeros_like ones_like feature_dropout eq ne gt lt ge le logical_not
"""
"""Operations on each value by itself, or on values in the same place."""


def same(tracing: Tracing, node: Node) -> Axes:
    """Value by value, with broadcasting."""
    tensors = [one for one in node.all_input_nodes if isinstance(one.meta.get("val"), Tensor)]
    shape = shape_of(node)
    result: Axes = []
    for place in range(-len(shape), 0):
        result.append(None)
        whole = [(tracing.of(one)[place], shape_of(one)[place]) for one in tensors if len(shape_of(one)) >= -place]
        for axis, length in whole:
            if length < shape[place]:  # one value for all
                tracing.drop(axis, node)
        axes = [axis for axis, length in whole if length == shape[place]]
        tracked = [axis for axis in axes if axis is not None]
        for other in (axis for axis in axes if tracked and axis is not tracked[0]):
            tracing.join(tracked[0], other, node)
        result[-1] = tracked[0] if tracked else None
    return result


def convolution(tracing: Tracing, node: Node) -> Axes:
    name = operation(node)
    video, weight = tracing.of(node.args[0]), tracing.of(node.args[1])
    bias = argument(node, 2, "bias")
    transposed = name.startswith("conv_transpose")
    groups = int(argument(node, 6, "groups", 1))
    into, out = (0, 1) if transposed else (1, 0)
    place = len(video) - len(weight) + 1
    if groups == 1:
        tracing.join(video[place], weight[into], node)
        made = weight[out]
    elif not transposed and shape_of(node.args[1])[:2] == [groups, 1]:  # depthwise
        made = tracing.join(video[place], weight[0], node)
    else:
        tracing.keep_all([video[place], *weight], where(node))
        made = None
    if isinstance(bias, Node):
        tracing.join(made, tracing.of(bias)[0], node)
    return [made if i == place else None for i in range(len(video))]


def linear(tracing: Tracing, node: Node) -> Axes:
    given, weight = tracing.of(node.args[0]), tracing.of(node.args[1])
    tracing.join(given[-1], weight[1], node)
    if isinstance(bias := argument(node, 2, "bias"), Node):
        tracing.join(weight[0], tracing.of(bias)[0], node)
    return [*given[:-1], weight[0]]


def norm(tracing: Tracing, node: Node) -> Axes:
    """Of each channel by itself; also PReLU."""
    given = tracing.of(node.args[0])
    for other in node.all_input_nodes:
        if other is not node.args[0] and shape_of(other) != [1]:
            tracing.join(given[1], tracing.of(other)[0], node)
    return given


def over(place: int, name: str) -> Callable[[Tracing, Node], Axes]:
    """What mixes the values along the axes of an argument, and leaves the shape as it is."""

    def result(tracing: Tracing, node: Node) -> Axes:
        given = tracing.of(node.args[0])
        mixed = dims_of(argument(node, place, name), len(given))
        for dim in mixed:
            tracing.drop(given[dim], node)
        return given

    return result


def layer_norm(tracing: Tracing, node: Node) -> Axes:
    given = tracing.of(node.args[0])
    tracing.keep_all(given[-len(argument(node, 1, "normalized_shape")) :], where(node))
    return given


def reduction(tracing: Tracing, node: Node) -> Axes:
    given = tracing.of(node.args[0])
    dims = dims_of(argument(node, 1, "dim"), len(given))
    for dim in dims:
        tracing.drop(given[dim], node)
    if argument(node, 2, "keepdim", False):
        return [None if i in dims else axis for i, axis in enumerate(given)]
    return [axis for i, axis in enumerate(given) if i not in dims]


def in_place_only(tracing: Tracing, node: Node) -> Any:
    """Resizing, padding, parts of axes: whichever axis keeps its length keeps its channels. Of several answers (of
    max_pool with indices) each."""
    for other in node.all_input_nodes:
        if other is not node.args[0]:  # such as places to sample at
            tracing.keep_all(tracing.of(other), where(node))
    given, value = tracing.of(node.args[0]), node.meta["val"]
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    for axis, *lengths in zip(given, shape_of(node.args[0]), *(one.shape for one in values)):
        if len({int(length) for length in lengths}) > 1:
            tracing.drop(axis, node)
    result = [axis if axis is not None and len(axis) == n else None for axis, n in zip(given, values[0].shape)]
    return [result] * len(values) if isinstance(value, (list, tuple)) else result


def pooling(tracing: Tracing, node: Node) -> Any:
    found = OF_AXES.search(operation(node))
    assert found is not None
    tracing.keep_all(tracing.of(node.args[0])[-int(found[1]) :], where(node))
    return in_place_only(tracing, node)


def permute(tracing: Tracing, node: Node) -> Axes:
    given = tracing.of(node.args[0])
    return [given[dim] for dim in dims_of(node.args[1], len(given))]


def transpose(tracing: Tracing, node: Node) -> Axes:
    given = list(tracing.of(node.args[0]))
    one, other = dims_of([argument(node, 1, "dim0", 0), argument(node, 2, "dim1", 1)], len(given))
    given[one], given[other] = given[other], given[one]
    return given


def movedim(tracing: Tracing, node: Node) -> Axes:
    given = tracing.of(node.args[0])
    order = np.moveaxis(np.empty(range(2, 2 + len(given))), *(dims_of(one, len(given)) for one in node.args[1:3])).shape
    return [given[length - 2] for length in order]


def unsqueeze(tracing: Tracing, node: Node) -> Axes:
    given = list(tracing.of(node.args[0]))
    given.insert(int(argument(node, 1, "dim")) % (len(given) + 1), None)
    return given


def select(tracing: Tracing, node: Node) -> Axes:
    given = list(tracing.of(node.args[0]))
    tracing.drop(given.pop(int(argument(node, 1, "dim", 0)) % len(given)), node)
    return given


def parts(tracing: Tracing, node: Node) -> list[Axes]:
    """chunk, split, unbind: not of channels, whose number may be written in the network."""
    given = list(tracing.of(node.args[0]))
    dim = int(argument(node, 1 if operation(node) == "unbind" else 2, "dim", 0)) % len(given)
    tracing.drop(given[dim], node)
    given[dim] = None
    if operation(node) == "unbind":
        given.pop(dim)
    return [list(given) for _ in node.meta["val"]]


def concatenate(tracing: Tracing, node: Node) -> Axes:
    """cat; and stack, which makes an axis."""
    tensors: Any = node.args[0]
    stacks = operation(node) == "stack"
    dim = int(argument(node, 1, "dim", 0)) % len(shape_of(node))
    result: Axes = []
    for place in range(len(shape_of(tensors[0]))):
        axes = [tracing.of(one)[place] for one in tensors]
        if all(axis is None for axis in axes):
            result.append(None)
        elif place == dim and not stacks:
            whole = [tracing.new(shape_of(one)[place]) if axis is None else axis for one, axis in zip(tensors, axes)]
            for axis, known in zip(whole, axes):
                tracing.keep(axis if known is None else None, where(node))
            result.append(np.concatenate(whole))
        else:
            for other in axes[1:]:
                tracing.join(axes[0], other, node)
            result.append(next(axis for axis in axes if axis is not None))
    return [*result[:dim], None, *result[dim:]] if stacks else result


def view(tracing: Tracing, node: Node) -> Axes:
    """Axes taken together or apart: channels go on where one of the new axes has them whole, or each of them at all
    places of others, as where features are flattened."""
    given, before, after = tracing.of(node.args[0]), shape_of(node.args[0]), shape_of(node)
    result: Axes = [None] * len(after)
    for old, new in regrouped(before, after):
        tracked = [i for i in old if given[i] is not None]
        if not tracked:
            continue
        numbers = given[tracked[0]]
        assert numbers is not None
        long = [j for j in new if after[j] > 1] or new[:1]
        spread = np.expand_dims(numbers, [n for n, i in enumerate(old) if i != tracked[0]])
        if len(tracked) > 1 or len(long) != 1 or (len(numbers) != after[long[0]] and len(new) > len(old)):
            tracing.keep_all([given[i] for i in tracked], where(node))
        else:
            result[long[0]] = np.broadcast_to(spread, [before[i] for i in old]).reshape(-1)
    return result


def regrouped(before: Sequence[int], after: Sequence[int]) -> Iterable[tuple[list[int], list[int]]]:
    """[2, 3, 8, 4] -> [6, 4, 2, 4]: ([0, 1], [0]), ([2], [1, 2]), ([3], [3])."""
    i = j = 0
    while i < len(before) or j < len(after):
        old, new = [i] if i < len(before) else [], [j] if j < len(after) else []
        i, j = i + 1, j + 1
        while (one := np.prod([before[k] for k in old], dtype=int)) != (
            two := np.prod([after[k] for k in new], dtype=int)
        ):
            if one < two:
                old.append(i)
                i += 1
            else:
                new.append(j)
                j += 1
        yield old, new


def expand(tracing: Tracing, node: Node) -> Axes:
    given, before, after = tracing.of(node.args[0]), shape_of(node.args[0]), shape_of(node)
    for axis, length, wanted in zip(given, before, after[len(after) - len(before) :]):
        if length != wanted:
            tracing.drop(axis, node)
    kept = [axis if length == n else None for axis, length, n in zip(given, before, after[len(after) - len(before) :])]
    return [None] * (len(after) - len(before)) + kept


def pixel_shuffle(tracing: Tracing, node: Node) -> Axes:
    """[..., C r r, H, W] -> [..., C, r H, r W]: all r r channels of a place go together."""
    given = list(tracing.of(node.args[0]))
    if (numbers := given[-3]) is None:
        return given
    of_place = numbers.reshape(shape_of(node)[-3], -1)
    for other in of_place.T[1:]:
        tracing.join(of_place[:, 0], other, node)
    given[-3] = of_place[:, 0]
    return given


OPERATIONS: Mapping[str, Callable[[Tracing, Node], Any]] = {
    **dict.fromkeys(SAME.split(), same),
    **dict.fromkeys(("conv", "conv_transpose"), convolution),
    "linear": linear,
    **dict.fromkeys(("batch_norm", "instance_norm", "prelu"), norm),
    "layer_norm": layer_norm,
    "softmax": over(1, "dim"),
    "log_softmax": over(1, "dim"),
    "flip": over(1, "dims"),
    "roll": over(2, "dims"),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), reduction),
    **dict.fromkeys(("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"), pooling),
    **dict.fromkeys(("upsample_nearest", "upsample_bilinear", "upsample_trilinear", "upsample_bicubic"), in_place_only),
    **dict.fromkeys(("pad", "constant_pad_nd", "slice", "grid_sampler"), in_place_only),
    "permute": permute,
    **dict.fromkeys(("transpose", "swapaxes", "t"), transpose),
    "movedim": movedim,
    "unsqueeze": unsqueeze,
    "select": select,
    **dict.fromkeys(("chunk", "split", "split_with_sizes", "unbind"), parts),
    **dict.fromkeys(("cat", "concat", "stack"), concatenate),
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "squeeze", "_unsafe_view"), view),
    **dict.fromkeys(("expand", "expand_as", "repeat"), expand),
    "pixel_shuffle": pixel_shuffle,
}
"""By their names, without the number of axes at the end of some."""


def answer(tracing: Tracing, node: Node) -> Any:
    """Axes of what a node gives; all that an unknown operation reads is kept."""
    name = operation(node)
    if name == "getitem":
        source: Any = node.args[0]
        return tracing.axes[source][node.args[1]] if tracing.axes.get(source) else []
    found = OPERATIONS.get(name) or OPERATIONS.get(OF_AXES.sub("", name))
    return found(tracing, node) if found else tracing.unknown(node)
