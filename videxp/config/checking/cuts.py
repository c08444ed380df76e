"""How much of each frame training and evaluation see: sizes and short sides that do not go together."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from videxp.config.problems import Problem

LEAST, MOST = 0.6, 1.7
"""Of the side of the largest square that training sees, what an evaluation may see at least and at most."""


def check_cuts(dataset: Mapping[str, Any]) -> Iterator[Problem]:
    """Squares that are larger than the frame they are cut from, and tests that see another part than training does."""
    seen: dict[str, float] = {}  # the largest share of the short side
    cuts: dict[str, Any] = {}
    for part in ("train_transform", "eval_transform", "test_transform"):
        node = dataset.get(part)
        if not isinstance(node, Mapping) or not isinstance(size := node.get("size"), int) or "resize" not in node:
            continue
        short = node["resize"] or size
        shortest = short[0] if isinstance(short, list) else short
        if not isinstance(shortest, int) or size < 1:
            continue  # a problem by itself
        cuts[part] = (size, short)
        if part == "test_transform" and cuts.get("eval_transform") == cuts[part]:
            continue  # it follows that one
        key = f"dataset.{part}.resize"
        if shortest < size:
            message = f"frames of this short side are smaller than the square of {size} cut from them"
            yield Problem(key, node["resize"], f"{message}; {key}={math.ceil(size * 8 / 7)}")
            continue
        seen[part] = 1.0 if node.get("crop") == "resized" else size / shortest
        if part == "train_transform" or "train_transform" not in seen:
            continue
        share = seen[part] / seen["train_transform"]
        if not LEAST <= share <= MOST:
            here, there = (100 * seen[each] ** 2 for each in (part, "train_transform"))
            message = (
                f"cuts the middle {size}x{size} out of frames of short side {shortest}: {here:.0f} % of a square "
                f"frame, where training sees up to {there:.0f} %"
            )
            yield Problem(key, node["resize"], f"{message}; {key}={round(size / seen['train_transform'] * 8 / 7)}")
