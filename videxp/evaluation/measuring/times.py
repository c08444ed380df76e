"""Everything that the axis of speed measures, as the section of evaluation.json."""

import argparse
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from videxp.core.energy import find_counters
from videxp.core.prices import Prices
from videxp.core.processes import available_cores
from videxp.core.timing import IDLE_UNTIL, STEADY, Timing, time_in_turn
from videxp.evaluation.measuring.batches import BatchSearch, Measured, free_bytes, measure_batch, search_batches
from videxp.evaluation.measuring.costs import costs_of_clips
from videxp.evaluation.measuring.fresh import Fresh, measure_fresh
from videxp.evaluation.measuring.runner import FilesInTurn, Runner
from videxp.evaluation.subject import Subject
from videxp.models.summary import count_parameters, gmacs_of_call
from videxp.runs.environment import cpu_model

BATCH_SHARE = 0.5  # of the seconds, for each size of batch beyond 1


def measure_speed(subject: Subject, options: argparse.Namespace) -> dict[str, Any]:
    task, data = subject.task, subject.datamodule
    runner = Runner.of(task, subject.trainer, subject.device)
    batch = data.transformed(data.read("test", data.readable("test", count=1)), "test", device=subject.device)
    one = task.one_clip(batch)
    clip = clip_facts(runner, one, fps=data.dataset("test").typical_clip_fps)
    fresh = measure_fresh(
        subject.cfg, subject.checkpoint, one, device=subject.device, precision=str(subject.trainer.precision)
    )
    facts: dict[str, Any] = {
        "weights": subject.weights,
        "samples": subject.samples.fingerprint,
        "conditions": conditions(subject, one, seconds=options.seconds),
        "clip": clip,
        **network_facts(runner, one),
        "memory": {"peak_bytes": fresh.peak_bytes, "before_bytes": fresh.before_bytes},
    }
    timed = measure_times(runner, one, subject, fresh=fresh, options=options, clip=clip)
    ratio = timed.pop("wall_over_cpu")
    load = [round(load, 2) for load in os.getloadavg()]
    facts["conditions"] |= {"wall_over_cpu": ratio, "load_average": load}
    facts["left_out"] = dict(data.quarantine.causes)
    busy = busy_text(ratio, load=load[0])
    if busy and not options.accept_busy:
        return facts | {"not_recorded": f"{busy}: run again when it is idle, or with --accept-busy"}
    return facts | timed | ({"busy": busy} if busy else {})


def clip_facts(runner: Runner, one: Mapping[str, Tensor], *, fps: float) -> dict[str, Any]:
    """What one clip is: as the network gets it or, of a network that makes clips, as it makes them."""
    makes = runner.task.contract.makes_clips
    video = runner.answer(one) if makes else one["video"]
    frames, _, height, width = video.shape[1:]
    return {"frames": frames, "height": height, "width": width, "fps": round(fps, 4), "seconds": round(frames / fps, 4)}


def network_facts(runner: Runner, one: Mapping[str, Tensor]) -> dict[str, Any]:
    """Parameters, bytes of parameters and buffers, and billions of multiply-accumulates of one clip."""
    task, network = runner.task, runner.task.deployed
    if task.contract.makes_clips:
        work = task.work_of_one_clip(num_frames=one["video"].shape[1], size=one["video"].shape[-1])
    else:
        on_meta = {name: value.to("meta") for name, value in one.items()}
        work = gmacs_of_call(network, *task.network_inputs(on_meta))
    stored = [*network.parameters(), *network.buffers()]
    return {
        "parameters": count_parameters(network),
        "bytes": sum(value.numel() * value.element_size() for value in stored),
        "gmacs": work,
    }


def conditions(subject: Subject, one: Mapping[str, Tensor], *, seconds: float) -> dict[str, Any]:
    """What the times depend on beside the network."""
    device = subject.device
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else f"{cpu_model()}, {available_cores()} cores",
        "threads": torch.get_num_threads(),
        "precision": str(subject.trainer.precision),
        "layout": "channels last" if one["video"].ndim == 5 and one["video"].stride(2) == 1 else "contiguous",
        "torch": torch.__version__,
        "seconds": seconds,
        "rule": STEADY,
    }


# ---- times -----------------------------------------------------------------------------------------------------------


def measure_times(
    runner: Runner,
    one: Mapping[str, Tensor],
    subject: Subject,
    *,
    fresh: Fresh,
    options: argparse.Namespace,
    clip: Mapping[str, Any],
) -> dict[str, Any]:
    """All that a clock tells. `wall_over_cpu` is the largest of all parts."""
    device, seconds, threads = subject.device, options.seconds, torch.get_num_threads()
    counters = find_counters([device.index or 0] if device.type == "cuda" else [])
    measured = partial(measure_batch, runner.answer, one, finish=runner.finish, counters=counters)
    first = measured(1, seconds=seconds)
    search = search_batches(
        partial(measured, seconds=BATCH_SHARE * seconds),
        first,
        seconds=BATCH_SHARE * seconds,
        clip_bytes=max(1, fresh.peak_bytes - fresh.before_bytes),
        room=free_bytes(device),
    )
    ratios = [one.timing.wall_over_cpu(threads=threads) for one in (first, search.best)]
    if subject.task.contract.makes_clips:
        from_file: dict[str, Any] = {"does_not_apply": "it makes clips of nothing: there is no file to decode"}
    else:
        files = FilesInTurn(runner, subject.datamodule)
        files()
        whole = time_in_turn({"": files}, seconds=seconds, finish=runner.finish)[""]
        # Decoding waits for threads of its own: at any time one of all threads is at work.
        ratios.append(whole.wall_over_cpu(threads=1))
        from_file = end_to_end_times(whole, files)
    return {
        "first_call_ms": fresh.first_call_ms,
        "network": network_times(first, clip),
        "throughput": {**network_times(search.best, clip), **search_facts(search)},
        "end_to_end": from_file,
        "energy": energy_facts(first, search.best),
        "per_1000_clips": costs_of_clips(search.best, prices=Prices.of(options)),
        "wall_over_cpu": round(max(ratios), 3),
    }


def timing_facts(timing: Timing) -> dict[str, Any]:
    """Milliseconds of a call."""
    return {
        "mean_ms": round(1e3 * timing.mean, 4),
        **{f"{name}_ms": round(1e3 * value, 4) for name, value in timing.percentiles().items()},
        "calls": len(timing.calls),
        "warmup_calls": len(timing.warmup),
        "steady": timing.is_steady,
    }


def network_times(measured: Measured, clip: Mapping[str, Any]) -> dict[str, Any]:
    """Of one batch size; `held_fps` is the frame rate that 95 % of all calls keep up with."""
    per_second = measured.clips_per_second
    p95 = measured.timing.percentiles()["p95"]
    return {
        "batch": measured.batch,
        **timing_facts(measured.timing),
        "clips_per_second": round(per_second, 4),
        "frames_per_second": round(per_second * clip["frames"], 3),
        "real_time_factor": round(per_second * clip["seconds"], 4),
        "held_fps": round(measured.batch * clip["frames"] / p95, 3),
    }


def search_facts(search: BatchSearch) -> dict[str, Any]:
    return {
        "tried": {str(one.batch): round(one.clips_per_second, 4) for one in search.tried},
        "stopped": search.stopped,
    }


def end_to_end_times(timing: Timing, files: FilesInTurn) -> dict[str, Any]:
    """Of one file after another, each read, transformed and answered as the test does, in this process."""
    return {
        "files": files.count,
        **timing_facts(timing),
        "files_per_second": round(1 / timing.mean, 4),
        "frames_per_second": round(files.frames / timing.mean, 3),
        "real_time_factor": round(files.seconds / timing.mean, 4),
    }


def energy_facts(first: Measured, best: Measured) -> dict[str, Any]:
    """Joules of a clip, by the counters that there are; each counts its whole device."""
    if first.joules_per_clip is None or best.joules_per_clip is None:
        return {"not_measured": "; ".join(first.energy.why_not)}
    return {
        "joules_per_clip": round(first.joules_per_clip, 6),
        "joules_per_clip_in_batches": round(best.joules_per_clip, 6),
        "of": sorted(first.energy.joules),
        **({"not_measured": "; ".join(first.energy.why_not)} if first.energy.why_not else {}),
    }


def busy_text(wall_over_cpu: float, *, load: float) -> str:
    """Why times are not those of the network; "" where they are."""
    if wall_over_cpu <= IDLE_UNTIL:
        return ""
    with_load = f"load {load:g} on {available_cores()} cores"
    return f"the machine was busy (wall time {wall_over_cpu:.2f} x CPU time, {with_load})"
