"""Value ranges, written where the parameter is: `lr: Annotated[float, Gt(0)]`; and the inputs that a model accepts.

The check of a config reads both from the source text, without importing the module, so arguments must be literals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from annotated_types import Ge, Gt, Interval, Le, Lt, MultipleOf

__all__ = ["Accepts", "Ge", "Gt", "Interval", "Le", "Lt", "MultipleOf", "Seed", "accepts"]

T = TypeVar("T", bound=Callable)

Seed = Annotated[int, Interval(ge=0, le=4294967295)]
"""What numpy's and Lightning's generators take: 32 bits."""


@dataclass(frozen=True)
class Accepts:
    """The clips that a model can take: frames per clip, and height = width in pixels."""

    min_frames: int = 1
    frames_multiple: int = 1
    min_size: int = 1
    size_multiple: int = 1


def accepts(
    *, min_frames: int = 1, frames_multiple: int = 1, min_size: int = 1, size_multiple: int = 1
) -> Callable[[T], T]:
    """Declare a model's limits: `@accepts(min_frames=8, min_size=32)` above the class or function that YAML names."""
    limits = Accepts(min_frames, frames_multiple, min_size, size_multiple)

    def mark(target: T) -> T:
        cast(Any, target).__videxp_accepts__ = limits
        return target

    return mark
