"""W&B's environment variables beside a run's config: the config decides, and a variable that it overrules is named."""

import os
from collections.abc import Mapping
from typing import Any

ALWAYS = {"WANDB_NAME": "hydra.run.dir names the run", "WANDB_DIR": "hydra.run.dir is its folder"}
UNLESS_EMPTY = {
    "WANDB_PROJECT": "logger.wandb.project",
    "WANDB_ENTITY": "logger.wandb.entity",
    "WANDB_RUN_GROUP": "run.group",
    "WANDB_TAGS": "run.tags",
    "WANDB_NOTES": "run.notes",
}
"""Variable -> the key that goes before it where it holds anything."""
OF_A_SWEEP = ("WANDB_PROJECT", "WANDB_ENTITY", "WANDB_RUN_GROUP")
"""What W&B's agent sets, and W&B itself takes from there."""


def overruled(config: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> list[str]:
    """A line for each variable that is set to no effect, by a flat config: `WANDB_PROJECT=films has no effect: ...`."""
    lines = [f"{name} has no effect: {why}" for name, why in ALWAYS.items() if environment.get(name)]
    for name, key in UNLESS_EMPTY.items():
        value, given = config.get(key), environment.get(name)
        shown = ",".join(map(str, value)) if isinstance(value, list) else value
        directed = name in OF_A_SWEEP and "WANDB_SWEEP_ID" in environment
        if given and value and given != str(shown) and not directed:
            lines.append(f"{name}={given} has no effect: {key}={shown} goes before it")
    return lines
