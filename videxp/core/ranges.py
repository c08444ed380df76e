"""Numbers of a command line, within bounds: `parser.add_argument("--crf", type=whole_number(0, 51))`."""

import argparse
import math
from collections.abc import Callable


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """low <= value, <= high where that is given."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"{text}: takes a whole number {_range(low, high)}")
        return value

    return read


def real_number(low: float, high: float | None = None, *, above: bool = False) -> Callable[[str], float]:
    """low <= value (low < value if `above`), <= high (or < high) where that is given; never NaN or infinite."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        fits = value > low if above else value >= low
        if high is not None:
            fits = fits and (value < high if above else value <= high)
        if not (fits and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{text}: takes a number {_range(low, high, above=above)}")
        return value

    return read


def _range(low: float, high: float | None, *, above: bool = False) -> str:
    if high is None:
        return f"above {low:g}" if above else f"of at least {low:g}"
    return f"between {low:g} and {high:g}, neither of them" if above else f"from {low:.10g} to {high:.10g}"
