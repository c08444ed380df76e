"""Energy that a part of a program took, by the computer's own counters: NVIDIA's of a GPU, RAPL's of CPU and memory.

What no counter tells is "not measured", and why: nothing here is an estimate. A counter counts a whole device, with all
else that ran on it meanwhile.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")
MOST_WATTS = 1000.0  # of one CPU package or its memory: how soon a counter may wrap round
LONGEST_WAIT = 60.0  # seconds between two looks
JOULES_PER_KWH = 3.6e6


class Counter(Protocol):
    """A counter of a device's energy."""

    name: str
    wraps_after: float
    """Joules."""

    def joules(self) -> float:
        """Since some moment; rises by what was used since the last call, if that is less than `wraps_after`.

        Raises OSError or ValueError where it tells nothing any more.
        """


class Rapl:
    """A zone of Linux's powercap: `energy_uj`, which begins again at 0 after `max_energy_range_uj`."""

    def __init__(self, zone: Path) -> None:
        """Raises OSError where it may not be read, ValueError where it is no counter."""
        self.name = f"{(zone / 'name').read_text().strip()} (RAPL)"
        self.file = zone / "energy_uj"
        self.range = int((zone / "max_energy_range_uj").read_text())
        self.wraps_after = self.range / 1e6
        self.last, self.total = int(self.file.read_text()), 0

    def joules(self) -> float:
        now = int(self.file.read_text())
        self.total += now - self.last + (self.range if now < self.last else 0)
        self.last = now
        return self.total / 1e6


class Nvml:
    """A GPU's counter, in mJ since its driver was loaded (Volta and later)."""

    wraps_after = float("inf")

    def __init__(self, nvml: Any, handle: Any, *, name: str) -> None:
        """Raises nvml.NVMLError where the GPU has none."""
        self.nvml, self.handle, self.name = nvml, handle, f"{name} (NVML)"
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    def joules(self) -> float:
        try:
            return self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) / 1e3
        except self.nvml.NVMLError as error:  # a GPU that was lost
            raise OSError(str(error)) from error


@dataclass
class Counters:
    """Those that could be found, and why others could not."""

    found: list[Counter] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def find_counters(gpus: Sequence[int] = (), *, powercap: Path = POWERCAP) -> Counters:
    """Those of this computer's CPUs, and of the GPUs that CUDA numbers so."""
    counters = Counters()
    _find_rapl(counters, powercap)
    if gpus:
        _find_nvml(counters, gpus)
    return counters


def _find_rapl(counters: Counters, powercap: Path) -> None:
    """Packages, and the memory beside them. Cores lie within a package, and `psys` holds all that are counted."""
    zones = [zone for zone in sorted(powercap.glob("intel-rapl:*")) if _name(zone).startswith(("package", "dram"))]
    if not zones:
        counters.missing.append(f"CPU: no RAPL counter in {powercap}")
    for zone in zones:
        try:
            counters.found.append(Rapl(zone))
        except PermissionError:
            counters.missing.append(f"CPU: {zone / 'energy_uj'} may be read by root alone")
        except (OSError, ValueError) as error:
            counters.missing.append(f"CPU: {zone}: {error}")


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text()
    except OSError:
        return ""


def _find_nvml(counters: Counters, gpus: Sequence[int]) -> None:
    try:
        import pynvml
    except ImportError:
        counters.missing.append("GPU: nvidia-ml-py is not installed: pip install 'videxp[energy]'")
        return
    import torch

    try:
        pynvml.nvmlInit()
        for gpu in gpus:
            known = torch.cuda.get_device_properties(gpu)  # by its UUID: CUDA_VISIBLE_DEVICES numbers others than NVML
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{known.uuid}")
            counters.found.append(Nvml(pynvml, handle, name=known.name))
    except pynvml.NVMLError as error:
        counters.missing.append(f"GPU: {error}")


@dataclass(frozen=True)
class Energy:
    """What was used, by counter; `why_not` says of what is missing."""

    joules: dict[str, float]
    why_not: list[str]

    @property
    def total(self) -> float | None:
        """None where nothing was measured."""
        return sum(self.joules.values()) if self.joules else None


class EnergyMeter:
    """`with EnergyMeter(find_counters()) as meter: ...; meter.read()` -> `Energy` since the block began.

    Meanwhile a thread looks at the counters, often enough to see each time that one wraps round. One that tells nothing
    any more is not measured, and why: no training ends for want of it.
    """

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        soonest = min((counter.wraps_after for counter in counters.found), default=float("inf"))
        self.wait = min(LONGEST_WAIT, soonest / MOST_WATTS / 2)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._began: list[float] = []
        self._lost: list[str] = []
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "EnergyMeter":
        self._began, self._lost = self._look()
        if self.counters.found:
            self._thread = threading.Thread(target=self._keep_looking, name="energy", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def read(self) -> Energy:
        now, lost = self._look()
        joules = [ended - began for ended, began in zip(now, self._began, strict=True)]
        names = [counter.name for counter in self.counters.found]
        of = {f"{name} #{i}" if names.count(name) > 1 else name: j for i, (name, j) in enumerate(zip(names, joules))}
        known = {name: value for name, value in of.items() if not math.isnan(value)}
        return Energy(known, [*self.counters.missing, *dict.fromkeys([*self._lost, *lost])])

    def _look(self) -> tuple[list[float], list[str]]:
        """(joules of each counter, NaN of one that tells nothing any more, why it does not)."""
        joules, lost = [], []
        with self._lock:
            for counter in self.counters.found:
                try:
                    joules.append(counter.joules())
                except (OSError, ValueError) as error:
                    joules.append(math.nan)
                    lost.append(f"{counter.name}: {error}")
        return joules, lost

    def _keep_looking(self) -> None:
        while not self._ended.wait(self.wait):
            self._look()


def measure_energy(call: Callable[[], Any], counters: Counters) -> tuple[Any, Energy]:
    """(what the call gives, the energy of the computer meanwhile)."""
    with EnergyMeter(counters) as meter:
        result = call()
        return result, meter.read()
