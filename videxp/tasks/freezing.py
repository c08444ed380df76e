"""Training a part of a network: linear probing, fine-tuning of the last blocks."""

import re
from collections.abc import Sequence

from torch import nn

from videxp.core.errors import BadRequest


def train_only(network: nn.Module, trained: Sequence[str]) -> None:
    """Gradients for those parameters alone whose names begin with one of `trained`; all others are frozen.

    trained: regular expressions, each for one or more whole parts of a name: "head" is `head.weight` and `head.bias`,
        "blocks.1" is not `blocks.10.weight`.
    Raises BadRequest for one that no name begins with, and where there is none.
    """
    if not trained:
        raise BadRequest("task.trained=[]: nothing would be trained; null trains all")
    chosen: set[str] = set()
    names = [name for name, _ in network.named_parameters()]
    for pattern in trained:
        try:
            found = {name for name in names if re.match(rf"(?:{pattern})(?:\.|$)", name)}
        except re.error as error:
            raise BadRequest(f"task.trained: {pattern} is no regular expression: {error}") from error
        if not found:
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise BadRequest(f"task.trained: no parameter of {type(network).__name__} is {pattern}; it has {parts}")
        chosen |= found
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in chosen)


def rest_frozen(network: nn.Module) -> None:
    """Modules of which no parameter is trained go to evaluation mode: their BatchNorms keep the statistics that they
    have, and their dropout drops nothing."""
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
