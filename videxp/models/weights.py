"""Published or own weights into a network, by name: from a file or a URL, tensors only (no pickled code is run)."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from videxp.errors import BadRequest
from videxp.tensor_files import read_tensors

log = logging.getLogger(__name__)

Renames = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Patterns (`re.sub`) that turn the names of public checkpoints into ours, one after the other; "" drops a tensor."""


def load_weights(
    module: nn.Module,
    source: str | None,
    *,
    head: str = "",
    renames: Renames = (),
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
) -> None:
    """Copy the tensors of `source` into `module` by name; None leaves it as it was initialised.

    `source` is a path or an http(s) URL (cached by `torch.hub`) of a state dict, bare or in a checkpoint, whose keys
    may all sit beneath one prefix (`model.`, `module.`). Every tensor must be there with its shape, and no other; only
    the classifier named `head` may be absent or have other classes: then it keeps its fresh values, and a log line
    says so. `renames` lets files of other projects be read whose names differ, `convert` those whose tensors do: it is
    given them by our names. Raises `BadRequest` for a file that is
    missing, holds more than tensors, or doesn't fit.
    """
    if source is None:
        return
    own = module.state_dict()
    state = convert(_without_prefix(renamed(read_tensors(source), renames), own))
    fresh = [key for key in own if _in_head(key, head) and (key not in state or state[key].shape != own[key].shape)]
    if fresh:
        there = next((f"{len(state[key])} classes" for key in fresh if key in state), "no classes")
        here = f"{len(own[fresh[0]])} here"
        log.info("%s: %s in the file, %s: the classifier %r starts from fresh values", source, there, here, head)
    state = {key: value for key, value in state.items() if key not in fresh}
    _require_fit(state, own, fresh, source, type(module).__name__)
    if not any(parameter.is_meta for parameter in module.parameters()):
        module.load_state_dict(state, strict=False)


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


def _require_fit(state: dict[str, Tensor], own: dict[str, Tensor], fresh: list[str], source: str, name: str) -> None:
    counters = {key for key in own if key.endswith("num_batches_tracked")}  # absent from older files, and harmless
    problems = [f"{key} is missing" for key in own if key not in state and key not in counters and key not in fresh]
    problems += [f"{key} is not part of it" for key in state if key not in own]
    problems += [
        f"{key} has shape {list(value.shape)}, not {list(own[key].shape)}"
        for key, value in state.items()
        if key in own and value.shape != own[key].shape
    ]
    if problems:
        raise BadRequest(
            f"weights={source} doesn't fit {name}: {len(problems)} differences, the first: {problems[0]}\n"
            "Choose the model (and its numbers of frames, channels, blocks and so on) that the weights were made with"
        )
