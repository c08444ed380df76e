"""What of a run goes into a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from videxp import config
from videxp.data import VideoDataModule
from videxp.deploy.exporting.package import NOT_STATED, Package
from videxp.runs.folder import RunFolder, open_run
from videxp.runs.provenance import read_provenance
from videxp.runs.weights import weights_hash
from videxp.tasks import VideoTask
from videxp.tasks.building import load_task
from videxp.tasks.deployable import Deployable, DeployableStep


def load_deployable(run: str) -> Deployable:
    """The run's best checkpoint as a file holds it, float32 on the CPU, in evaluation mode."""
    folder = open_run(run)
    cfg = config.load_resolved(folder.config)
    task = load_task(cfg, folder.checkpoint())
    return deployable_of(task, config.build(cfg.dataset))


@dataclass(frozen=True)
class LoadedRun:
    """A trained run, read once: its best checkpoint in its task, its data prepared."""

    run: RunFolder
    cfg: DictConfig
    task: VideoTask
    datamodule: VideoDataModule
    deployable: Deployable


def load(run: RunFolder, cfg: DictConfig) -> LoadedRun:
    """Raises BadRequest for data or a task that cannot be exported."""
    task = load_task(cfg, run.checkpoint())
    datamodule: VideoDataModule = config.build(cfg.dataset)
    datamodule.prepare()
    return LoadedRun(run, cfg, task, datamodule, deployable_of(task, datamodule))


def deployable_of(task: VideoTask, datamodule: VideoDataModule) -> Deployable:
    return task.deployable(datamodule.eval_transform).float().eval().requires_grad_(False)


def step_of(whole: Deployable, clip: Mapping[str, Any]) -> DeployableStep:
    """Of frames as those of a clip, arrays or tensors. Raises BadRequest where the network takes whole clips."""
    return DeployableStep(whole, example={name: torch.as_tensor(clip[name][:1, :1]) for name in whole.axes})


def describe(
    run: RunFolder, cfg: DictConfig, task: VideoTask, datamodule: VideoDataModule, *, license: str = ""
) -> Package:
    """What the file says of the run; `inputs`, `outputs` and `parity` are filled in when they are known."""
    provenance = read_provenance(run)
    transform = datamodule.eval_transform
    return Package(
        kind=type(task).__name__,
        model=str(cfg.model.get("name") or cfg.model._target_.rsplit(".", 1)[-1]),
        run_id=run.path.name,
        commit=str((provenance.get("code") or {}).get("commit") or ""),
        config=config.resolved_text(cfg),
        config_hash=config.config_hash(cfg),
        weights_sha256=weights_hash(weights_of(task)),
        data_fingerprint=str(provenance["data"]["fingerprint"]),
        classes=list(getattr(task, "classes", []) or []),
        chosen=chosen_by(task),
        clip={
            "frames": datamodule.num_frames,
            "stride": datamodule.stride_frames,
            "fps": datamodule.clips.clip_fps,
            "size": datamodule.size,
        },
        preprocessing=preprocessing_of(transform),
        inputs=[],
        outputs=[],
        license=license or NOT_STATED,
        versions={name: version(name) for name in ("videxp", "torch")},
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def weights_of(task: VideoTask) -> dict[str, Tensor]:
    return dict(task.deployed.state_dict())


def chosen_by(task: nn.Module) -> dict[str, float | bool]:
    """The task's own buffers of one value, such as a threshold, but for those of parts of it."""
    return {name: value.item() for name, value in task.named_buffers(recurse=False) if value.numel() == 1}


def preprocessing_of(transform: Any) -> str:
    if not hasattr(transform, "preparation"):
        return "in the graph: levels 0 to 255 become 0 to 1"
    mean, std = ([round(float(value), 6) for value in values] for values in (transform.mean, transform.std))
    size = f"{transform.size}x{transform.size}"
    cut = f"short side to {transform.resize}, centered {size}" if transform.fit == "crop" else f"stretched to {size}"
    return f"in the graph: {cut}, levels / 255, mean {mean}, std {std}, RGB"
