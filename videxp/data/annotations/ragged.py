"""Rows of which each clip of a batch has its own number. Legend: N clips, M rows of all of them."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ragged:
    """`rows[name][i]` belongs to clip `owner[i]` of `count`; the rows of a clip stand together, in the clips' order."""

    rows: dict[str, Tensor]
    """[M,...] each."""
    owner: Tensor
    """int64 [M]"""
    count: int
    """N; a clip may have no rows."""

    @classmethod
    def of_one(cls, rows: dict[str, Tensor]) -> "Ragged":
        """One clip, whose rows they all are."""
        some = next(iter(rows.values()))
        return cls(rows, torch.zeros(len(some), dtype=torch.int64, device=some.device), 1)

    @classmethod
    def join(cls, parts: list["Ragged"]) -> "Ragged":
        """The clips of all parts, one after another."""
        rows = {name: torch.cat([part.rows[name] for part in parts]) for name in parts[0].rows}
        firsts = [sum(part.count for part in parts[:place]) for place in range(len(parts))]
        owner = torch.cat([part.owner + first for part, first in zip(parts, firsts)])
        return cls(rows, owner, sum(part.count for part in parts))

    def select(self, chosen: Tensor) -> "Ragged":
        """Only the clips where `chosen`, bool [N], is true."""
        chosen = chosen.to(self.owner.device)
        number = chosen.cumsum(0) - 1
        among = chosen[self.owner]
        rows = {name: values[among] for name, values in self.rows.items()}
        return Ragged(rows, number[self.owner[among]], int(chosen.sum()))

    def among(self, chosen: Tensor) -> "Ragged":
        """Only the rows where `chosen`, bool [M], is true."""
        return Ragged({name: values[chosen] for name, values in self.rows.items()}, self.owner[chosen], self.count)

    def of_clip(self, number: int) -> dict[str, Tensor]:
        among = self.owner == number
        return {name: values[among] for name, values in self.rows.items()}

    def to(self, *args: Any, **kwargs: Any) -> "Ragged":
        """As of a tensor."""
        rows = {name: values.to(*args, **kwargs) for name, values in self.rows.items()}
        return replace(self, rows=rows, owner=self.owner.to(*args, **kwargs))

    def pin_memory(self) -> "Ragged":
        rows = {name: values.pin_memory() for name, values in self.rows.items()}
        return replace(self, rows=rows, owner=self.owner.pin_memory())
