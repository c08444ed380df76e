"""`videxp compress`: a run folder of its own with a smaller network or an int8 file, its lineage, and what they are
like beside the run."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from videxp.core.errors import BadRequest
from videxp.core.files import adding_files
from videxp.core.outputs import refuse_inputs_and_runs, require_place
from videxp.core.printable import aligned, number_text
from videxp.data import VideoDataModule
from videxp.deploy.compressing.beside import by_file, by_torch, metrics_beside, tested, time_beside
from videxp.deploy.compressing.quantizing import METHOD, SCHEME, Layers, quantize
from videxp.deploy.exporting.exporting import Limits, export_run, fits, sample_clips
from videxp.deploy.exporting.network import task_of
from videxp.deploy.exporting.opening import open_exported
from videxp.deploy.exporting.package import Package
from videxp.deploy.exporting.parity import Clips, answers_of_file, answers_of_run, compare_answers
from videxp.deploy.exporting.runs import LoadedRun, weights_of
from videxp.deploy.exporting.writing import set_package
from videxp.runs.folder import RunFolder, write_json
from videxp.runs.provenance import read_provenance
from videxp.runs.weights import checkpoint_hash, weights_hash
from videxp.tasks import VideoTask

FILE, RECORD = "int8.onnx", "compression.json"
OF_PARENT = ("config.yaml", "overrides.yaml", "data.jsonl.gz", "manifest.tsv.gz", "status.json")
"""What a folder that is not trained has as the parent has it."""

OF = {"torch": "run, torch", "student": "student, torch", "onnx": "float file", "int8": "int8 file"}
"""How a table calls what compression.json names."""

COMPARED_CLIPS = 16
"""Of the test, on which answers are compared."""


@dataclass(frozen=True)
class Settings:
    """How a file becomes int8."""

    clips: int
    """Of the training, for calibration."""
    min_share: float
    min_channels: int


@dataclass(frozen=True)
class Int8:
    """A file that was made, not yet said to be good."""

    file: Path
    floating: Path
    package: Package
    parity: Mapping[str, Any]


def require_new_folder(output: Path) -> None:
    """Raises BadRequest where no folder can be made."""
    refuse_inputs_and_runs(output, {})
    if output.exists() or output.is_symlink():
        raise BadRequest(f"-o {output} is there already: choose another name")
    require_place(output)


def compress_run(
    parent: LoadedRun, *, output: Path, settings: Settings, origin: Mapping[str, Any], seconds: float, time_limit: float
) -> dict[str, Any]:
    """Make the folder `output` of the run with its int8 file, whole or not at all; returns its compression.json.

    origin: as of `lineage`. seconds: of timing. time_limit: of writing and comparing the float file, and again of the
    int8 file's answers.
    Raises BadRequest where too few layers became int8, VidexpError where the run cannot be exported.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compress_") as held:
        new = Path(held) / "run"
        new.mkdir()
        int8 = make_int8(parent, Path(held), settings=settings, time_limit=time_limit)
        found = {**origin, **compare(parent, None, int8, seconds=seconds)}
        int8.file.replace(new / FILE)
        write_json(new / RECORD, found)
        copy_parent(parent.run, new, compressed=origin)
        new.rename(output)
    return found


def complete_student(
    parent: LoadedRun,
    student: LoadedRun,
    *,
    settings: Settings | None,
    origin: Mapping[str, Any],
    seconds: float,
    time_limit: float,
) -> dict[str, Any]:
    """Compare a student that is trained with its parent, with its int8 file if there are settings of one; writes and
    returns its compression.json."""
    folder = student.run.path
    with adding_files(folder) as finished, tempfile.TemporaryDirectory(dir=folder, prefix=".int8_") as held:
        int8 = None if settings is None else make_int8(student, Path(held), settings=settings, time_limit=time_limit)
        found = {**origin, **compare(parent, student, int8, seconds=seconds)}
        if int8 is not None:
            int8.file.replace(finished / FILE)
    write_json(student.run.provenance, {**read_provenance(student.run), "compressed": dict(origin)})
    write_json(folder / RECORD, found)  # last: it tells that nothing is left to do
    return found


def make_int8(loaded: LoadedRun, held: Path, *, settings: Settings, time_limit: float) -> Int8:
    """The float file and the int8 file of a run, in the folder `held`, and how far their answers are apart."""
    floating, file = held / "float.onnx", held / FILE
    limits = Limits(clips=COMPARED_CLIPS, seconds=time_limit)
    export_run(loaded, kind="onnx", output=floating, limits=limits, say=lambda line: None)
    package = open_exported(floating).package
    clips = fitting_clips(loaded, package, split="train", count=settings.clips)
    layers = quantize(floating, file, clips, min_share=settings.min_share, min_channels=settings.min_channels)
    package = replace(package, quantization=describe_quantization(layers, clips, loaded.datamodule), parity={})
    set_package(file, "onnx", package)
    compared = fitting_clips(loaded, package, split="test", count=COMPARED_CLIPS)
    answers = answers_of_file(file, compared, folder=held, time_limit=time_limit)
    parity = compare_answers(answers_of_run(loaded.deployable, compared), answers) | {"other_sizes": 0}
    return Int8(file, floating, package, parity)


def fitting_clips(loaded: LoadedRun, package: Package, *, split: Literal["train", "test"], count: int) -> Clips:
    clips = sample_clips(loaded.task, loaded.deployable, loaded.datamodule, split=split, count=count)
    if not (taken := [clip for clip in clips if fits(package, clip)]):
        raise BadRequest(f"{loaded.datamodule.name}: no {split} clip has the size that the exported file takes")
    return taken


def compare(parent: LoadedRun, student: LoadedRun | None, int8: Int8 | None, *, seconds: float) -> dict[str, Any]:
    """The run, its student by torch, and files of the last of them: `parameters`, `gmacs`, `bytes`, `times`, `metrics`
    of what is not the run itself; and of an int8 file `quantization` and `parity`, which are written into it, too."""
    runs = {"torch": parent} | ({} if student is None else {"student": student})
    last, data, batches = student or parent, parent.datamodule, parent.cfg.trainer.limit_test_batches
    if int8 is None:
        (clip,) = sample_clips(parent.task, parent.deployable, data, split="test", count=1)
    else:
        clip = fitting_clips(last, int8.package, split="test", count=1)[0]
    calls = {name: by_torch(loaded.deployable, clip) for name, loaded in runs.items()}
    files = {} if int8 is None else {"onnx": int8.floating, "int8": int8.file}
    calls |= {name: by_file(open_exported(file, threads=1), clip) for name, file in files.items()}
    found: dict[str, Any] = {
        "parameters": {name: parameters_of(loaded.task) for name, loaded in runs.items()},
        "gmacs": {name: work_of(loaded) for name, loaded in runs.items()},
        "bytes": {name: torch_bytes(loaded.task) for name, loaded in runs.items()}
        | {name: file.stat().st_size for name, file in files.items()},
        "times": time_beside(calls, seconds=seconds),
    }
    tests = {}
    if not parent.task.contract.makes_clips:
        tests = {name: tested(loaded.task, data, batches) for name, loaded in runs.items()}
        if int8 is not None:
            tests["int8"] = tested(task_of(open_exported(int8.file), last.cfg, data.eval_transform), data, batches)
    found["metrics"] = {
        name: metrics_beside(parent.task, tests["torch"], test) for name, test in tests.items() if name != "torch"
    }
    if int8 is None:
        return found
    parity = dict(int8.parity)
    if tests:
        of_last = metrics_beside(last.task, tests["torch" if student is None else "student"], tests["int8"])
        parity["metrics"] = {f"test/{name}": (one["before"], one["after"]) for name, one in of_last.items()}
    set_package(int8.file, "onnx", replace(int8.package, parity=parity))
    return found | {"quantization": int8.package.quantization, "parity": parity}


def parameters_of(task: VideoTask) -> int:
    return sum(parameter.numel() for parameter in task.deployed.parameters())


def work_of(loaded: LoadedRun) -> float:
    """Billions of multiply-accumulates of a training clip."""
    return loaded.task.work_of_one_clip(num_frames=loaded.datamodule.num_frames, size=loaded.datamodule.size)


def describe_quantization(layers: Layers, clips: Clips, datamodule: VideoDataModule) -> dict[str, Any]:
    """Of the package. sha256: of the calibration clips, array by array."""
    digest = hashlib.sha256()
    for clip in clips:
        for name in sorted(clip):
            digest.update(f"{name} {clip[name].dtype} {clip[name].shape}".encode())
            digest.update(clip[name].tobytes())
    return {
        "to": "int8",
        "scheme": SCHEME,
        "layers": asdict(layers) | {"share": layers.share},
        "calibration": {
            "split": "train",
            "clips": len(clips),
            "method": METHOD,
            "data_fingerprint": datamodule.fingerprint,
            "sha256": digest.hexdigest(),
        },
    }


def lineage(parent: LoadedRun, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Where it comes from, and by what settings."""
    return {
        "parent": {
            "run_id": parent.run.path.name,
            "path": str(parent.run.path.resolve()),
            "weights_sha256": weights_hash(weights_of(parent.task)),
        },
        "settings": dict(asked),
        "settings_sha256": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
        "versions": {name: version(name) for name in ("videxp", "torch")},
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def copy_parent(run: RunFolder, new: Path, *, compressed: Mapping[str, Any]) -> None:
    """The checkpoint, with what tells how it was trained; the parent's run of W&B stays its own."""
    folder, checkpoint = RunFolder(new), run.checkpoint()
    for name in OF_PARENT:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, new / name)
    folder.best.parent.mkdir()
    shutil.copyfile(checkpoint, folder.best.with_name(checkpoint.name))
    told = {name: value for name, value in read_provenance(run).items() if name != "wandb_id"}
    told["weights"] = {"last": checkpoint_hash(folder.last), "best": checkpoint_hash(folder.best)}
    write_json(folder.provenance, {**told, "compressed": compressed})


def torch_bytes(task: VideoTask) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in weights_of(task).values())


# ---- in words --------------------------------------------------------------------------------------------------------


def result_lines(found: Mapping[str, Any]) -> list[str]:
    """For a terminal of 80 columns."""
    rows: list[tuple[str, ...]] = [("", "parameters", "GMACs", "MB", "CPU ms", "times faster", "quartiles")]
    for name, one in found["times"].items():
        size, low_high = f"{found['bytes'][name] / 1e6:.2f}", "-".join(f"{q:.2f}" for q in one["faster_cpu_quartiles"])
        weight = ("", "")
        if name in found["parameters"]:
            weight = (f"{found['parameters'][name]:,}", f"{found['gmacs'][name]:.3g}")
        rows.append((OF[name], *weight, size, f"{one['cpu_ms']:.3g}", f"{one['faster_cpu']:.2f}", low_high))
    rounds = found["times"]["torch"]["rounds"]
    lines = [*aligned(rows, right={1, 2, 3, 4, 5, 6}), ""]
    lines.append(f"CPU time of one clip on one thread, medians of {rounds} rounds in turn")
    if told := found.get("channels"):
        lines.append(f"{told['removed']:,} of {told['of']:,} channels went, of {told['groups']} groups")
    if "quantization" in found:
        told = found["quantization"]["layers"]
        lines.append(Layers(told["of"], told["int8"], told["kept"]).in_words())
    return [*lines, *metric_lines(found["metrics"])]


def metric_lines(metrics: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """metrics: by version, and then by name."""
    rows: list[tuple[str, ...]] = [("", "", "run", "RUN2", "difference", "95 % interval", "videos")]
    for version_, of_version in metrics.items():
        for name, one in of_version.items():
            paired = one.get("paired")
            between = [f"{paired['low']:+.4f} to {paired['high']:+.4f}", str(paired["units"])] if paired else ["", ""]
            values = (number_text(one["before"]), number_text(one["after"]), f"{one['after'] - one['before']:+.4f}")
            rows.append((version_, f"test/{name}", *values, *between))
    return ["", *aligned(rows, right={2, 3, 4, 5, 6})] if len(rows) > 1 else []
