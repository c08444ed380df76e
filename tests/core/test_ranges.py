"""Numbers of a command line: within bounds, or refused with what they may be."""

import argparse

import pytest

from videxp.core.ranges import real_number, whole_number


@pytest.mark.parametrize(
    ("read", "right", "wrong", "said"),
    [
        (whole_number(0, 51), {"0": 0, "51": 51}, ["99", "-1", "1.5", "x", ""], "takes a whole number from 0 to 51"),
        (whole_number(1), {"1": 1, "9999999": 9999999}, ["0", "-5", "inf"], "takes a whole number of at least 1"),
        (
            real_number(0, 1, above=True),
            {"0.5": 0.5},
            ["0", "1", "nan", "inf"],
            "takes a number between 0 and 1, neither of them",
        ),
        (whole_number(0, 2**32 - 1), {"7": 7}, ["99999999999"], "takes a whole number from 0 to 4294967295"),
        (real_number(0, above=True), {"1e-3": 1e-3}, ["0", "-1", "nan", "inf"], "takes a number above 0"),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(read, right, wrong: list[str], said: str):
    assert {text: read(text) for text in right} == right
    for text in wrong:
        with pytest.raises(argparse.ArgumentTypeError, match=f"{text}: {said}"):
            read(text)
