"""The axis of speed: what is measured of a run, what a busy computer gives, and how a batch is chosen."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Trainer

from tests.conftest import Run, videxp
from tests.data.test_quarantine import damage
from tests.films import Put, module
from tests.shrink import tiny
from videxp import config
from videxp.core.contract import Contract
from videxp.core.energy import Energy
from videxp.core.errors import VidexpError
from videxp.core.prices import Prices
from videxp.core.timing import CallTimes, Timing
from videxp.data import FolderPerClass
from videxp.evaluation import speed
from videxp.evaluation.measuring import fresh
from videxp.evaluation.measuring.batches import Measured, free_bytes, search_batches
from videxp.evaluation.measuring.costs import cost_lines, costs_of_clips
from videxp.evaluation.measuring.fresh import Fresh
from videxp.evaluation.measuring.runner import FilesInTurn, Runner
from videxp.evaluation.measuring.times import busy_text, clip_facts, measure_speed, measure_times, network_facts
from videxp.training.assembling import build_task

QUICK = ("--on", "speed", "--accept-busy", "--seconds", "0.2")


def measured(batch: int, seconds: float, *, joules: float | None = None, calls: int = 8) -> Measured:
    """Of calls that take so long."""
    timing = Timing(calls=[CallTimes(seconds, seconds, seconds)] * calls, warmup=[], is_steady=True)
    energy = Energy({} if joules is None else {"package-0 (RAPL)": joules}, ["GPU: none"] if joules is None else [])
    return Measured(batch, timing, energy)


# ---- a run -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_has_its_speed_in_its_evaluation_and_its_table_fits_a_terminal(finished: tuple[Path, Run]) -> None:
    run, _ = finished
    done = videxp("evaluate", str(run), *QUICK, "--grams-per-kwh", "100", "--price-per-hour", "3.6", cwd=run.parent)
    assert done.returncode == 0, done.stderr
    found = json.loads((run / "evaluation.json").read_text())["speed"]
    network, best, whole = found["network"], found["throughput"], found["end_to_end"]
    for part in (network, best, whole):
        assert 0 < part["p50_ms"] <= part["p90_ms"] <= part["p95_ms"] <= part["p99_ms"]
        assert part["calls"] >= 1
    assert network["batch"] == 1
    assert best["clips_per_second"] == max(best["tried"].values())
    assert found["clip"] == {"frames": 4, "height": 40, "width": 40, "fps": 12, "seconds": 0.3333}
    assert network["frames_per_second"] == pytest.approx(4 * network["clips_per_second"], rel=1e-3)
    assert network["real_time_factor"] == pytest.approx(4 / 12 * network["clips_per_second"], rel=1e-3)
    assert network["held_fps"] == pytest.approx(4 / network["p95_ms"] * 1e3, rel=1e-3)
    assert whole["real_time_factor"] == pytest.approx(4 / 12 * whole["files_per_second"], rel=1e-3)
    assert found["memory"]["peak_bytes"] >= found["memory"]["before_bytes"] > 50 * 2**20
    assert found["first_call_ms"] > 0
    on = found["conditions"]
    assert (on["threads"], on["precision"], on["layout"], on["seconds"]) == (1, "32-true", "channels last", 0.2)
    assert len(on["load_average"]) == 3
    assert on["wall_over_cpu"] > 0
    costs = found["per_1000_clips"]
    assert costs["price_of_time"] == pytest.approx(costs["seconds"] * 0.001, abs=1e-5)
    assert set(found["scalars"]) >= {"speed/latency_ms", "speed/clips_per_second", "speed/gmacs", "speed/size_mib"}
    table = [line for line in done.stdout.splitlines() if str(run) not in line]
    assert max(map(len, table)) <= 80, max(table, key=len)
    assert (run / "samples/speed.png").stat().st_size > 1000


def test_what_goes_wrong_in_the_other_process_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "PROGRAM", "raise SystemExit('no.ckpt: it is damaged')")
    with pytest.raises(VidexpError, match=r"first call and the memory failed: no\.ckpt: it is damaged"):
        fresh.measure_fresh(
            OmegaConf.create(), tmp_path / "no.ckpt", {}, device=torch.device("cpu"), precision="32-true"
        )


@pytest.mark.parametrize("recipe", ["generation/moving_digits", "super_resolution/sample_clips", "scenes/scene_films"])
@pytest.mark.slow
def test_every_kind_of_task_has_times(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = config.compose(recipe, tiny("logger=csv", "hardware.cache_dir=cache", recipe=recipe, cwd=tmp_path)).cfg
    data = config.build(cfg.dataset)
    data.prepare()
    data.setup("test")
    device = torch.device("cpu")
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = Trainer(accelerator="cpu", devices=1, **quiet)
    task = build_task(cfg, classes=data.classes)
    runner = Runner.of(task, trainer, device)
    one = task.one_clip(data.transformed(data.read("test", [0]), "test", device=device))
    clip = clip_facts(runner, one, fps=data.dataset("test").typical_clip_fps)
    subject: Any = SimpleNamespace(task=task, datamodule=data, device=device, trainer=trainer)
    times = measure_times(runner, one, subject, fresh=Fresh(1.0, 2, 1), options=options(), clip=clip)
    facts = network_facts(runner, one)
    assert facts["gmacs"] == pytest.approx(task.work_of_one_clip(num_frames=clip["frames"], size=clip["height"]))
    assert times["network"]["clips_per_second"] > 0
    if task.contract.makes_clips:
        assert (clip["frames"], clip["height"]) == (4, 32)
        assert times["end_to_end"]["does_not_apply"].startswith("it makes clips of nothing")
    else:
        assert times["end_to_end"]["files_per_second"] > 0
        assert times["end_to_end"]["real_time_factor"] > 0
    if recipe.startswith("scenes"):  # one window; its films are longer
        assert clip["frames"] < data.read("test", [0])["clip"].shape[1]


def options(**changes: Any) -> argparse.Namespace:
    """As the command line gives them."""
    parser = argparse.ArgumentParser()
    speed.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args(["--seconds", "0.05"])), **changes})


def test_a_file_that_cannot_be_read_is_passed_over_from_file_to_answer(put: Put, tmp_path: Path) -> None:
    for name in ("train/run/a", "val/run/b", *(f"test/run/{i}" for i in range(10))):
        put(f"{name}.mp4")
    data = module(tmp_path, FolderPerClass(), max_unreadable=1)
    data.prepare()
    damage(tmp_path / "root/test/run/0.mp4")
    asked: list[int] = []
    runner: Any = SimpleNamespace(answer_file=lambda _, index: asked.append(index))
    files = FilesInTurn(runner, data)
    for _ in range(9):
        files()
    assert asked == [1, 2, 3, 4, 5, 6, 7, 8, 1]
    assert files.count == 8


# ---- a busy computer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "refused"), [(0.98, False), (1.2, False), (1.21, True), (3.0, True)])
def test_a_computer_is_busy_from_a_fifth_more_wall_time_than_cpu_time(ratio: float, refused: bool) -> None:
    assert bool(busy_text(ratio, load=6.5)) == refused
    if refused:
        assert busy_text(ratio, load=6.5).startswith(f"the machine was busy (wall time {ratio:.2f} x CPU time, load")


@pytest.mark.parametrize("accept", [False, True])
def test_times_of_a_busy_computer_are_not_recorded_unless_accepted_and_then_marked(
    accept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no load changes is recorded either way."""
    times = "videxp.evaluation.measuring.times."
    monkeypatch.setattr(f"{times}measure_fresh", lambda *_, **__: Fresh(12.0, 3 * 2**20, 2**20))
    monkeypatch.setattr(f"{times}network_facts", lambda *_: {"parameters": 9, "bytes": 36, "gmacs": 0.5})
    monkeypatch.setattr(f"{times}measure_times", lambda *_, **__: {**TIMES, "wall_over_cpu": 1.7})
    section = measure_speed(a_subject(), options(accept_busy=accept))
    assert section["memory"] == {"peak_bytes": 3 * 2**20, "before_bytes": 2**20}
    assert (section["gmacs"], section["conditions"]["wall_over_cpu"]) == (0.5, 1.7)
    shown = "\n".join(speed.lines(section, Contract()))
    assert "left out: test/run/0.mp4: it is damaged" in shown
    scalars = speed.scalars(section)
    assert scalars["speed/peak_memory_mib"] == 3
    if accept:
        assert section["network"] == TIMES["network"]
        assert section["busy"].startswith("the machine was busy (wall time 1.70 x CPU time")
        assert "marked: the machine was busy" in shown
        assert scalars["speed/latency_ms"] == 2.0
    else:
        assert "network" not in section
        assert "no times: the machine was busy" in shown
        assert max(map(len, shown.splitlines())) <= 80
        assert section["not_recorded"].endswith("run again when it is idle, or with --accept-busy")
        assert "speed/latency_ms" not in scalars
        assert speed.save_pictures(section, Path("/nowhere")) == []


PART = {
    "p50_ms": 2.0,
    "p90_ms": 2,
    "p95_ms": 2,
    "p99_ms": 2,
    "mean_ms": 2,
    "calls": 8,
    "warmup_calls": 0,
    "steady": True,
}
RATES = {"clips_per_second": 500, "frames_per_second": 2000, "real_time_factor": 5, "held_fps": 2000}
TIMES: dict[str, Any] = {
    "first_call_ms": 12.0,
    "network": {"batch": 1, **PART, **RATES},
    "throughput": {"batch": 1, **PART, **RATES, "tried": {"1": 500}, "stopped": "a larger batch gives no more"},
    "end_to_end": {"does_not_apply": "it makes clips of nothing: there is no file to decode"},
    "energy": {"not_measured": "CPU: no RAPL counter in /sys/class/powercap"},
    "per_1000_clips": {"seconds": 2.0},
}


def a_subject() -> Any:
    class OneClip:
        contract = Contract()

        def one_clip(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return batch

        def to(self, device: torch.device) -> "OneClip":
            return self

        def eval(self) -> "OneClip":
            return self

    plugin = SimpleNamespace(convert_module=lambda task: task, test_step_context=None)
    data = SimpleNamespace(
        read=lambda *_: None,
        readable=lambda *_, **__: [0],
        quarantine=SimpleNamespace(causes={"test/run/0.mp4": "it is damaged"}),
        transformed=lambda *_, **__: {"video": torch.zeros(1, 4, 3, 8, 8)},
        dataset=lambda _: SimpleNamespace(typical_clip_fps=8.0),
    )
    return SimpleNamespace(
        **{"task": OneClip(), "datamodule": data, "device": torch.device("cpu"), "cfg": None, "checkpoint": None},
        trainer=SimpleNamespace(precision_plugin=plugin, precision="32-true"),
        weights="1a2b",
        samples=SimpleNamespace(fingerprint="3c4d"),
    )


# ---- the batch of the best throughput --------------------------------------------------------------------------------


def search(times: Callable[[int], float], *, seconds: float = 100.0, clip: int = 1, room: int | None = None) -> Any:
    return search_batches(
        lambda batch: measured(batch, times(batch)), measured(1, times(1)), seconds=seconds, clip_bytes=clip, room=room
    )


def test_batches_are_doubled_until_the_clips_in_a_second_grow_no_more() -> None:
    found = search(lambda batch: 1 + 0.1 * batch, seconds=1000)  # 0.91, 1.67, ..., 9.28, 9.62, 9.81 clips/s
    assert [one.batch for one in found.tried] == [2**i for i in range(10)]  # of 512 clips it was 2 % more
    found = search(lambda batch: max(1.0, batch / 4))  # four fit side by side
    assert [one.batch for one in found.tried] == [1, 2, 4, 8]
    assert (found.best.batch, found.stopped) == (4, "a larger batch gives no more")
    assert found.best.clips_per_second == 4


def test_a_batch_that_time_or_memory_would_not_do_is_not_tried() -> None:
    assert search(float, seconds=3).stopped == "2 clips would take longer than the time given"
    found = search(lambda _: 1.0, clip=100, room=1000)
    assert (found.best.batch, found.stopped) == (4, "8 clips would take more than half of the free memory")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), MemoryError()])
def test_out_of_memory_ends_the_search_and_any_other_error_is_one(error: Exception) -> None:
    def times(batch: int, error: Exception = error) -> float:
        if batch == 4:
            raise error
        return 1.0

    found = search(times)
    assert (found.best.batch, found.stopped) == (2, "4 clips do not fit in memory")
    with pytest.raises(RuntimeError, match="shapes"):
        search(lambda batch: times(batch, RuntimeError("shapes do not fit")))


def test_free_memory_is_read_where_the_system_tells(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16000 kB\nMemAvailable:    9000 kB\n")
    assert free_bytes(torch.device("cpu"), meminfo) == 9000 * 1024
    assert free_bytes(torch.device("cpu"), tmp_path / "none") is None


# ---- what it costs ---------------------------------------------------------------------------------------------------


def test_costs_follow_from_measured_energy_and_given_prices_alone() -> None:
    """8 calls of 4 clips took 16 J: half a joule for a clip, 500 J for 1000 of them."""
    best = measured(4, 0.5, joules=16.0)
    assert best.joules_per_clip == 0.5
    costs = costs_of_clips(best, prices=Prices(grams_per_kwh=400, price_per_kwh=0.3, price_per_hour=36))
    assert costs["kwh"] == pytest.approx(500 / 3.6e6)
    assert costs["grams_co2"] == pytest.approx(500 / 3.6e6 * 400, abs=1e-6)
    assert costs["price_of_energy"] == pytest.approx(500 / 3.6e6 * 0.3, abs=1e-6)
    assert (costs["seconds"], costs["price_of_time"]) == (125, 1.25)


def test_without_a_counter_nothing_is_said_of_grams_and_without_a_price_nothing_of_money() -> None:
    unknown = costs_of_clips(
        measured(4, 0.5), prices=Prices(grams_per_kwh=400, price_per_kwh=None, price_per_hour=None)
    )
    assert unknown == {"seconds": 125, "grams_co2": "not known: energy was not measured"}
    assert cost_lines(unknown) == ["1000 clips in batches: 125 s", "g CO2: not known: energy was not measured"]
    known = costs_of_clips(measured(4, 0.5, joules=16), prices=Prices(None, None, None))
    assert cost_lines(known) == ["1000 clips in batches: 125 s, 0.0001389 kWh"]


@pytest.mark.parametrize("words", [("--seconds", "0"), ("--price-per-hour", "-1"), ("--seconds", "nan")])
def test_an_impossible_number_is_refused(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    speed.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(list(words))
    assert f"argument {words[0]}: {words[1]}: a number" in capsys.readouterr().err
