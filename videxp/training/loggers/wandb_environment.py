"""W&B's environment variables beside a run's config: the config decides, and a variable that it overrules is named.
And W&B's own folders, which lie in the home folder where no variable names them.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from videxp.core.files import why_not_writable

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
FOLDERS = {"WANDB_CACHE_DIR": "cache", "WANDB_CONFIG_DIR": "config", "WANDB_DATA_DIR": "data"}
"""Variable -> the folder's name in a run's own W&B folder."""


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


def replace_unusable_folders(folder: Path) -> Iterator[str]:
    """Give W&B's client folders beneath `folder` in place of its own that it cannot use; a line about them."""
    from wandb.env import get_cache_dir

    names = [name for name in FOLDERS if name not in os.environ] if os.path.expanduser("~") == "~" else []
    reasons = ["HOME is not set"] if names else []
    if "WANDB_CACHE_DIR" not in names and (reason := why_not_writable(get_cache_dir())):
        names, reasons = [*names, "WANDB_CACHE_DIR"], [*reasons, reason]
    if names:
        place, why = (folder / "wandb").absolute(), ", ".join(reasons)
        os.environ.update({name: str(place / FOLDERS[name]) for name in names})
        yield f"W&B's own folders lie in {place} ({why}); elsewhere: {names[0]}=FOLDER before the command"
