"""Every remedy that a message names is taken at its word: typed in the place of what was wrong, it is accepted."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.conftest import RECIPE

Call = Callable[..., tuple[int, str, str]]

# bad words, and which of them the remedy takes the place of (all others stay)
BAD = [
    ["optimizer.lrr=0.1"],
    ["optimizer.eps=1e-6"],
    ["+optimizer.lr=0.1"],
    ["optimizer=[adamw,sgd]"],
    ["model=[c3d]"],
    ["model=cnn3d_smal"],
    ["modell=cnn3d_small"],
    ["~callbacks"],
    ["callbacks=early_stopping"],
    ["hydra.rundir=a"],
    ["hydra.run.dir=null"],
    ["+hydra.run.dir=a"],
    ["run.group=日本"],
    ["run.notes=it's"],
    ["run.notes=a{b"],
    ["run.notes=None"],
    ["trainer.max_steps=1e3"],
    ["optimizer.lr='1e-3'"],
    ["trainer.limit_train_batches=0"],
    ["task.monitor=val/acc"],
    ["lr=0.1"],
    ["logger.wandb.project=team/films"],
]
PATTERNS = [
    r"write (logger.+)$",
    r"write (?!\d)(\S+)",
    r"did you mean ([\w./]+)",
    r"takes a [\w ]+: write ([\d.e-]+)",
    r"not text: write ([\d.e-]+)",
    r"; (\w[\w.]*=\S+)",
]


def remedy(said: str, bad: str) -> list[str]:
    """What to type instead of `bad`."""
    key, equals, value = bad.partition("=")
    if "plain word: " in said:
        return shlex.split(said.partition("plain word: ")[2].partition(", or ")[0])
    if "exists already" in said or "is there already" in said:
        return [bad.lstrip("+")]
    for pattern in PATTERNS:
        if match := re.search(pattern, said.strip()):
            words = next(group for group in match.groups() if group).rstrip("?").replace("FOLDER", "here")
            if "unknown" in said and "key" not in said:
                return [f"{key}={words}"]
            if "nobody logs" in said or re.fullmatch(r"[\d.e-]+", words):
                return [f"{key}={words}"]
            return words.split() if "=" in words else [f"{words}{equals}{value}"]
    raise AssertionError(f"no remedy in: {said}")


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_a_remedy_works_when_typed(words: list[str], folder: Path, call: Call):
    status, _, said = call("check", RECIPE, *words)
    assert status == 2
    status, _, again = call("check", RECIPE, *remedy(said, words[0]))
    assert status == 0, (said, remedy(said, words[0]), again)
