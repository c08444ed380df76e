"""The values that a sweep tries: Hydra's grammar for several values, read into axes.

`optimizer.lr=1e-2,1e-3`, `seed=range(0,3)`, `model=glob(x3d_*)` are lists of values;
`optimizer.lr=tag(log,interval(1e-4,1e-1))`, `model.blocks=int(interval(1,8))` are intervals.
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from hydra.errors import HydraException

from videxp.config.overriding import key_of, parse, value_of
from videxp.config.places import group_options
from videxp.config.problems import Problem, listing
from videxp.errors import BadRequest


@dataclass(frozen=True)
class Axis:
    """One key and what a trial may set it to."""

    key: str
    """With Hydra's prefix: `optimizer.lr`, `+model.width`."""
    values: tuple[str, ...] = ()
    """As one would type them; empty for an interval."""
    low: float = 0.0
    high: float = 0.0
    """Of an interval, both included."""
    is_int: bool = False
    is_log: bool = False

    @property
    def is_interval(self) -> bool:
        return not self.values

    @property
    def name(self) -> str:
        return self.key.lstrip("+")

    @property
    def extremes(self) -> list[str]:
        """Values that show whether the key takes what the axis gives: all of a list, the ends of an interval."""
        return [str(self.low), str(self.high)] if self.is_interval else list(self.values)


def split_axes(overrides: list[str]) -> tuple[list[str], list[Axis]]:
    """(overrides with one value, axes of those with several). Raises BadRequest for an axis that has no values."""
    fixed: list[str] = []
    axes: list[Axis] = []
    for text in overrides:
        try:
            override = parse(text)
        except HydraException:
            fixed.append(text)  # composing says what is wrong with it
            continue
        if override.is_sweep_override():
            axes.append(_axis(override, text))
        else:
            fixed.append(text)
    return fixed, axes


def space_overrides(space: dict[str, Any]) -> list[str]:
    """`sweep.space` of a recipe as overrides: `{"seed": [0, 1]}` -> `["seed=0,1"]`; text is taken as it stands."""
    return [f"{key}={','.join(map(str, v)) if isinstance(v, list) else v}" for key, v in space.items()]


def _axis(override: Override, text: str) -> Axis:
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        return _interval(key, value, text)
    if isinstance(value, Glob):
        names = value.filter([option.name for option in group_options(key_of(text))])
        if not names:
            shown = listing(key_of(text))
            raise BadRequest(str(Problem(key_of(text), value_of(text), f"matches no option; {shown}")))
        return Axis(key, tuple(names))
    values = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not values:
        raise BadRequest(str(Problem(key_of(text), value_of(text), "holds no value")))
    return Axis(key, values)


def _interval(key: str, value: IntervalSweep, text: str) -> Axis:
    low, high = value.start, value.end
    assert low is not None and high is not None
    is_int, is_log = isinstance(low, int), "log" in value.tags
    if unknown := sorted(value.tags - {"log"}):
        raise BadRequest(str(Problem(key_of(text), value_of(text), f"tag {unknown[0]} is unknown; tag(log, ...) is")))
    if not low < high:
        raise BadRequest(str(Problem(key_of(text), value_of(text), "the interval's end must lie above its start")))
    if is_log and low <= 0:
        raise BadRequest(str(Problem(key_of(text), value_of(text), "a logarithmic interval must start above 0")))
    return Axis(key, low=low, high=high, is_int=is_int, is_log=is_log)
