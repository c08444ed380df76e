"""Which channels of a network must go together, by its graph.

Each channel of each layer has a number; going along the graph, two that an operation takes for one (those of a
convolution and of the norm after it, or of the two sides of a sum) become one channel. What may not go is kept, with
what stands in the way: the input, the answer, and any operation of which `operations.py` knows nothing, for all that it
reads.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from videxp.deploy.compressing.operations import answer
from videxp.deploy.compressing.tracing import Tracing
from videxp.models.pruning import Place


@dataclass(frozen=True)
class Group:
    """Channels in the same places: which of them go is a free choice."""

    channels: Sequence[Sequence[tuple[Place, int]]]
    """Of each, where it is: a width and its number there."""

    @property
    def places(self) -> list[Place]:
        return list(dict.fromkeys(place for place, _ in self.channels[0]))


@dataclass(frozen=True)
class Channels:
    groups: Sequence[Group]
    kept: Mapping[str, int]
    """What stands in the way -> how many channels stay for it."""


def find_channels(network: nn.Module, program: ExportedProgram) -> Channels:
    """program: `torch.export` of the network in evaluation mode."""
    tracing = Tracing(network, program, answer)
    for node in program.graph.nodes:
        tracing.visit(node)
    return channels_of(tracing)


def channels_of(tracing: Tracing) -> Channels:
    """What came out of a graph that was gone along."""
    kept = {tracing.find(number): reason for number, reason in reversed(tracing.reasons.items())}
    members: dict[int, list[tuple[Place, int]]] = defaultdict(list)
    for place, numbers in tracing.places.items():
        for i, number in enumerate(numbers.tolist()):
            members[tracing.find(number)].append((place, i))
    groups: dict[Any, list[list[tuple[Place, int]]]] = defaultdict(list)
    for number, found in members.items():
        if number not in kept:
            groups[frozenset(Counter(place for place, _ in found).items())].append(found)
    reasons = Counter(kept[number] for number in members if number in kept)
    return Channels([Group(channels) for channels in groups.values()], dict(reasons.most_common()))


def export_network(network: nn.Module, inputs: Sequence[Any]) -> ExportedProgram:
    """Its graph for inputs of this size."""
    with torch.no_grad():
        return torch.export.export(network.eval(), tuple(inputs))
