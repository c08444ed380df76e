"""`videxp compress`: a run folder of its own with an int8 file of the run, its lineage, and what the two are like."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.outputs import refuse_inputs_and_runs, require_place
from videxp.core.printable import aligned, number_text
from videxp.data import VideoDataModule
from videxp.deploy.compressing.beside import metrics_beside, time_beside
from videxp.deploy.compressing.quantizing import METHOD, SCHEME, Layers, quantize
from videxp.deploy.exporting.exporting import Limits, export_run, fits, sample_clips
from videxp.deploy.exporting.network import task_of
from videxp.deploy.exporting.opening import open_exported
from videxp.deploy.exporting.package import Package
from videxp.deploy.exporting.parity import Clips, answers_of_file, answers_of_run, compare_answers
from videxp.deploy.exporting.runs import deployable_of, weights_of
from videxp.deploy.exporting.writing import set_package
from videxp.runs.folder import RunFolder, write_json
from videxp.runs.provenance import read_provenance
from videxp.runs.weights import checkpoint_hash
from videxp.tasks import VideoTask
from videxp.tasks.building import load_task

FILE, RECORD = "int8.onnx", "compression.json"
OF_PARENT = ("config.yaml", "overrides.yaml", "data.jsonl.gz", "manifest.tsv.gz", "status.json")
"""What the new folder has as the parent has it."""

COMPARED_CLIPS = 16
"""Of the test, on which answers are compared."""


@dataclass(frozen=True)
class Settings:
    """What was asked."""

    clips: int
    """Of the training, for calibration."""
    min_share: float
    min_channels: int


def require_new_folder(output: Path) -> None:
    """Raises BadRequest where no folder can be made."""
    refuse_inputs_and_runs(output, {})
    if output.exists() or output.is_symlink():
        raise BadRequest(f"-o {output} is there already: choose another name")
    require_place(output)


def compress_run(
    run: RunFolder, cfg: DictConfig, *, output: Path, settings: Settings, seconds: float, time_limit: float
) -> dict[str, Any]:
    """Make the folder `output`, whole or not at all; returns what its compression.json holds.

    seconds: of timing. time_limit: of writing and comparing the float file, and again of the int8 file's answers.
    Raises BadRequest where too few layers became int8, VidexpError where the run cannot be exported.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compress_") as held:
        floating, new = Path(held) / "float.onnx", Path(held) / "run"
        limits = Limits(clips=COMPARED_CLIPS, seconds=time_limit)
        export_run(run, cfg, kind="onnx", output=floating, limits=limits, say=lambda line: None)
        found = compress_file(run, cfg, floating, new=new, settings=settings, seconds=seconds, time_limit=time_limit)
        new.rename(output)
    return found


def compress_file(
    run: RunFolder,
    cfg: DictConfig,
    floating: Path,
    *,
    new: Path,
    settings: Settings,
    seconds: float,
    time_limit: float,
) -> dict[str, Any]:
    """As `compress_run`, from the run's float file."""
    task = load_task(cfg, run.checkpoint())
    datamodule: VideoDataModule = config.build(cfg.dataset)
    datamodule.prepare()
    deployable = deployable_of(task, datamodule)
    package = open_exported(floating).package

    def sample(split: Literal["train", "test"], count: int) -> Clips:
        clips = sample_clips(task, deployable, datamodule, split=split, count=count)
        if not (taken := [clip for clip in clips if fits(package, clip)]):
            raise BadRequest(f"{datamodule.name}: no {split} clip has the size that the exported file takes")
        return taken

    new.mkdir()
    file = new / FILE
    clips, compared = sample("train", settings.clips), sample("test", COMPARED_CLIPS)
    layers = quantize(floating, file, clips, min_share=settings.min_share, min_channels=settings.min_channels)
    package = replace(package, quantization=describe_quantization(layers, clips, datamodule), parity={})
    set_package(file, "onnx", package)

    answers = answers_of_file(file, compared, folder=floating.parent, time_limit=time_limit)
    parity = compare_answers(answers_of_run(deployable, compared), answers) | {"other_sizes": 0}
    files = {"onnx": open_exported(floating, threads=1), "int8": open_exported(file, threads=1)}
    times = time_beside(deployable, files, compared[0], seconds=seconds)
    metrics = {}
    if not task.contract.makes_clips:
        by_file = task_of(open_exported(file), cfg, datamodule.eval_transform)
        metrics = metrics_beside(task, by_file, datamodule, batches=cfg.trainer.limit_test_batches)
    parity["metrics"] = {f"test/{name}": (one["before"], one["after"]) for name, one in metrics.items()}
    set_package(file, "onnx", replace(package, parity=parity))

    origin = lineage(run, package, settings)
    found = {
        **origin,
        "parameters": sum(parameter.numel() for parameter in task.deployed.parameters()),
        "bytes": {"torch": torch_bytes(task), "onnx": floating.stat().st_size, "int8": file.stat().st_size},
        "times": times,
        "metrics": metrics,
        "quantization": package.quantization,
        "parity": parity,
    }
    write_json(new / RECORD, found)
    copy_parent(run, new, compressed=origin)
    return found


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


def lineage(run: RunFolder, package: Package, settings: Settings) -> dict[str, Any]:
    """Where it comes from, and by what settings."""
    asked = {"quantize": "int8", **asdict(settings)}
    return {
        "parent": {"run_id": package.run_id, "path": str(run.path.resolve()), "weights_sha256": package.weights_sha256},
        "settings": asked,
        "settings_sha256": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
        "versions": dict(package.versions),
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
    rows: list[tuple[str, ...]] = [("", "MB", "ms", "CPU ms", "times torch", "by CPU time")]
    for name, of in (("torch", "run, torch"), ("onnx", "float file"), ("int8", "int8 file")):
        one = found["times"][name]
        size, faster = f"{found['bytes'][name] / 1e6:.2f}", (f"{one[key]:.2f}" for key in ("faster", "faster_cpu"))
        rows.append((of, size, f"{one['ms']:.3g}", f"{one['cpu_ms']:.3g}", *faster))
    rounds = found["times"]["int8"]["rounds"]
    lines = [*aligned(rows, right={1, 2, 3, 4, 5}), ""]
    lines.append(f"one clip, one thread, medians of {rounds} rounds in turn; {found['parameters']:,} parameters")
    told = found["quantization"]["layers"]
    lines.append(Layers(told["of"], told["int8"], told["kept"]).in_words())
    return [*lines, *metric_lines(found["metrics"])]


def metric_lines(metrics: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    if not metrics:
        return []
    rows: list[tuple[str, ...]] = [("", "run", "int8", "difference", "95 % interval", "videos")]
    for name, one in metrics.items():
        paired = one.get("paired")
        between = [f"{paired['low']:+.4f} to {paired['high']:+.4f}", str(paired["units"])] if paired else ["", ""]
        values = (number_text(one["before"]), number_text(one["after"]), f"{one['after'] - one['before']:+.4f}")
        rows.append((f"test/{name}", *values, *between))
    return ["", *aligned(rows, right={1, 2, 3, 4, 5})]
