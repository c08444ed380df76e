"""What answering costs, from measured times and energy and from prices that the user gives: nothing is assumed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from videxp.core.energy import JOULES_PER_KWH
from videxp.core.prices import Prices

if TYPE_CHECKING:
    from videxp.evaluation.measuring.batches import Measured

CLIPS = 1000


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
