"""Energy: counters that wrap round, those that lie within one another, and none at all."""

import builtins
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from videxp.core.energy import Counters, Energy, EnergyMeter, Nvml, Rapl, find_counters


def zone(folder: Path, place: str, name: str, *, microjoules: int, most: int = 262_143_328_850) -> Path:
    """A zone as Linux's powercap shows it."""
    path = folder / place
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    return path


def test_a_counter_that_wraps_round_goes_on(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", microjoules=9_000_000, most=10_000_000)
    counter = Rapl(package)
    seen = []
    for now in (9_500_000, 250_000, 9_999_999, 500_000):
        (package / "energy_uj").write_text(f"{now}\n")
        seen.append(counter.joules())
    assert seen == pytest.approx([0.5, 1.25, 10.999999, 11.5])
    assert 0.5 - 9.0 < 0  # what the difference of first and last would say of 11.5 J


def test_packages_and_their_memory_are_summed_and_nothing_twice(tmp_path: Path) -> None:
    names = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "psys"}
    zones = [zone(tmp_path, place, name, microjoules=0) for place, name in names.items()]
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", microjoules=0)  # the same package by another way
    with EnergyMeter(find_counters(powercap=tmp_path)) as meter:
        for path in zones:
            (path / "energy_uj").write_text("2000000")
        found = meter.read()
    assert found == Energy({"package-0 (RAPL)": 2.0, "dram (RAPL)": 2.0}, [])
    assert found.total == 4.0


def test_two_sockets_memories_have_one_name_and_are_told_apart(tmp_path: Path) -> None:
    for i in range(2):
        zone(tmp_path, f"intel-rapl:{i}:0", "dram", microjoules=0)
    with EnergyMeter(find_counters(powercap=tmp_path)) as meter:
        assert list(meter.read().joules) == ["dram (RAPL) #0", "dram (RAPL) #1"]


@pytest.mark.slow
def test_each_wrap_is_seen_though_nobody_asks_meanwhile(tmp_path: Path) -> None:
    """A counter of 0.02 J may wrap round each 20 microseconds at 1000 W: here it does so twice in the time."""
    package = zone(tmp_path, "intel-rapl:0", "package-0", microjoules=0, most=20_000)
    with EnergyMeter(find_counters(powercap=tmp_path)) as meter:
        assert meter.wait == pytest.approx(1e-5)
        total = 0
        for step in (15_000, 15_000, 15_000):
            total += step
            (package / "energy_uj").write_text(str(total % 20_000))
            time.sleep(0.25)
        assert meter.read().total == pytest.approx(0.045)
        assert total % 20_000 == 5_000  # which is all that the ends of the block would show
    ordinary = Counters([Rapl(zone(tmp_path / "other", "intel-rapl:0", "package-0", microjoules=0))])
    assert EnergyMeter(ordinary).wait == 60  # of 262 kJ


def test_a_counter_that_is_lost_meanwhile_is_not_measured_and_the_others_are(tmp_path: Path) -> None:
    lost, kept = (zone(tmp_path, f"intel-rapl:{i}", f"package-{i}", microjoules=0) for i in range(2))
    with EnergyMeter(find_counters(powercap=tmp_path)) as meter:
        (lost / "energy_uj").unlink()
        (kept / "energy_uj").write_text("3000000")
        found = meter.read()
    assert found.joules == {"package-1 (RAPL)": 3.0}
    (why,) = found.why_not
    assert why.startswith("package-0 (RAPL): ")
    assert str(lost / "energy_uj") in why


def test_a_gpu_that_is_lost_meanwhile_is_not_measured() -> None:
    """As NVML says it, by its own error."""
    import pynvml

    class Lost:
        NVMLError = pynvml.NVMLError
        answers: ClassVar[list[int]] = [5000, 5000]

        def nvmlDeviceGetTotalEnergyConsumption(self, _: Any) -> int:
            if not self.answers:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
            return self.answers.pop()

    with EnergyMeter(Counters([Nvml(Lost(), None, name="H200")])) as meter:
        found = meter.read()
    assert found.joules == {}
    assert found.why_not == ["H200 (NVML): GPU is lost"]


def test_without_a_counter_energy_is_not_measured_and_why(tmp_path: Path) -> None:
    with EnergyMeter(find_counters(powercap=tmp_path)) as meter:
        found = meter.read()
    assert found.total is None
    assert found.why_not == [f"CPU: no RAPL counter in {tmp_path}"]


def test_a_counter_that_only_root_may_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", microjoules=0)
    read = Path.read_text

    def refuse(path: Path, *rest: Any, **more: Any) -> str:  # for root, who runs tests in containers, no mode does
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *rest, **more)

    monkeypatch.setattr(Path, "read_text", refuse)
    found = find_counters(powercap=tmp_path)
    assert found.found == []
    assert found.missing == [f"CPU: {package / 'energy_uj'} may be read by root alone"]


def test_without_nvidias_binding_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pynvml":
            raise ImportError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    found = find_counters([0], powercap=tmp_path)
    assert found.missing[-1] == "GPU: nvidia-ml-py is not installed: pip install 'videxp[energy]'"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: what is said without its driver is not checked")
def test_without_a_driver_nvml_says_so(tmp_path: Path) -> None:
    assert find_counters([0], powercap=tmp_path).missing[-1].startswith("GPU: NVML")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here: that its energy is measured is not checked")
def test_a_gpus_counter_rises_with_what_it_computes() -> None:
    counters = find_counters([0])
    (counter,) = [one for one in counters.found if isinstance(one, Nvml)]
    value = torch.rand(4096, 4096, device="cuda")
    with EnergyMeter(counters) as meter:
        ends = time.monotonic() + 1
        while time.monotonic() < ends:
            value = (value @ value).sigmoid()
            torch.cuda.synchronize()
        joules = meter.read().joules[counter.name]
    assert 10 < joules < 3000  # of a second
