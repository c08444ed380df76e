"""Figures of an evaluation as they come, one line of JSON each: one that was stopped goes on where it stood.

A figure is known by all that it depends on; lines of other weights than the run's best are dropped.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from videxp.core.files import replacing

Figures = dict[str, Any]
"""JSON."""


class Ledger:
    """The file at `path`, read once; `measured` appends to it. A last line that was cut off is none."""

    def __init__(self, path: Path, *, weights: str) -> None:
        self.path = path
        self.weights = weights
        self.known: dict[str, Figures] = {}
        self.asked = 0
        self.found = 0
        """How many of the figures that were asked for were there already."""
        if path.is_file():
            self._read()

    def measured(self, measure: Callable[[], Figures], **of: Any) -> Figures:
        """The figures that depend on `of` and on the weights: known, or measured now and written."""
        self.asked += 1
        key = canonical({"weights": self.weights, **of})
        if key in self.known:
            self.found += 1
        else:
            line = f'{{"of": {key}, "figures": {json.dumps(measure())}}}\n'
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            self.known[key] = json.loads(line)["figures"]
        return self.known[key]

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                if entry["of"]["weights"] == self.weights:
                    self.known[canonical(entry["of"])] = entry["figures"]
            except (ValueError, KeyError, TypeError):
                continue
        kept = [f'{{"of": {key}, "figures": {json.dumps(figures)}}}\n' for key, figures in self.known.items()]
        if (whole := "".join(kept)) != text:
            with replacing(self.path) as temporary:
                temporary.write_text(whole, encoding="utf-8")


def canonical(value: Mapping[str, Any]) -> str:
    """The same text for equal values."""
    return json.dumps(value, sort_keys=True, default=str)
