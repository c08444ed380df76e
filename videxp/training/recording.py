"""What is written down when a run begins or goes on: provenance.json, its samples, and the facts that W&B gets."""

from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.models.summary import count_parameters
from videxp.runs.folder import RunFolder, write_json
from videxp.runs.provenance import is_whole, provenance, save_samples
from videxp.training.callbacks.left_out import save_manifest
from videxp.training.changed_inputs import present_inputs
from videxp.training.loggers.metrics_file import read_metrics
from videxp.training.loggers.wandb_logger import WandbRun

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.training.assembling import Experiment
    from videxp.training.request import RunRequest


def put_record_aside(run: RunFolder, *, step: int) -> str:
    """Of a run that goes on after batch `step`, and whose record of its beginning is missing or damaged."""
    how = "missing"
    if run.provenance.exists():
        aside = run.provenance.with_name("provenance.damaged.json")
        run.provenance.replace(aside)
        how = f"damaged, now {aside.name}"
    return f"provenance.json is {how}: a new one begins after batch {step:,}; what it began with is not known"


def record_start(
    cfg: "DictConfig", run: RunFolder, experiment: "Experiment", request: "RunRequest", *, before: dict[str, Any]
) -> None:
    """A run that goes on keeps the record of its beginning, `before`; what differs now is added to it."""
    data, trainer, task = experiment.datamodule, experiment.trainer, experiment.task
    record = provenance(
        command=request.command,
        recipe=request.recipe,
        config_hash=config.config_hash(cfg),
        inputs=present_inputs(cfg),
        seed=cfg.seed,
        world_size=trainer.world_size,
        decoder=data.decoding.decoder,
        manifest=data.manifest,
    )
    if lost := bool(request.checkpoint) and not is_whole(before):
        record["unrecorded_batches"] = request.step
    save_samples(data.manifest, run.data)
    save_manifest(data.manifest, run.manifest)
    for logger in trainer.loggers:
        if isinstance(logger, WandbRun):
            if "wandb_id" in before or lost:
                logger.go_on(before.get("wandb_id"), rows=read_metrics(run.metrics) if run.metrics.exists() else [])
            plain = config.plain(cfg)
            wandb_config = {**plain, "recipe": request.recipe}
            wandb_config["parameters"] = count_parameters(task.network)
            wandb_config["gmacs"] = task.work_of_one_clip(num_frames=data.num_frames, size=data.size)
            wandb_config["code"] = (record["code"] or {}).get("commit")
            wandb_config["data_fingerprint"] = data.fingerprint
            named = plain["run"]  # not from cfg, which would read the environment
            logger.start(config=wandb_config, group=named["group"], tags=named["tags"], notes=named["notes"])
            record["wandb_id"] = logger.version
    if is_whole(before):  # each time that the run was gone on with is added
        changed = {key: value for key, value in record.items() if before.get(key) != value}
        record = {**before, "resumed": [*before.get("resumed", []), changed]}
        record |= {"wandb_id": changed["wandb_id"]} if "wandb_id" in changed else {}
    write_json(run.provenance, record)
