"""An evaluation in W&B: a run of its own, in the group of the run that it is of: no finished record is touched."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from videxp import config
from videxp.runs.evaluation_files import short_hash
from videxp.runs.folder import RunFolder
from videxp.runs.reading import sections_of
from videxp.training.loggers.wandb_logger import WandbRun

JOB_TYPE = "evaluation"
LONGEST_ID = 64  # of which W&B takes no more


def log_evaluation(cfg: DictConfig, run: RunFolder, *, result: dict[str, Any], name: str, pictures: list[Path]) -> str:
    """Log the figures and pictures of an evaluation where the run itself was logged; returns the command that uploads
    what was logged offline, or "".

    result: content of evaluation.json. name: its file's stem, by which an evaluation of the same kind is logged anew.
    cfg: its `logger` says where; one without W&B logs nothing.
    """
    of_run: str | None = run.known_provenance().get("wandb_id")
    if of_run is None:
        return ""
    built = [config.build(node, save_dir=str(run.path)) for node in cfg.logger.values()]
    loggers = [logger for logger in built if isinstance(logger, WandbRun)]
    if not loggers:
        return ""
    logger, named = loggers[0], config.plain(cfg.run)
    logger.go_on(record_id(of_run, name), rows=None)
    facts = {key: result[key] for key in ("weights", "split", "read_otherwise", "conditions")}
    logger.start(
        config={**config.plain(cfg), "recipe": run.recipe, "of_run": of_run, "evaluated": facts},
        group=named["group"] or of_run,
        tags=named["tags"],
        notes=named["notes"],
        job_type=JOB_TYPE,
    )
    logger.log_files({f"{name}/{path.stem}": path for path in pictures}, step=0)
    logger.finish(summary=figures(result), exit_code=0)
    return logger.sync_command or ""


def record_id(of_run: str, name: str) -> str:
    """Of the evaluation `name` of a run, and of no other: with a hash where W&B's limit cuts it off."""
    whole = f"{of_run}-{name}"
    return whole if len(whole) <= LONGEST_ID else f"{whole[: LONGEST_ID - 9]}-{short_hash(name)}"


def figures(result: dict[str, Any]) -> dict[str, float]:
    """All figures of an evaluation under their log names: `test/accuracy`, `robustness/mpc`."""
    sections = [section["scalars"] for section in sections_of(result).values()]
    return {key: value for part in (result.get("metrics", {}), *sections) for key, value in part.items()}
