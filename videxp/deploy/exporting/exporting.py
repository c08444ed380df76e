"""`videxp export` to a format that holds a graph: written, opened elsewhere, compared, and only then put in place."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from omegaconf import DictConfig
from safetensors.numpy import save_file

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import adding_files
from videxp.data import VideoDataModule
from videxp.deploy.exporting.measuring import measure_metrics
from videxp.deploy.exporting.network import task_of
from videxp.deploy.exporting.opening import open_exported
from videxp.deploy.exporting.package import Package
from videxp.deploy.exporting.parity import (
    Clips,
    answers_of_file,
    answers_of_run,
    compare_answers,
    parity_line,
    require_parity,
)
from videxp.deploy.exporting.runs import LoadedRun, describe, step_of
from videxp.deploy.exporting.writing import PROGRAM, Kind, WritingRequest, set_package
from videxp.runs.folder import RunFolder
from videxp.tasks import VideoTask
from videxp.tasks.deployable import Deployable, DeployableStep, require_streaming

SUFFIX: Mapping[Kind, str] = {"onnx": ".onnx", "torch": ".pt2", "openvino": ".xml"}

FRAMES = 1
"""Axis of a clip's frames."""

CUT = {"frames": 1, "height": 8, "width": 8, "boxes": 1}
"""By how much what a file is given is made smaller along an axis, to see whether it answers there, too."""

Answered = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""A clip, and what the run answers."""


@dataclass(frozen=True)
class Limits:
    clips: int
    """Of the test that the file is compared on."""
    seconds: float
    """That writing and comparing may take together; the run's loading and its own answers are not counted."""


def export_run(
    loaded: LoadedRun,
    *,
    kind: Kind,
    output: Path,
    limits: Limits,
    say: Callable[[str], None],
    license: str = "",
    is_step: bool = False,
) -> Package:
    """Writes the run's model at `output`; nothing is there unless the file answers as the run does.

    license: of the weights, as the user states it. is_step: a frame and the state before it in, the state after it out;
    frame after frame, it is compared with what the run answers of whole clips.
    Raises BadRequest for a network that cannot be exported so, VidexpError where it fails or answers otherwise.
    """
    run, cfg, task, datamodule = loaded.run, loaded.cfg, loaded.task, loaded.datamodule
    deployable = loaded.deployable
    if is_step:
        require_streaming(deployable.network)
    clips = sample_clips(task, deployable, datamodule, split="test", count=limits.clips)
    if is_step:
        deployable = step_of(deployable, clips[0])
    with adding_files(output.parent) as finished, tempfile.TemporaryDirectory(dir=finished) as held:
        file = Path(held) / f"model{SUFFIX[kind]}"
        package = describe(run, cfg, task, datamodule, license=license)
        package = write_and_compare(run, kind, deployable, clips, file=file, package=package, limits=limits)
        parity = dict(package.parity)
        if takes_test(package, task, clips):
            parity["metrics"] = metrics_beside(task, datamodule, cfg, file, clips=limits.clips)
            parity["metrics_of"], parity["test_samples"] = datamodule.seen["test"]
            package = replace(package, parity=parity)
        set_package(file, kind, package)
        put_in_place(file, finished / output.name)
    say(parity_line(parity))
    if "metrics" in parity:
        say(f"metrics of {parity['metrics_of']} of {parity['test_samples']} test samples:")
    for name, (before, after) in parity.get("metrics", {}).items():
        say(f"  {name} {before:.4f} of the run, {after:.4f} of the file")
    return package


def write_and_compare(
    run: RunFolder,
    kind: Kind,
    deployable: Deployable,
    clips: Clips,
    *,
    file: Path,
    package: Package,
    limits: Limits,
) -> Package:
    """With all axes free that the network itself takes other lengths of; where that cannot be written, or answers
    otherwise at some size, with all but the frames; then with the batch alone, then with none. A file is compared on
    the clips that it takes, and on the first one at another length of each free axis.

    Raises VidexpError with what stood in the way last.
    """
    answered = [*zip(clips, answers_of_run(deployable, clips))]
    sizes, why = other_sizes(clips[0], deployable)
    pixels = [axis for axis in sizes if axis != "frames"]  # what goes through frames one by one needs their number
    attempts = [*dict.fromkeys([("batch", *sizes), ("batch", *pixels), ("batch",), ()])]
    until, trouble = time.monotonic() + limits.seconds, VidexpError("")
    for free in attempts:
        if (left := until - time.monotonic()) <= 0:
            break
        seconds = left if free is attempts[-1] else left / 2
        try:
            found = write(run, kind, free, deployable, clips[0], file=file, package=package, seconds=seconds, why=why)
            taken = [one for one in answered if fits(found, one[0])]
            other = [sizes[axis] for axis in sizes if axis not in found.fixed_axes]
            given, expected = map(list, zip(*taken, *other))
            left = max(0.0, until - time.monotonic())
            parity = compare_answers(expected, answers_of_file(file, given, folder=file.parent, time_limit=left))
            parity |= {"clips": len(taken), "other_sizes": len(other)}
            require_parity(parity, file=file)
        except VidexpError as error:
            trouble = error
            why = dict.fromkeys(free, f"where it is free, {str(error).splitlines()[0]}") | why
        else:
            return replace(found, parity=parity)
    raise VidexpError(f"{run.path}: cannot be exported to {kind}: {trouble}")


def takes_test(package: Package, task: VideoTask, clips: Clips) -> bool:
    """Whether the file takes the samples of the test as the test gives them, which may be longer than a window."""
    is_cut = window_of(task) is not None and "frames" in package.fixed_axes
    return not task.contract.makes_clips and not is_cut and all(fits(package, clip) for clip in clips)


def fits(package: Package, clip: Mapping[str, np.ndarray]) -> bool:
    """Whether the file takes inputs of this size."""
    return all(
        isinstance(length, str) or length == given
        for port in package.inputs
        for axis, (length, given) in enumerate(zip(port.shape, clip[port.name].shape))
        if not (package.state and axis == FRAMES)  # they come one after the other
    )


def other_sizes(clip: Mapping[str, np.ndarray], deployable: Deployable) -> tuple[dict[str, Answered], dict[str, str]]:
    """By axis: the clip at another length of it, shorter or twice as long, and the network's answer; and of axes where
    the network takes neither, what it says."""
    found: dict[str, Answered] = {}
    refused: dict[str, str] = {}
    for axis in CUT:
        if not any(axis in axes for axes in deployable.axes.values()):
            continue
        for other in (_cut(clip, axis, deployable), _doubled(clip, axis, deployable)):
            if not all(value.size for value in other.values()):
                continue
            try:
                found[axis] = other, answers_of_run(deployable, [other])[0]
                break
            except Exception as error:  # networks have their own words for a size that they do not take
                said = (str(error).strip() or type(error).__name__).splitlines()[0]
                refused[axis] = f"the network took no other length that was tried: {said}"
    return found, {axis: said for axis, said in refused.items() if axis not in found}


def _cut(clip: Mapping[str, np.ndarray], axis: str, deployable: Deployable) -> dict[str, np.ndarray]:
    return {
        name: value[tuple(slice(None, -CUT[axis] if one == axis else None) for one in deployable.axes[name])]
        for name, value in clip.items()
    }


def _doubled(clip: Mapping[str, np.ndarray], axis: str, deployable: Deployable) -> dict[str, np.ndarray]:
    return {
        name: np.tile(value, [2 if one == axis else 1 for one in deployable.axes[name]]) for name, value in clip.items()
    }


def sample_clips(
    task: VideoTask, deployable: Deployable, datamodule: VideoDataModule, *, split: Literal["train", "test"], count: int
) -> Clips:
    """What a file is given for samples of a split, spread evenly over it, transformed as the test's are."""
    total = datamodule.dataset(split).num_samples
    if not total:
        raise BadRequest(f"{datamodule.name}: no {split} samples, on which a file could be compared with the run")
    chosen = sorted({round(place) for place in np.linspace(0, total - 1, min(count, total))})
    clips = []
    for index in chosen:
        batch = datamodule.transformed(datamodule.read(split, [index]), "test", device=torch.device("cpu"))
        inputs = task.deployable_inputs(deployable, batch)
        clips.append(one_window(task, {name: value.detach().cpu().numpy() for name, value in inputs.items()}))
    return clips


def one_window(task: VideoTask, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The frames that `videxp predict` would show the network at once, where it goes over a video by windows."""
    if (window := window_of(task)) is None:
        return inputs
    frames = window(task.deployed, inputs["clip"].shape[2:4])
    return {name: np.ascontiguousarray(value[:, :frames]) for name, value in inputs.items()}


def window_of(task: VideoTask) -> Callable[..., int] | None:
    """What tells how many frames these are; None where files are not gone over by windows of frames."""
    predictor = import_module(task.contract.predictor) if task.contract.predictor else None
    return getattr(predictor, "window_frames", None)


def example_of(deployable: Deployable, clip: Mapping[str, np.ndarray], *, batch: int) -> dict[str, np.ndarray]:
    """What the graph is given, the clip so many times; of a step, its first frame, and what is before it."""
    given = {name: np.concatenate([value] * batch) for name, value in clip.items()}
    if isinstance(deployable, DeployableStep):
        state = zip(deployable.state_axes, deployable.zero_state(batch, deployable.size))
        given = {name: np.ascontiguousarray(value[:, :1]) for name, value in given.items()}
        given |= {name: value.numpy() for name, value in state}
    return given


def write(
    run: RunFolder,
    kind: Kind,
    free: Sequence[str],
    deployable: Deployable,
    clip: Mapping[str, np.ndarray],
    *,
    file: Path,
    package: Package,
    seconds: float,
    why: Mapping[str, str],
) -> Package:
    """The file, by a process that is ended after so many seconds. Raises VidexpError with what stands in the way."""
    example = file.with_name("example.safetensors")
    save_file(example_of(deployable, clip, batch=2 if "batch" in free else 1), example)
    is_step = isinstance(deployable, DeployableStep)
    request = WritingRequest(str(run.path), kind, free, str(example), str(file), package.to_json(), dict(why), is_step)
    answer = _in_a_process(request, folder=file.parent, seconds=seconds)
    if "package" not in answer:
        raise VidexpError(answer["trouble"])
    return Package.from_json(answer["package"], path=file)


def _in_a_process(request: WritingRequest, *, folder: Path, seconds: float) -> dict[str, str]:
    path = folder / "request.json"
    path.write_text(json.dumps(asdict(request)))
    answer = path.with_suffix(".answer")
    answer.unlink(missing_ok=True)
    command = [sys.executable, "-c", PROGRAM, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"trouble": f"not done after {seconds:.2g} s; a longer --time-limit may help"}
    if not answer.is_file():
        return {"trouble": (done.stderr.strip().splitlines() or ["the exporter ended without a word"])[-1]}
    found: dict[str, str] = json.loads(answer.read_text())
    return found


def metrics_beside(
    task: VideoTask, datamodule: VideoDataModule, cfg: DictConfig, file: Path, *, clips: int
) -> dict[str, tuple[float, float]]:
    """Headline metrics of some test samples, by the run and by the file."""
    by_file = task_of(open_exported(file), cfg, datamodule.eval_transform)
    batches = -(-clips // datamodule.eval_batch_size)
    both = [measure_metrics(one, datamodule, batches=batches)[0] for one in (task, by_file)]
    names = [f"test/{name}" for name in task.contract.headline or task.contract.metrics]
    return {name: (both[0][name], both[1][name]) for name in names if all(name in found for found in both)}


def put_in_place(file: Path, output: Path) -> None:
    """OpenVINO's weights lie beside its file."""
    if (weights := file.with_suffix(".bin")).is_file() and file.suffix == ".xml":
        weights.replace(output.with_suffix(".bin"))
    file.replace(output)
