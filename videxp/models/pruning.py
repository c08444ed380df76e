"""Networks with fewer channels than their constructors make: widths of their layers, and weights cut to them.

A width is an attribute of a layer, such as `out_channels` of a convolution. A config has them as text,
`features.stem.0.out_channels=11`.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest

Place = tuple[str, str]
"""(name of a layer, attribute): ("features.stem.0", "out_channels")."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def widths_of(layer: nn.Module) -> dict[str, dict[str, int]]:
    """Attribute -> {tensor: the axis of it that is as long}; {} of a layer that is not cut."""
    if "weight" not in layer._parameters:  # such as one with weight_norm
        return {}
    if isinstance(layer, CONVOLUTIONS) and layer.groups == 1:
        return {"out_channels": {"weight": 0, "bias": 0}, "in_channels": {"weight": 1}}
    if isinstance(layer, CONVOLUTIONS) and layer.groups == layer.in_channels == layer.out_channels:
        return {"out_channels": {"weight": 0, "bias": 0}}  # depthwise: in_channels and groups follow
    if isinstance(layer, TRANSPOSED) and layer.groups == 1:
        return {"out_channels": {"weight": 1, "bias": 0}, "in_channels": {"weight": 0}}
    if isinstance(layer, nn.Linear):
        return {"out_features": {"weight": 0, "bias": 0}, "in_features": {"weight": 1}}
    if isinstance(layer, NORMS + INSTANCE_NORMS):
        return {"num_features": {"weight": 0, "bias": 0, "running_mean": 0, "running_var": 0}}
    if isinstance(layer, nn.PReLU) and layer.num_parameters > 1:
        return {"num_parameters": {"weight": 0}}
    return {}


def cut(network: nn.Module, kept: Mapping[Place, Tensor]) -> None:
    """Leave of each width the channels with these numbers, int64 [n], in their order."""
    for (name, attribute), numbers in kept.items():
        layer = network.get_submodule(name)
        for tensor, axis in widths_of(layer)[attribute].items():
            if (whole := getattr(layer, tensor)) is None:
                continue
            part = whole.detach().index_select(axis, numbers.to(whole.device))
            is_parameter = isinstance(whole, nn.Parameter)
            setattr(layer, tensor, nn.Parameter(part, requires_grad=whole.requires_grad) if is_parameter else part)
        is_depthwise = isinstance(layer, CONVOLUTIONS) and layer.groups > 1
        for one in (attribute, *(("in_channels", "groups") if is_depthwise else ())):
            setattr(layer, one, len(numbers))


def cut_to(network: nn.Module, widths: Iterable[str]) -> None:
    """Leave of each width the first channels: as random as a new network's are, and as wide as weights that follow.

    Raises BadRequest for a width that the network does not have, or has smaller.
    """
    cut(network, dict(_first_channels(network, text) for text in widths))


def _first_channels(network: nn.Module, text: str) -> tuple[Place, Tensor]:
    place, _, number = text.partition("=")
    name, _, attribute = place.rpartition(".")
    try:
        known = widths_of(network.get_submodule(name))
    except AttributeError:
        known = {}
    if attribute not in known:
        raise BadRequest(f"pruning.widths: {text}: {type(network).__name__} has no such width")
    there = getattr(network.get_submodule(name), attribute)
    if not number.isdecimal() or not 1 <= int(number) <= there:
        raise BadRequest(f"pruning.widths: {text}: not from 1 to {there}, which it is without")
    return (name, attribute), torch.arange(int(number))


def widths_text(kept: Mapping[Place, Tensor]) -> Sequence[str]:
    """As a config has them."""
    return [f"{name}.{attribute}={len(numbers)}" for (name, attribute), numbers in kept.items()]
