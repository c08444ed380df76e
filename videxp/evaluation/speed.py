"""Speed of a trained network, and what it costs: by itself, and from file to answer.

Times are those of this computer at this load; whoever wants a ratio times both in one run (`core.timing`). A computer
that was busy gives no times: wall time over CPU time tells, and `--accept-busy` records them marked so.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal

from videxp.core.contract import Contract
from videxp.core.files import replacing
from videxp.core.options import Options, positive
from videxp.core.prices import add_price_arguments
from videxp.core.printable import aligned
from videxp.evaluation.measuring.costs import cost_lines

if TYPE_CHECKING:
    from videxp.evaluation.subject import Subject

SECONDS = 5.0
MIB = 2**20
BETTER: Mapping[str, Literal["max", "min"]] = {"speed/latency_ms": "min", "speed/clips_per_second": "max"}


def add_arguments(parser: Options) -> None:
    parser.add_argument(
        "--seconds",
        type=positive,
        default=SECONDS,
        metavar="S",
        help=f"time each thing for at most so long; it ends when it is steady (default {SECONDS:g})",
    )
    parser.add_argument(
        "--beside",
        type=parse_names,
        default=[],
        metavar="RUN2,FILE",
        help="time other runs and exported files in turn with this run, one clip on one thread of the CPU",
    )
    parser.add_argument("--accept-busy", action="store_true", help="record times of a busy computer, marked so")
    add_price_arguments(parser)


def parse_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def require_options(options: argparse.Namespace, subject: "Subject") -> None:
    """Whatever its options say can be measured."""


def measure(subject: "Subject", options: argparse.Namespace) -> dict[str, Any]:
    """All but `beside`, which takes other runs and files: the command adds it."""
    from videxp.evaluation.measuring.times import measure_speed

    return measure_speed(subject, options)


# ---- in words and pictures -------------------------------------------------------------------------------------------


def lines(section: Mapping[str, Any], contract: Contract) -> list[str]:
    """The table for the terminal."""
    clip, on, memory = section["clip"], section["conditions"], section["memory"]
    size = f"{clip['frames']} x {clip['height']} x {clip['width']}, {clip['seconds']:.3g} s of video"
    weight = f"{section['parameters'] / 1e6:,.3g} M parameters, {mib(section['bytes'])}, {section['gmacs']:,.3g} GMACs"
    load = " ".join(f"{value:g}" for value in on["load_average"])
    head = [
        f"{on['device']}; load {load}",
        f"{on['threads']} thread{'s' * (on['threads'] != 1)}, {on['precision']}, {on['layout']}",
        f"a clip is {size}; {weight}",
        f"peak memory {mib(memory['peak_bytes'])}, {mib(memory['before_bytes'])} before the first clip",
        *(f"left out: {path}: {cause}" for path, cause in section["left_out"].items()),
    ]
    beside = beside_lines(section["beside"]) if "beside" in section else []
    if "not_recorded" in section:
        return [*wrapped([*head, f"no times: {section['not_recorded']}"]), *beside]
    throughput, energy = section["throughput"], section["energy"]
    tail = [f"first call {section['first_call_ms']:.4g} ms; {throughput['stopped']}"]
    tail += cost_lines(section["per_1000_clips"])
    if "joules_per_clip" in energy:
        joules = f"{energy['joules_per_clip']:.4g} J per clip, {energy['joules_per_clip_in_batches']:.4g} in batches"
        tail.append(f"energy: {joules} ({', '.join(energy['of'])})")
    tail += [f"energy not measured: {energy['not_measured']}"] if "not_measured" in energy else []
    tail += [f"marked: {section['busy']}"] if "busy" in section else []
    return [*wrapped(head), "", *times_table(section), "", *wrapped(tail), *beside]


def beside_lines(beside: Mapping[str, Any]) -> list[str]:
    """How many times faster than the run others are, by the clock and by CPU time, each with its quartiles."""
    rows: list[tuple[str, ...]] = [("in turn, one thread", "ms", "times faster", "", "by CPU time", "")]
    for name, one in beside["times"].items():
        faster = [
            text
            for key in ("faster", "faster_cpu")
            for text in (f"{one[key]:.2f}", "({:.2f}-{:.2f})".format(*one[f"{key}_quartiles"]))
        ]
        rows.append((Path(name).name, f"{one['ms']:.3g}", *faster))
    clips = ", ".join(f"{name} {' x '.join(map(str, shape[1:]))}" for name, shape in beside["clip"].items())
    rounds = next(iter(beside["times"].values()))["rounds"]
    told = f"one clip ({clips}), preparation included; medians and quartiles of {rounds} rounds"
    return ["", *aligned(rows, right={1, 2, 4}), *wrapped([told])]


def wrapped(texts: list[str]) -> list[str]:
    """As lines of a terminal; what goes on is indented."""
    return [line for text in texts for line in wrap(text, 80, subsequent_indent="  ", break_on_hyphens=False)]


def times_table(section: Mapping[str, Any]) -> list[str]:
    """Milliseconds of a call, and clips or files in a second."""
    network, best, whole = section["network"], section["throughput"], section["end_to_end"]
    columns = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "mean_ms")
    rows: list[tuple[str, ...]] = [("", "p50 ms", "p90", "p95", "p99", "mean", "per second", "x real time")]
    parts = [("network, 1 clip", network, "clips_per_second")]
    parts += [(f"network, {best['batch']} clips", best, "clips_per_second")] if best["batch"] > 1 else []
    parts += [("file to answer", whole, "files_per_second")] if "does_not_apply" not in whole else []
    for name, part, rate in parts:
        times = [f"{part[column]:.4g}" for column in columns]
        rows.append(
            (f"{name}{'' if part['steady'] else ' *'}", *times, f"{part[rate]:.4g}", f"{part['real_time_factor']:.3g}")
        )
    table = aligned(rows, right=set(range(1, len(rows[0]))))
    if not all(part["steady"] for _, part, _ in parts):
        table.append(f"* not steady within {section['conditions']['seconds']:g} s: --seconds gives it longer")
    return [*table, *([f"file to answer: {whole['does_not_apply']}"] if "does_not_apply" in whole else [])]


def scalars(section: Mapping[str, Any]) -> dict[str, float]:
    """What a logger and the compare page get: the median latency of one clip, and the clips/s of the best batch."""
    found = {
        "gmacs": section["gmacs"],
        "size_mib": round(section["bytes"] / MIB, 4),
        "peak_memory_mib": round(section["memory"]["peak_bytes"] / MIB, 1),
    }
    if "not_recorded" not in section:
        found["latency_ms"] = section["network"]["p50_ms"]
        found["clips_per_second"] = section["throughput"]["clips_per_second"]
        for name, part, key in (
            ("end_to_end_ms", "end_to_end", "p50_ms"),
            ("real_time_factor", "end_to_end", "real_time_factor"),
            ("joules_per_clip", "energy", "joules_per_clip"),
        ):
            found |= {name: section[part][key]} if key in section[part] else {}
    return {f"speed/{name}": float(value) for name, value in found.items()}


def save_pictures(section: Mapping[str, Any], folder: Path) -> list[Path]:
    """Clips in a second against the size of the batch."""
    if "not_recorded" in section or len(section["throughput"]["tried"]) < 2:
        return []
    from matplotlib.figure import Figure

    tried = section["throughput"]["tried"]
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([int(batch) for batch in tried], list(tried.values()), marker="o")
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="clips in a batch", ylabel="clips per second")
    axes.set_xticks([int(batch) for batch in tried], [*tried])
    axes.set_title(section["conditions"]["device"], fontsize=9)
    axes.grid(alpha=0.3)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "speed.png"
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return [path]


def mib(count: int) -> str:
    """`12.3 MiB`."""
    return f"{count / MIB:,.1f} MiB"
