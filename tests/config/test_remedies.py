"""Every remedy that a message names is taken at its word: typed in the place of what was wrong, it is accepted."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.conftest import RECIPE

pytestmark = pytest.mark.slow  # together
Call = Callable[..., tuple[int, str, str]]

# Words that are wrong, and whose remedies go together: as many are typed at once as can be.
BAD = [
    [
        "optimizer.lrr=0.1",
        "optimizer.eps=1e-6",
        "model=[c3d]",
        "~callbacks",
        "hydra.rundir=a",
        "run.group=日本",
        "run.notes=it's",
        "trainer.max_steps=1e3",
        "task.monitor=val/acc",
        "logger.wandb.project=team/films",
    ],
    [
        "+optimizer.lr=0.1",
        "optimizer=[adamw,sgd]",
        "model=cnn3d_smal",
        "callbacks=early_stopping",
        "hydra.run.dir=null",
        "run.notes=a{b",
    ],
    ["modell=cnn3d_small", "lr=0.1", "+hydra.run.dir=a", "run.notes=None"],
    ["optimizer.lr='1e-3'", "trainer.limit_train_batches=0"],
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


@pytest.mark.parametrize("words", BAD, ids=lambda words: words[0])
def test_remedies_work_when_typed(words: list[str], folder: Path, call: Call):
    status, _, said = call("check", RECIPE, *words)
    lines = {re.split("[=:]", line.removeprefix("videxp: "))[0].lstrip("+"): line for line in said.splitlines()}
    assert (status, len(lines)) == (2, len(words)), said
    remedies = [text for word in words for text in remedy(lines[word.lstrip("+").partition("=")[0]], word)]
    status, _, again = call("check", RECIPE, *remedies)
    assert status == 0, (said, remedies, again)


@pytest.mark.parametrize(
    ("recipe", "dataset"),
    [(RECIPE, "folder_per_class"), ("generation/moving_digits", "generation_folder")],
    ids=["classes", "none"],
)
def test_a_folder_in_the_place_of_a_data_set_is_answered_with_what_reads_it(
    recipe: str, dataset: str, folder: Path, call: Call
):
    (folder / "my clips/a").mkdir(parents=True)
    (folder / "my clips/a/0.mp4").write_bytes(b"\0")
    status, _, said = call("check", recipe, "dataset=my clips")
    assert (status, len(said.splitlines())) == (2, 1), said
    root = "'dataset.root=my clips'"
    assert (
        f"; dataset=folder_per_class {root}, or without classes dataset=video_folder or generation_folder {root} ("
        in said
    )
    status, _, said = call("check", recipe, f"dataset={dataset}", *shlex.split(root))
    assert status == 0, said
