"""Layer-wise learning-rate decay: the deeper a layer lies beneath the answer, the slower it changes.

Clark et al. 2020, "ELECTRA", appendix B; in vision by BEiT (Bao et al. 2022), whose numbering of a ViT's layers this
is.

The depth of a parameter is read off the network, whatever it is. Its blocks are the elements of its outermost lists
(`nn.Sequential`, `nn.ModuleList`), in the order in which it registers them; an element that holds several blocks of one
class in an `nn.Sequential` (the stages of a ResNet or a Swin) stands for these. What is registered before the first
block is the lowest layer (patch and position embedding, stem), what lies between two goes with the later one, what
comes after the last block (norm, head) is the highest. Of a network without lists (C3D) every module with weights of
its own is a block. Networks must register their parts in the order in which they use them.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn


def with_layer_decay(groups: list[dict[str, Any]], network: nn.Module, *, layer_decay: float) -> list[dict[str, Any]]:
    """The optimizer's groups, each split by layers: `lr_scale` is 1 for the highest, `layer_decay` for the one below,
    its square for the next. Groups with the greatest come first: what is logged is the recipe's learning rate."""
    layer = parameter_layers(network)
    highest = max(layer.values())
    split = [
        {**group, "params": parameters, "lr_scale": layer_decay ** (highest - number)}
        for group in groups
        for number in range(highest + 1)
        if (parameters := [p for p in group["params"] if layer[id(p)] == number])
    ]
    return sorted(split, key=lambda group: -group["lr_scale"])


def parameter_layers(network: nn.Module) -> dict[int, int]:
    """id of each parameter -> its layer, numbered from 0 without gaps; see above."""
    found = list(_blocks(network)) or [module for module in network.modules() if _has_own(module)]
    block_of = {id(p): number for number, block in reversed([*enumerate(found, 1)]) for p in block.parameters()}
    layer, begun = {}, 0
    for parameter in network.parameters():
        begun = max(begun, block_of.get(id(parameter), 0))
        between = begun + 1 if begun else 0
        layer[id(parameter)] = block_of.get(id(parameter), between)
    number = {old: new for new, old in enumerate(sorted(set(layer.values())))}
    return {key: number[old] for key, old in layer.items()}


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Elements of the outermost lists beneath `module`."""
    for child in module.children():
        if _is_list(child) and any(map(_is_composite, child.children())):
            for element in filter(_is_composite, child.children()):
                yield from _within(element)
        else:
            yield from _blocks(child)


def _within(element: nn.Module) -> Iterator[nn.Module]:
    """The blocks of which an element of a list consists; itself, where it is one."""
    chain = _chain(element)
    if chain is None:
        yield element
    else:
        for part in filter(_is_composite, chain.children()):
            yield from _within(part)


def _chain(module: nn.Module) -> nn.Sequential | None:
    """Several blocks of one class, one after the other; not in an `nn.ModuleList`, whose elements stand side by side
    there: SlowFast's pathways."""
    if type(module) is nn.ModuleList:
        return None
    if type(module) is nn.Sequential:
        classes = [type(part) for part in module.children() if _is_composite(part)]
        if len(classes) > len(set(classes)):
            return module
    return next((chain for child in module.children() if (chain := _chain(child)) is not None), None)


def _is_list(module: nn.Module) -> bool:
    return type(module) in (nn.Sequential, nn.ModuleList)


def _is_composite(module: nn.Module) -> bool:
    """More than one layer: parts of it have parameters."""
    return any(True for child in module.children() for _ in child.parameters())


def _has_own(module: nn.Module) -> bool:
    """Weights of its own, of more than one dimension: no norm."""
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
