"""An exported file put to the test, as its run is by `videxp evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytorch_lightning import Trainer

from videxp import config
from videxp.core.errors import BadRequest
from videxp.data import VideoDataModule
from videxp.data.manifest import Part
from videxp.deploy.exporting.network import config_of, task_of
from videxp.deploy.exporting.opening import Exported
from videxp.tasks import VideoTask


def evaluate_file(exported: Exported, *, overrides: Sequence[str], split: Part) -> dict[str, Any]:
    """The file's metrics on a split of its run's data, or of those that the overrides name, read as the run reads its
    test; and what they were computed on. Raises BadRequest for data that do not fit."""
    config_of(exported)  # whatever is wrong with it is the file's
    with TemporaryDirectory() as folder:
        text = Path(folder, "config.yaml")
        text.write_text(exported.package.config)
        cfg, _ = config.load_for_evaluation(text, list(overrides))
    datamodule: VideoDataModule = config.build(cfg.dataset)
    datamodule.prepare()
    config.require_labels(cfg, labels=datamodule.manifest.labels)
    if not datamodule.manifest.is_in(split).any():
        raise BadRequest(f"dataset {datamodule.name} has no {split} samples: give another --split")
    fingerprint = datamodule.fingerprint
    classes = list(exported.package.classes)
    if strange := [name for name in datamodule.manifest.classes if classes and name not in classes]:
        raise BadRequest(f"dataset {datamodule.name}: the file does not know its class {strange[0]}")
    datamodule.test_on(split, classes=classes or datamodule.manifest.classes)
    task = task_of(exported, cfg, datamodule.eval_transform)
    metrics, protocol = measure_metrics(task, datamodule, batches=cfg.trainer.limit_test_batches)
    seen, of = datamodule.seen.get("test") or datamodule.coverage("test")
    return {
        "file": str(exported.path),
        "weights": exported.package.weights_sha256,
        "split": split,
        "data": {"name": datamodule.name, "root": str(datamodule.root), "fingerprint": fingerprint}
        | {"clips": seen, "of": of, "is_of_run": fingerprint == exported.package.data_fingerprint},
        "metrics": metrics,
        "protocol": protocol,
    }


def measure_metrics(
    task: VideoTask, datamodule: VideoDataModule, *, batches: float | None = None
) -> tuple[dict[str, float], str]:
    """(`test/accuracy`, ..., by what protocol they are) of one pass over the test split, on the CPU, in float32.

    batches: of them, or a share; None: all.
    """
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_test_batches=batches,
    )
    trainer.test(task, datamodule=datamodule, verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return metrics, task.evaluation_protocol


def result_lines(result: dict[str, Any]) -> list[str]:
    """For a terminal of 80 columns."""
    data = result["data"]
    lines = [f"{name:<24}  {value:.4f}" for name, value in result["metrics"].items()]
    lines += [result["protocol"]] if result["protocol"] else []
    lines.append(f"{data['name']} {result['split']}: {data['clips']} of {data['of']} videos; {data['root']}")
    if not data["is_of_run"]:
        lines.append("not the data of the run that the file is of: another fingerprint")
    return lines
