"""Every axis of a run: what the tests of each task's command line ask of it."""

import json
from pathlib import Path
from typing import Any

from tests.conftest import videxp
from videxp.evaluation.axis import AXES

SHORT = ["--seconds", "0.1", "--accept-busy", "--severities", "3", "--explain-samples", "1", "--order-samples", "4"]


def evaluate_on_all(run: str, *words: str, cwd: Path) -> dict[str, Any]:
    """Content of evaluation.json, in which each axis says something: figures, or why there are none."""
    chosen = ["--protocol", "imagenet_c", "--corruptions", "contrast,jpeg"]
    done = videxp("evaluate", run, "--on", "all", *SHORT, *chosen, "--json", *words, cwd=cwd, WANDB_MODE="disabled")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]
    for name in AXES[1:]:
        section = result[name]
        assert section.keys() - {"weights", "samples", "protocol", "scalars", "better"}, name
        assert section["weights"] == result["weights"]
        assert set(section["better"]) <= set(section["scalars"])
    return result
