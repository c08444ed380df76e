"""A run's subject in the test's own process."""

import os
from functools import partial
from pathlib import Path

from videxp import config
from videxp.cli.commands.evaluate import assemble
from videxp.core.console import Console
from videxp.evaluation.subject import Subject, open_subject
from videxp.runs.folder import open_run


def subject_of(path: Path, *overrides: str) -> Subject:
    """As `videxp evaluate PATH OVERRIDES` has it; nothing is printed."""
    run, console = open_run(os.fspath(path)), Console(quiet=True)
    cfg, _ = config.load_for_evaluation(run.config, list(overrides))
    return open_subject(run, cfg, split=None, assemble=partial(assemble, run, console), console=console)
