"""What W&B's client and server refuse, found before the data are prepared."""

import os
from collections.abc import Iterator
from typing import Any

from videxp.config.problems import Problem

LOGGER = "videxp.training.loggers.wandb_logger.WandbRun"
LONGEST_NAME, LONGEST_TAG = 128, 64
FORBIDDEN = "/\\#?%:"
"""In the name of a project."""


def wandb_problems(plain: dict[str, Any]) -> Iterator[Problem]:
    """Of a config that logs to W&B; where it holds nothing, W&B's environment variables count."""
    loggers, run = plain.get("logger") or {}, plain.get("run") or {}
    ours = {name: node for name, node in loggers.items() if isinstance(node, dict) and node.get("_target_") == LOGGER}
    for name, node in ours.items():
        if isinstance(node.get("project"), str):
            yield from _project(f"logger.{name}.project", node["project"])
    if not ours:
        return
    yield from _length("run.group", run.get("group"), variable="WANDB_RUN_GROUP")
    yield from _length("WANDB_JOB_TYPE", None, variable="WANDB_JOB_TYPE")
    tags = run.get("tags") or [tag for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag]
    for tag in tags if isinstance(tags, list) else []:
        if not 1 <= len(str(tag)) <= LONGEST_TAG:
            yield Problem("run.tags", tag, f"W&B's tags have 1 to {LONGEST_TAG} characters, this one {len(str(tag))}")


def _project(key: str, name: str) -> Iterator[Problem]:
    found = "".join(dict.fromkeys(character for character in name if character in FORBIDDEN))
    if found:
        entity = key.replace("project", "entity")
        team = f"; write {entity}={name.partition('/')[0]} {key}={name.rpartition('/')[2]}" if found == "/" else ""
        yield Problem(key, name, f"a project's name holds none of {' '.join(FORBIDDEN)}{team}")
    elif not name.strip() or len(name) > LONGEST_NAME:
        yield Problem(key, name, f"a project's name has 1 to {LONGEST_NAME} characters, this one {len(name)}")


def _length(key: str, value: Any, *, variable: str) -> Iterator[Problem]:
    text = value or os.environ.get(variable)
    if isinstance(text, str) and len(text) > LONGEST_NAME:
        shown = key if value else variable
        yield Problem(shown, text, f"W&B takes at most {LONGEST_NAME} characters, and these are {len(text)}")
