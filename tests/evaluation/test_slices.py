"""Slices that go worse: a planted one is found, others are not; on made-up scores."""

import math

import numpy as np
import pytest
from scipy import stats

from videxp.core.contract import Contract
from videxp.evaluation.slices import cut_slices, describe_slices, find_worse, score_of, slice_lines
from videxp.metrics.significance import p_lower

ACCURACY = Contract(metrics={"accuracy": "max", "loss": "min"}, headline=("accuracy", "loss"))
PSNR = Contract(metrics={"psnr": "max"}, headline=("psnr",))


def rows_of(scores: np.ndarray, *, column: str = "accuracy") -> list[dict]:
    return [{"path": f"{i}.mp4", column: float(score)} for i, score in enumerate(scores)]


def made_attributes(count: int, rng: np.random.Generator) -> dict:
    return {
        "class": [(name,) for name in rng.choice(list("abcd"), count)],
        "folder": [("test", camera) for camera in rng.choice(["cam1", "cam2", "cam3"], count)],
        "brightness": rng.random(count),
        "seconds": rng.choice([2.0, 4.0], count),
    }


def test_a_planted_slice_is_found_and_told():
    rng = np.random.default_rng(0)
    attributes = made_attributes(200, rng)
    dark = attributes["brightness"] < np.quantile(attributes["brightness"], 0.25)
    scores = (rng.random(200) < np.where(dark, 0.4, 0.9)).astype(float)
    section = describe_slices(rows_of(scores), attributes, ACCURACY, unit="path")
    assert section["looked_at"] == 13 and section["unit"] == "video" and section["units"] == 200
    (found,) = section["worse"]
    edge = np.quantile(attributes["brightness"], 0.25)
    assert (found["by"], found["value"], found["videos"]) == ("brightness", f"< {edge:.3g}", 50)
    assert found["score"] == pytest.approx(scores[dark].mean()) and found["rest"] == pytest.approx(scores[~dark].mean())
    assert found["low"] < found["score"] - found["rest"] < found["high"] < 0
    table = [[scores[dark].sum(), 50 - scores[dark].sum()], [scores[~dark].sum(), 150 - scores[~dark].sum()]]
    assert found["p"] == pytest.approx(13 * stats.fisher_exact(table, alternative="less").pvalue)  # the least of 13
    heading, line = slice_lines(section)
    assert heading.startswith("worse slices (1 of 13)") and line.startswith("brightness < 0.2")
    assert max(map(len, (heading, line))) <= 80


@pytest.mark.slow
def test_of_scores_that_hang_on_nothing_no_more_than_one_set_in_twenty_has_a_worse_slice():
    """Tests without a correction find one in most sets."""
    rng = np.random.default_rng(1)
    found, uncorrected = 0, 0
    for number in range(200):
        attributes = made_attributes(80, rng)
        column, contract, scores = ("accuracy", ACCURACY, (rng.random(80) < 0.8).astype(float))
        if number % 4 == 0:
            column, contract, scores = ("psnr", PSNR, rng.normal(30, 3, 80))
            slices = cut_slices(attributes, unit_N=np.arange(80))
            uncorrected += any(p_lower(scores[one.inside_N], scores[~one.inside_N]) < 0.05 for one in slices)
        found += bool(describe_slices(rows_of(scores, column=column), attributes, contract, unit="path")["worse"])
    assert uncorrected > 12  # of 50
    assert found <= 18  # of 200; 10 at the level


def test_cuts_of_a_recording_count_once():
    """Ten cuts each of six recordings by day and of six at night, two of which are bad: what sixty videos seem to show,
    twelve recordings do not."""
    rng = np.random.default_rng(2)
    bad = np.repeat([True] * 2 + [False] * 10, 10)
    scores = (rng.random(120) < np.where(bad, 0.0, 0.85)).astype(float)
    attributes = {"folder": [("night",) if i < 60 else ("day",) for i in range(120)]}
    videos, recordings = (
        describe_slices([{**row, "recording": str(i // 10)} for i, row in enumerate(rows_of(scores))], attributes,
                        ACCURACY, unit=unit)
        for unit in ("path", "recording")
    )  # fmt: skip
    assert [row["value"] for row in videos["worse"]] == ["night"]
    assert recordings["worse"] == [] and (recordings["unit"], recordings["units"]) == ("recording", 12)


def test_the_contract_says_what_a_score_is_and_which_way_is_better():
    assert score_of([{"accuracy": 1, "loss": 0.1}], ACCURACY) == ("accuracy", True)
    assert score_of([{"loss": 0.1}], Contract(metrics={"mAP": "max", "loss": "min"}, headline=("mAP",))) == (
        "loss",
        False,
    )
    assert score_of([{"path": "a"}], ACCURACY) is None
    rng = np.random.default_rng(3)
    slow = np.arange(60) < 20
    losses = rng.random(60) + 2 * slow
    attributes = {"fps": np.where(slow, 10.0, 25.0)}
    section = describe_slices(rows_of(losses, column="loss"), attributes, ACCURACY, unit="path")
    assert [(row["by"], row["value"]) for row in section["worse"]] == [("fps", "10")]
    assert section["worse"][0]["difference"] > 0


def test_small_slices_copies_of_others_and_samples_without_a_score_are_left_out():
    attributes = {
        "class": [("a",)] * 10 + [("b",)] * 10,
        "folder": [("test", "a")] * 10 + [("test", "b")] * 10,
        "fps": [25.0] * 16 + [10.0] * 4,
        "motion": [math.nan] * 20,
    }
    assert [(one.by, one.value) for one in cut_slices(attributes, unit_N=np.arange(20))] == [
        ("class", "a"),
        ("class", "b"),
    ]
    scores = [30.0] * 18 + [math.nan, None]
    rows = [{"path": str(i), "psnr": score} for i, score in enumerate(scores)]
    section = describe_slices(rows, attributes, PSNR, unit="path")
    assert section["units"] == 18 and section["looked_at"] == 2 and section["worse"] == []
    assert slice_lines(section) == ["slices: none of 2 is significantly worse in psnr"]
    nothing = describe_slices([{"path": "a"}], {}, ACCURACY, unit="path")
    assert "does_not_apply" in nothing and slice_lines(nothing) == []
    assert slice_lines(describe_slices(rows[:4], {"class": attributes["class"][:4]}, PSNR, unit="path")) == []


def test_numbers_are_cut_into_quarters_with_the_lower_edge_inside():
    slices = cut_slices({"seconds": np.arange(20.0)}, unit_N=np.arange(20))
    assert [(one.value, np.flatnonzero(one.inside_N).tolist()) for one in slices] == [
        ("< 4.75", [0, 1, 2, 3, 4]),
        ("4.75 to 9.5", [5, 6, 7, 8, 9]),
        ("9.5 to 14.2", [10, 11, 12, 13, 14]),
        (">= 14.2", [15, 16, 17, 18, 19]),
    ]


def test_nothing_depends_on_the_order_of_the_samples():
    rng = np.random.default_rng(4)
    count = 60
    scores = rng.normal(size=count)
    names = [str(name) for name in rng.permutation(np.arange(count) % 25)]
    attributes = made_attributes(count, rng)
    scores[attributes["seconds"] == 2.0] -= 2
    order = rng.permutation(count)
    rows = [{"path": f"{i}", "recording": names[i], "psnr": float(scores[i])} for i in range(count)]
    one = describe_slices(rows, attributes, PSNR, unit="recording")
    shuffled = {name: [values[i] for i in order] for name, values in attributes.items()}
    other = describe_slices([rows[i] for i in order], shuffled, PSNR, unit="recording")
    assert one == other and one["worse"]
    assert find_worse([], scores, unit_N=np.arange(count), more_is_better=True) == []
