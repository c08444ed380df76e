"""What is no fault of a config, and yet seldom meant: told by `check` and by each run, and nothing is refused."""

from typing import Any

from omegaconf import DictConfig


def remarks(cfg: DictConfig) -> list[str]:
    """One line each: no validation will take place, or the learning rate's schedule goes beyond the run."""
    trainer, scheduler = cfg.trainer, cfg.scheduler
    epochs = trainer.get("max_epochs")
    length = f"trainer.max_epochs={epochs}"
    found = []
    if missing := _no_validation(trainer, epochs):
        found.append(f"no validation takes place, and no checkpoint will be the best: {missing}")
    if not _is_number(epochs) or epochs < 1:
        return found
    warmup, milestones = scheduler.get("warmup_epochs"), scheduler.get("milestones") or []
    if _is_number(warmup) and warmup >= epochs:
        found.append(f"optimizer.lr is not reached: scheduler.warmup_epochs={warmup:g}, {length}")
    if late := [str(epoch) for epoch in milestones if _is_number(epoch) and epoch >= epochs]:
        found.append(f"scheduler.milestones {', '.join(late)} are not reached: {length}")
    return found


def _no_validation(trainer: DictConfig, epochs: Any) -> str:
    """The keys that prevent it; "" if none does."""
    limit, every = trainer.get("limit_val_batches"), trainer.get("check_val_every_n_epoch")
    if _is_number(limit) and limit == 0:
        return f"trainer.limit_val_batches={limit}"
    if _is_number(every) and _is_number(epochs) and every > epochs >= 1:
        return f"trainer.check_val_every_n_epoch={every}, trainer.max_epochs={epochs}"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
