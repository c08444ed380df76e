"""Published or own weights into a network, by name: from a file or a URL, tensors only (no pickled code is run)."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.tensor_files import read_tensors
from videxp.core.weight_files import is_url, unusable

log = logging.getLogger(__name__)

Renames = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Patterns (`re.sub`) that turn the names of public checkpoints into ours, one after the other; "" drops a tensor."""


@dataclass(frozen=True)
class Loaded:
    """What `load_weights` did to a module, which keeps it as its attribute `loaded`."""

    source: str
    matched: int
    """Tensors that were copied, of `total`; counters of batches aside."""
    total: int
    head: str
    """`the classifier (fc) starts afresh: 400 classes there, 10 here`; "" where nothing does."""

    def __str__(self) -> str:
        head = f"; {self.head}" if self.head else ""
        return f"{self.source}: {self.matched:,} of {self.total:,} tensors{head}"


def loaded_weights(network: nn.Module) -> list[Loaded]:
    """What was loaded into a network and its parts."""
    return [module.__dict__["loaded"] for module in network.modules() if "loaded" in module.__dict__]


_reads: ContextVar[bool] = ContextVar("reads", default=True)


@contextmanager
def weights_unread() -> Iterator[None]:
    """`load_weights` herein does nothing: a checkpoint's weights follow, so the files need not be there any more.

    What is built is otherwise the same: the network is told of its `weights` as it was before.
    """
    token = _reads.set(False)
    try:
        yield
    finally:
        _reads.reset(token)


def load_weights(
    module: nn.Module,
    source: str | None,
    *,
    head: str = "",
    renames: Renames = (),
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    published: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Copy the tensors of `source` into `module` by name; None leaves it as it was initialized.

    `source` is a path, one of the names in `published` (of URLs) or an http(s) URL (cached by `torch.hub`) of a state
    dict, bare or in a checkpoint, whose keys may all sit beneath one prefix (`model.`, `module.`). Every tensor must be
    there with its shape, and no other; only the classifier named `head` may be absent or have other classes: then it
    keeps its fresh values. `module.loaded` tells what was done. `renames` lets files of other projects be read whose
    names differ, `convert` those whose tensors do: it is given them by our names. Raises `BadRequest` for a file that
    is missing, holds more than tensors, holds NaN or infinity, or doesn't fit.
    """
    if source is None or not _reads.get():
        return
    if source not in published and not is_url(source) and (wrong := unusable(source, names=published)):
        raise BadRequest(f"weights={source}: {wrong}")
    own = module.state_dict()
    state = convert(_without_prefix(renamed(read_tensors(published.get(source, source)), renames), own))
    fresh = [key for key in own if _in_head(key, head) and (key not in state or state[key].shape != own[key].shape)]
    afresh = ""
    if fresh:
        there = next((f"{len(state[key])} classes" for key in fresh if key in state), "none")
        afresh = f"the classifier ({head}) starts afresh: {there} there, {len(own[fresh[0]])} here"
    state = {key: value for key, value in state.items() if key not in fresh}
    _require_fit(state, own, fresh, source, type(module).__name__)
    _require_finite(state, own, source)
    if not any(parameter.is_meta for parameter in module.parameters()):
        module.load_state_dict(state, strict=False)
    loaded = Loaded(source, len(_counted(state)), len(_counted(own)), afresh)
    module.__dict__["loaded"] = loaded
    log.info("weights %s", loaded)


def renamed(state: dict[str, Tensor], renames: Renames) -> dict[str, Tensor]:
    """The same tensors under the names that `renames` makes of theirs."""
    keys = {key: key for key in state}
    for pattern, replacement in renames:
        keys = {key: re.sub(pattern, replacement, name) for key, name in keys.items()}
    return {name: state[key] for key, name in keys.items() if name}


def _without_prefix(state: dict[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """{"net.fc.bias": b, "loss.w": w} -> {"fc.bias": b} for a module that has "fc.bias": other parts are left out."""
    first = next(iter(own))
    prefix = min(
        (key.removesuffix(first) for key in state if key == first or key.endswith("." + first)),
        default="",
        key=lambda prefix: ("ema" not in prefix, len(prefix)),  # `generator_ema.` before `generator.`
    )
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _in_head(key: str, head: str) -> bool:
    return key.startswith(head + ".")


def _counted(keys: Iterable[str]) -> list[str]:
    """Without the counters of batches: absent from older files, and harmless."""
    return [key for key in keys if not key.endswith("num_batches_tracked")]


def _require_fit(state: dict[str, Tensor], own: dict[str, Tensor], fresh: list[str], source: str, name: str) -> None:
    problems = [f"{key} is missing" for key in _counted(own) if key not in state and key not in fresh]
    problems += [f"{key} is not part of it" for key in state if key not in own]
    problems += [
        f"{key} has shape {list(value.shape)}, not {list(own[key].shape)}"
        for key, value in state.items()
        if key in own and value.shape != own[key].shape
    ]
    if problems:
        tensors = _counted(own)
        matched = sum(key in state and state[key].shape == own[key].shape for key in tensors)
        found = "1 difference" if len(problems) == 1 else f"{len(problems):,} differences, the first"
        raise BadRequest(
            f"weights={source} doesn't fit {name}: {matched:,} of its {len(tensors):,} tensors match; "
            f"{found}: {problems[0]}\n"
            "Choose the model (and its numbers of frames, channels, blocks and so on) that the weights were made with"
        )


def _require_finite(state: dict[str, Tensor], own: dict[str, Tensor], source: str) -> None:
    """But where the network's own tensor is not finite either, such as an attention's mask."""
    for key, value in state.items():
        if not _is_finite(value) and _is_finite(own[key]):
            raise BadRequest(
                f"weights={source}: {key} holds NaN or infinity: the training that made it had diverged\n"
                "Give weights of an earlier checkpoint"
            )


def _is_finite(tensor: Tensor) -> bool:
    """Of the meta device nothing is known."""
    return tensor.is_meta or bool(tensor.isfinite().all())
