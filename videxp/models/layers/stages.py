"""What families of networks in stages share: a check of their numbers, and widths that hardware likes."""

from collections.abc import Sequence


def require_four_stages(numbers: Sequence[int], *, name: str) -> None:
    """Raises `ValueError` unless there is one number, at least 1, for each of the four stages."""
    if len(numbers) != 4 or min(numbers) < 1:
        raise ValueError(f"{name}={list(numbers)}: give four numbers, one for each stage, each at least 1")


def multiple_of_8(width: float) -> int:
    """The nearest multiple of 8 that is at least 8 and not below 0.9 of `width`: 3.4 -> 8, 13.5 -> 16, 27 -> 32."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
