"""A network with fewer channels: those whose weights are least, of each group of channels that go together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.deploy.compressing.channels import Channels, export_network, find_channels
from videxp.deploy.compressing.tracing import ANSWER, INPUT
from videxp.deploy.exporting.writing import trouble
from videxp.models.pruning import Place, cut, widths_of, widths_text

MAX_NAMED = 3
"""Operations that a message names."""


@dataclass(frozen=True)
class Pruned:
    network: nn.Module
    """Cut, with the weights that are left."""
    widths: Sequence[str]
    """As `pruning.widths` of a config has them."""
    channels: Mapping[str, Any]
    """`of`, `removed`, `groups`, and `kept`: what stands in the way -> how many channels stay for it."""


def prune_network(network: nn.Module, inputs: Sequence[Any], *, share: float) -> Pruned:
    """A copy without the least `share` of the channels of each group, as near as whole channels come; one stays.

    inputs: what it is called with. Raises BadRequest for a share that leaves all or nothing, and where no channel can
    go, with the operations and lines that stand in the way.
    """
    require_share(share)
    try:
        found = find_channels(network, export_network(network, inputs))
    except Exception as error:  # torch.export raises whatever a graph makes it meet
        raise BadRequest(f"--prune: {type(network).__name__} has no graph to prune by: {trouble(error)}") from error
    kept = choose_channels(network, found, share=share)
    if not kept:
        raise BadRequest(f"--prune {share:g}: {type(network).__name__}: {why_none(found)}")
    pruned = deepcopy(network)
    cut(pruned, kept)
    require_answer(network, pruned, inputs)
    sizes = [len(group.channels) for group in found.groups]
    removed = sum(how_many(size, share) for size in sizes)
    facts = {"of": sum(sizes), "removed": removed, "groups": len(sizes), "kept": dict(found.kept)}
    return Pruned(pruned, widths_text(kept), facts)


def require_share(share: float) -> None:
    if not 0 < share < 1:
        raise BadRequest(f"--prune {share:g}: a share of the channels between 0 and 1, such as 0.3")


def choose_channels(network: nn.Module, channels: Channels, *, share: float) -> dict[Place, Tensor]:
    """Of each width that becomes smaller, the numbers of the channels that stay, ascending."""
    norms: dict[Place, Tensor] = {}
    removed: dict[Place, list[int]] = defaultdict(list)
    for group in channels.groups:
        for place in group.places:
            norms[place] = relative_norms(network, place)
        scores = torch.stack([torch.stack([norms[place][i] for place, i in one]).sum() for one in group.channels])
        for number in scores.argsort(stable=True)[: how_many(len(group.channels), share)].tolist():
            for place, i in group.channels[number]:
                removed[place].append(i)
    return {place: _others(gone, len(norms[place])) for place, gone in removed.items()}


def how_many(channels: int, share: float) -> int:
    """Channels of a group that go."""
    return min(round(share * channels), channels - 1)


def _others(gone: Sequence[int], length: int) -> Tensor:
    stays = torch.ones(length, dtype=torch.bool)
    stays[list(gone)] = False
    return stays.nonzero()[:, 0]


def relative_norms(network: nn.Module, place: Place) -> Tensor:
    """Of each channel at a place, the L2 norm of the layer's weights for it over the mean of all: float64 [n]."""
    name, attribute = place
    layer = network.get_submodule(name)
    axes = widths_of(layer)[attribute]
    weight = layer.weight
    if not isinstance(weight, Tensor):  # a norm without weights
        return torch.zeros(getattr(layer, attribute), dtype=torch.float64)
    norms = weight.detach().double().movedim(axes["weight"], 0)
    norms = norms.reshape(len(norms), -1).norm(dim=1)
    return norms / norms.mean().clamp_min(1e-30)


def require_answer(network: nn.Module, pruned: nn.Module, inputs: Sequence[Any]) -> None:
    """Raises BadRequest where the pruned network does not answer as the whole one does, in shape."""
    with torch.no_grad():
        whole = _shapes(network(*inputs))
        try:
            part = _shapes(pruned(*inputs))
        except Exception as error:  # networks have their own words for widths that they do not take
            said = f"{type(network).__name__} has widths written in its code: {trouble(error)}"
            raise BadRequest(f"--prune: {said}") from error
    if whole != part:
        raise BadRequest(f"--prune: {type(network).__name__} would answer {part}, not {whole}")


def _shapes(answer: Any) -> list[list[int]]:
    return [list(one.shape) for one in (answer if isinstance(answer, (list, tuple)) else [answer])]


def why_none(found: Channels) -> str:
    if found.groups:
        most = max(len(group.channels) for group in found.groups)
        return f"no channel would go: its groups have {most} or fewer: a larger share"
    ways = [reason for reason in found.kept if reason not in (INPUT, ANSWER)]
    more = [f"and {len(ways) - MAX_NAMED} more"] if len(ways) > MAX_NAMED else []
    return "\n".join(["no channel can go; in the way stand", *(ways[:MAX_NAMED] or [f"{INPUT} and {ANSWER}"]), *more])
