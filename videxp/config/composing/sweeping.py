"""The values that a sweep tries: Hydra's grammar for several values, read into axes.

`optimizer.lr=1e-2,1e-3`, `seed=range(0,3)`, `model=glob(x3d_*)` are lists of values;
`optimizer.lr=tag(log,interval(1e-4,1e-1))`, `model.blocks=int(interval(1,8))` are intervals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite, prod
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from videxp.config.composing.overriding import key_of, parse, quote, value_of
from videxp.config.places import group_options, groups
from videxp.config.problems import Problem, listing, show
from videxp.core.errors import BadRequest

MAX_VALUES = 10_000
OF_THE_SWEEP = ("sweep.", "launcher.", "hydra.", "hydra/")
"""What belongs to no trial."""


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
    def count(self) -> int | None:
        """How many values there are; None without end."""
        if self.is_interval:
            return int(self.high - self.low) + 1 if self.is_int else None
        return len(self.values)

    @property
    def name(self) -> str:
        return self.key.lstrip("+")

    @property
    def extremes(self) -> list[str]:
        """Values that show whether the key takes what the axis gives: all of a list, the ends of an interval."""
        return [str(self.low), str(self.high)] if self.is_interval else list(self.values)


def count_points(axes: list[Axis]) -> int | None:
    """How many combinations there are; None without end."""
    counts = [axis.count for axis in axes]
    return None if None in counts else prod(count for count in counts if count is not None)


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
    """`sweep.space` of a recipe as overrides: `{"seed": [0, 1]}` -> `["seed=0,1"]`.

    A list holds values as they are, whatever their kind; a text is what one would type, `range(0,3)`. Raises BadRequest
    for a mapping, and for an empty list.
    """
    texts = {key: f"{key}={_space_text(str(key), value)}" for key, value in space.items()}
    for key, text in texts.items():
        try:
            parse(text)
        except HydraException as error:
            raise BadRequest(f"sweep.space.{key}: cannot be read; write it as a list, [VALUE, VALUE]") from error
    return list(texts.values())


def _space_text(key: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = next(iter(value), "NAME")
        raise BadRequest(f"sweep.space.{key}: a key is written whole; write {key}.{inner}: [VALUE, VALUE]")
    if isinstance(value, list) and not value:
        raise BadRequest(f"sweep.space.{key}: holds no value")
    if isinstance(value, list):
        return several([typed(item) for item in value])
    return value if isinstance(value, str) else typed(value)


def several(values: Sequence[str]) -> str:
    """What `split_axes` reads as a list of these values; of a single one as well, and `choice()` takes no null."""
    return ",".join(values if len(values) > 1 else [*values, *values])


def typed(value: Any) -> str:
    """A plain value in the words of Hydra's grammar, which reads it back: `"a,b"` -> `'a,b'`, `None` -> `null`."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_typed_text(str(key))}:{typed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    return _typed_text(value) if isinstance(value, str) else show(value)


def _typed_text(text: str) -> str:
    try:
        reads_back = parse(f"k={text}").value() == text
    except HydraException:
        reads_back = False
    return text if text and reads_back and not set(text) & set(" ,:{}[]()") else quote(text)


def _axis(override: Override, text: str) -> Axis:
    key, value = override.get_key_element(), override.value()
    if key_of(text).startswith(OF_THE_SWEEP) or key_of(text) == "launcher":
        raise _bad(text, "is the same for all trials; give it one value")
    if isinstance(value, IntervalSweep):
        return _interval(key, value, text)
    if isinstance(value, Glob) and key_of(text) not in groups():
        raise _bad(text, "glob() chooses among a group's options, model=glob(x3d_*); write the values")
    if isinstance(value, Glob):
        names = value.filter([option.name for option in group_options(key_of(text))])
        if not names:
            raise _bad(text, f"matches no option; {listing(key_of(text))}")
        return Axis(key, tuple(names))
    try:
        texts = islice(override.sweep_string_iterator(), MAX_VALUES + 1)
        values = tuple(texts) if isinstance(value, RangeSweep) else _without_repeats(texts)
    except (HydraException, ValueError, TypeError, ArithmeticError) as error:
        raise _bad(text, f"cannot be read: {' '.join(str(error).split())}") from error
    if not values:
        raise _bad(text, "holds no value")
    if len(values) > MAX_VALUES:
        raise _bad(
            text, f"holds more than {MAX_VALUES:,} values; interval(LOW,HIGH) with sweep.sampler=random draws some"
        )
    return Axis(key, values)


def _bad(text: str, message: str) -> BadRequest:
    return BadRequest(str(Problem(key_of(text), value_of(text), message)))


def _without_repeats(values: Iterator[str]) -> tuple[str, ...]:
    """As typed, each value once: 1e-3 is 0.001."""
    first: dict[str, str] = {}
    for text in values:
        value = parse(f"k={text}").value()
        value = value.text if isinstance(value, QuotedString) else value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        first.setdefault(repr(float(value)) if number else repr(value), text)
    return tuple(first.values())


def repeats(overrides: list[str]) -> list[str]:
    """A line for each list that holds equal values: `seed=0,0: equal values are tried once: 0`."""
    lists = [(text, override) for text in overrides if isinstance((override := parse(text)).value(), ChoiceSweep)]
    typed = {text: list(override.sweep_string_iterator()) for text, override in lists}
    kept = {text: _without_repeats(iter(values)) for text, values in typed.items()}
    return [
        f"{text}: equal values are tried once: {', '.join(kept[text])}"
        for text, values in typed.items()
        if len(kept[text]) < len(values)
    ]


def _interval(key: str, value: IntervalSweep, text: str) -> Axis:
    low, high = value.start, value.end
    assert low is not None and high is not None
    is_int, is_log = isinstance(low, int) and isinstance(high, int), "log" in value.tags
    if unknown := sorted(value.tags - {"log"}):
        raise _bad(text, f"tag {unknown[0]} is unknown; tag(log, ...) is")
    if not (isfinite(low) and isfinite(high) and low < high):
        raise _bad(text, "the interval's end must lie above its start")
    if is_log and low <= 0:
        raise _bad(text, "a logarithmic interval must start above 0")
    return Axis(key, low=low, high=high, is_int=is_int, is_log=is_log)
