"""What answering costs, from measured times and energy and from prices that the user gives: nothing is assumed."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from videxp.core.energy import JOULES_PER_KWH

if TYPE_CHECKING:
    from videxp.evaluation.axis import Options
    from videxp.evaluation.measuring.batches import Measured

CLIPS = 1000


@dataclass(frozen=True)
class Prices:
    """None where the user gave none. Money has no currency: it is that of the price."""

    grams_per_kwh: float | None
    """CO2 equivalent of the grid."""
    price_per_kwh: float | None
    price_per_hour: float | None
    """Of the machine."""

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Prices":
        return cls(**{field.name: getattr(options, field.name) for field in fields(cls)})


def add_price_arguments(parser: "Options") -> None:
    for option, about in (
        ("--grams-per-kwh", "CO2 of your electricity, for the grams that measured energy comes to"),
        ("--price-per-kwh", "what your electricity costs, for the price of measured energy"),
        ("--price-per-hour", "what the machine costs, for the price of measured time"),
    ):
        parser.add_argument(option, type=not_negative, metavar="X", help=about)


def not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: a number of 0 or more")
    return value


def costs_of_clips(best: "Measured", *, prices: Prices) -> dict[str, Any]:
    """Of 1000 clips at the batch size of the best throughput; what is asked for and unknown says why."""
    seconds, joules = CLIPS / best.clips_per_second, best.joules_per_clip
    costs: dict[str, Any] = {"seconds": round(seconds, 4)}
    if prices.price_per_hour is not None:
        costs["price_of_time"] = round(seconds / 3600 * prices.price_per_hour, 6)
    if joules is not None:
        costs["kwh"] = CLIPS * joules / JOULES_PER_KWH
    for name, per_kwh in (("grams_co2", prices.grams_per_kwh), ("price_of_energy", prices.price_per_kwh)):
        if per_kwh is not None:
            costs[name] = "not known: energy was not measured" if joules is None else round(costs["kwh"] * per_kwh, 6)
    return costs


def cost_lines(costs: Mapping[str, Any]) -> list[str]:
    """`1000 clips in batches: 12.4 s, 0.0021 kWh, 0.8 g CO2`, and a line for each that is not known."""
    known = [f"{costs['seconds']:.4g} s"]
    known += [f"{costs['kwh']:.4g} kWh"] if "kwh" in costs else []
    unknown = []
    for name, words in (("grams_co2", "g CO2"), ("price_of_energy", "for energy"), ("price_of_time", "for time")):
        value = costs.get(name)
        if isinstance(value, str):
            unknown.append(f"{words}: {value}")
        elif value is not None:
            known.append(f"{value:.4g} {words}")
    return [f"{CLIPS} clips in batches: {', '.join(known)}", *unknown]
