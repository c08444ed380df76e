"""`videxp check --cost`: steps, hours, energy and money, and what is not known."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import Run, videxp
from tests.shrink import tiny
from videxp.cli import main
from videxp.core.errors import BadRequest
from videxp.core.prices import Prices
from videxp.training.cost import Machine, Work, cost_lines, count_batches, device_memory, read_bench
from videxp.training.memory import StepMemory

RECIPE = "classification/moving_digits"
BENCH = {
    "recipe": RECIPE,
    "device": "NVIDIA H200, bf16-mixed",
    "reading": {"clips": 8},
    "training": {"step": {"median": 36.0}},
    "effort": {"watts": 500.0},
}
WORK = Work(clips=8, devices=1, batches=100_000, memory=StepMemory(1, 1, 1, 4, clips=8))


def trainer(**changes: Any) -> Any:
    plain = {"limit_train_batches": 1.0, "max_epochs": 4, "max_steps": -1, "accumulate_grad_batches": 1}
    return SimpleNamespace(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "batches"),
    [
        ({}, 40),
        ({"limit_train_batches": 0.5}, 20),
        ({"limit_train_batches": 3}, 12),
        ({"max_steps": 7}, 7),
        ({"max_steps": 7, "accumulate_grad_batches": 2, "max_epochs": -1}, 14),
        ({"max_epochs": -1}, None),
    ],
)
def test_steps_are_counted_as_the_trainer_takes_them(changes: dict[str, Any], batches: int | None) -> None:
    assert count_batches(trainer(**changes), 10) == batches


def test_an_hour_of_36_ms_steps_is_100_000_of_them() -> None:
    """At 500 W half a kilowatt-hour."""
    machine = Machine("GPU", step_ms=36.0, watts=500.0)
    assert cost_lines(WORK, machine, Prices()) == ["GPU: 60 min 00 s (36 ms a step)", "0.5 kWh at 500 W (measured)"]
    prices = Prices(price_per_hour=2, price_per_kwh=0.3, grams_per_kwh=400)
    assert cost_lines(WORK, machine, prices, watts=900)[1:] == [  # what a counter measured goes before
        "0.5 kWh at 500 W (measured)",
        "2 for the time",
        "0.15 for the energy",
        "200 g CO2",
    ]
    assert cost_lines(WORK, Machine("GPU", 36.0), Prices(), watts=100)[1] == "0.1 kWh at 100 W (given)"


def test_what_was_neither_measured_nor_given_is_not_known() -> None:
    lines = cost_lines(WORK, Machine("GPU", 36.0), Prices(price_per_kwh=0.3, price_per_hour=1))
    assert lines[1:] == [
        "energy not known: --watts W gives the machine's power",
        "1 for the time",
        "for the energy: not known, since the energy is not",
    ]
    endless = Work(clips=8, devices=1, batches=None, memory=WORK.memory)
    assert "no end" in cost_lines(endless, Machine("GPU", 36.0), Prices())[0]


def test_another_machine_is_known_by_what_its_benchmark_printed(tmp_path: Path) -> None:
    file = tmp_path / "h200.json"
    file.write_text(json.dumps(BENCH))
    assert read_bench(str(file), recipe=RECIPE, clips=8) == Machine("NVIDIA H200, bf16-mixed", 36.0, 500.0)
    with pytest.raises(BadRequest, match=f"it is of {RECIPE} in batches of 8, not of {RECIPE} in batches of 16"):
        read_bench(str(file), recipe=RECIPE, clips=16)
    file.write_text("{}")
    with pytest.raises(BadRequest, match=f"on that machine: videxp bench {RECIPE} --json > "):
        read_bench(str(file), recipe=RECIPE, clips=8)


def test_memory_is_this_machines_or_as_given(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       4194304 kB\n")
    cfg: Any = SimpleNamespace(hardware=SimpleNamespace(accelerator="cpu"))
    assert device_memory(cfg, given_gib=None, meminfo=meminfo) == (2**32, "this machine")
    assert device_memory(cfg, given_gib=80, meminfo=meminfo) == (80 * 2**30, "--memory-gib")
    assert device_memory(cfg, given_gib=None, meminfo=tmp_path / "none") == (None, "this machine")


@pytest.mark.slow
def test_a_recipe_tells_its_memory_and_cost_before_it_is_trained(
    finished: tuple[Path, Run], workplace: Path, listing: Callable[[Path], set[str]]
) -> None:
    """finished: for its data, which are prepared."""
    (workplace / "h200.json").write_text(json.dumps(BENCH))
    before = listing(workplace)
    words = [word for word in tiny() if not word.startswith("hydra.")]
    options = ["--cost", "--hardware", "h200.json", "--price-per-hour", "3600", "--memory-gib", "1"]
    done = videxp("check", RECIPE, *words, *options, cwd=workplace)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert listing(workplace) == before
    assert any(line.startswith("memory") and "at the peak of a step of 8 clips" in line for line in lines)
    assert "fits: 1 % of the 1.00 GiB of --memory-gib" in lines
    assert "training   10 steps of 8 clips; validation, test and start come on top" in lines  # 2 epochs of 40 videos
    assert "cost       NVIDIA H200, bf16-mixed: 0 s (36 ms a step)" in lines
    assert "0.36 for the time" in lines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--watts", "3"], "--watts has no effect without --cost"),
        (["--cost", "--watts", "0"], "argument --watts: 0: a number above 0"),
        (["--cost", "--step-ms", "1", "--hardware", "a.json"], "both tell the time of a step"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate; videxp check --help"),
    ],
)
def test_a_bad_request_is_one_line(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", RECIPE, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("videxp: check: ")
    assert words in error
    assert error.count("\n") == 1
