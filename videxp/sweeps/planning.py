"""A run that is written down and not yet begun."""

import shlex
from pathlib import Path

from omegaconf import DictConfig

from videxp import config
from videxp.core.errors import BadRequest
from videxp.runs.folder import RunFolder


def plan(composed: "config.Composed", folder: Path) -> RunFolder:
    """Make the run folder with the frozen, resolved config.yaml: from then on `videxp resume FOLDER` is the run.

    Raises BadRequest for an existing run, and where a secret stands in the config as text, which no file may hold.
    """
    refuse_secrets(composed.cfg)
    run = RunFolder(folder).create()
    words = ["videxp", "train", composed.recipe, *config.redacted_overrides(composed.overrides)]
    run.plan(command=shlex.join(words), recipe=composed.recipe)
    config.save_overrides(composed.overrides, run.overrides)
    config.save_resolved(composed.cfg, run.config)  # last: it makes the folder a run
    return run


def refuse_secrets(cfg: DictConfig) -> None:
    """Raise BadRequest where a secret stands in a config that is to be read back from its file."""
    if hidden := config.redacted_keys(config.plain(cfg)):
        remedy = "'${oc.env:NAME}' reads it from the environment of each run"
        raise BadRequest(f"{hidden[0]} is a secret, and the run's config.yaml would lose it: {hidden[0]}={remedy}")
