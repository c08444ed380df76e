"""Prices that the user gives: of time, of electricity, and its CO2. Nothing is assumed where none is given."""

import argparse
from dataclasses import dataclass, fields

from videxp.core.options import Options, not_negative


@dataclass(frozen=True)
class Prices:
    """None where the user gave none. Money has no currency: it is that of the price."""

    grams_per_kwh: float | None = None
    """CO2 equivalent of the grid."""
    price_per_kwh: float | None = None
    price_per_hour: float | None = None
    """Of the machine."""

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Prices":
        return cls(**{field.name: getattr(options, field.name) for field in fields(cls)})


def add_price_arguments(parser: Options) -> None:
    for option, about in (
        ("--grams-per-kwh", "CO2 of your electricity, for the grams that the energy comes to"),
        ("--price-per-kwh", "what your electricity costs, for the price of the energy"),
        ("--price-per-hour", "what the machine costs, for the price of the time"),
    ):
        parser.add_argument(option, type=not_negative, metavar="X", help=about)
