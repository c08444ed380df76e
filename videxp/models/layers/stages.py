"""One check that the families of four stages share."""

from collections.abc import Sequence


def require_four_stages(numbers: Sequence[int], *, name: str) -> None:
    """Raises `ValueError` unless there is one number, at least 1, for each of the four stages."""
    if len(numbers) != 4 or min(numbers) < 1:
        raise ValueError(f"{name}={list(numbers)}: give four numbers, one for each stage, each at least 1")
