"""A recipe's file by itself: what Hydra would misread is refused with file, line and how the line must read."""

from collections.abc import Callable
from pathlib import Path

import hydra
import pytest
from hydra.errors import ConfigCompositionException

from tests.config.test_bad_configs import plain_hydra
from videxp.config.composing.sources import mount
from videxp.config.places import own_folder

Call = Callable[..., tuple[int, str, str]]

GOOD = """# @package _global_
# A recipe of one's own
defaults:
  - override /dataset: moving_digits
  - override /model: cnn3d_small
  - override /task: classification
optimizer: {lr: 0.01}
"""
MODEL = "`- {}model: cnn3d_small` must read `- override /model: cnn3d_small`"

# what is done to the good one: (the old words, the new ones), what is said
WRONG = {
    "no package line": ("# @package _global_\n", "", ": a recipe's first line must be `# @package _global_`"),
    "misspelt package line": ("_global_", "_globl_", "must be `# @package _global_`, and is `# @package _globl_`"),
    "package line second": ("# @package", "# Mine\n# @package", "must be `# @package _global_`, and is `# Mine`"),
    "no slash": ("override /model", "override model", ":5: " + MODEL.format("override ")),
    "no override": ("override /model", "/model", ":5: " + MODEL.format("/")),
    "neither": ("override /model", "model", ":5: " + MODEL.format("")),
    "misspelt group": ("/task", "/tasks", ":6: `- override /tasks: classification` names no part of a recipe; write"),
    "two of one": ("cnn3d_small", "[c3d, s3d]", "` takes one; write `- override /model: c3d"),
    "a mapping": ("override /task: classification", "{a: {b: 1}}", ":6: `- {...}` is no entry of defaults; write"),
    "a number": ("override /task: classification", "3", ":6: `- 3` is no entry of defaults"),
    "part of Hydra": ("override /task: classification", "override hydra/launcher: joblib", "has no effect; launcher="),
    "no list": ("defaults:\n", "defaults: x\nrest:\n", ":3: defaults is no list; write each as"),
    "itself": ("defaults:\n", "defaults:\n  - mine\n", ": builds upon itself (mine -> mine); take it out of defaults"),
    "a circle": ("defaults:\n", "defaults:\n  - other\n", ": builds upon itself (mine -> other -> mine)"),
    "as a group": ("defaults:\n", "defaults:\n  - experiments: x/y\n", "` must read `- /experiments/x/y`"),
    "a recipe last": ("optimizer", "  - other\noptimizer", ":7: `- other` must stand before all overrides"),
    "_self_ first": ("defaults:\n", "defaults:\n  - _self_\n  - other\n", ":5: `- other` goes over this file"),
    "a tab": ("{lr: 0.01}", "\n\tlr: 0.01", ":8: cannot be read: a tab; YAML is indented by blanks"),
    "twice": ("{lr: 0.01}", "{lr: 0.01}\noptimizer: {lr: 0.02}", ":8: the key optimizer is there twice; keep one"),
    "twice deep": ("{lr: 0.01}", "{lr: 0.01, lr: 0.02}", ":7: the key lr is there twice; keep one of them"),
    "two documents": ("optimizer", "---\noptimizer", ":7: cannot be read as YAML"),
    "Hydra's mode": ("optimizer", "hydra: {mode: MULTIRUN}\noptimizer", "hydra.mode: has no effect; videxp sweep"),
    "Hydra's sweep": ("optimizer", "hydra: {sweeper: {params: {seed: '0,1'}}}\noptimizer", "hydra.sweeper: has no"),
    "no folder": ("optimizer", "hydra: {run: {dir: null}}\noptimizer", "hydra.run.dir: Incompatible value 'None'"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", WRONG)
def test_a_recipe_that_would_be_misread_is_refused_in_one_line(case: str, write, call: Call):
    old, new, said = WRONG[case]
    assert old in GOOD
    write(
        "experiments/other.yaml",
        GOOD.replace("defaults:\n", "defaults:\n  - mine\n" if case == "a circle" else "defaults:\n"),
    )
    write("experiments/mine.yaml", GOOD.replace(old, new, 1))
    status, out, err = call("check", "mine")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "mine.yaml: is empty; a recipe is `# @package _global_`, then KEY: VALUE lines"),
        (b"- 1\n", "mine.yaml: is a list; a recipe is"),
        (b"hello\n", "mine.yaml: is a word; a recipe is"),
        ((GOOD + "run: {notes: café}\n").encode("latin-1"), "no UTF-8 (Latin-1, perhaps); save it as UTF-8"),
        (GOOD.encode("utf-16"), "mine.yaml: cannot be read: its text is UTF-16; save it as UTF-8"),
    ],
    ids=["empty", "list", "word", "latin-1", "utf-16"],
)
def test_a_file_that_is_no_recipe_is_named(content: bytes, said: str, folder: Path, call: Call):
    Path("mine.yaml").write_bytes(content)
    status, out, err = call("check", "mine.yaml")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my recipe (1)", "a=b,c", "null", "it's 日本"])
def test_a_recipe_may_be_called_anything_and_begin_with_a_byte_order_mark(name: str, folder: Path, call: Call):
    Path(f"{name}.yaml").write_text(GOOD, encoding="utf-8-sig")
    assert call("check", f"{name}.yaml")[:2][0] == 0


@pytest.mark.parametrize(
    ("path", "typed", "said"),
    [
        ("mine.yml", "mine.yml", "a recipe's file ends in .yaml: rename it to mine.yaml"),
        ("mine.yaml", "mine", "there is mine.yaml: give that path, or move it into experiments/"),
        ("conf/experiments/mine.yaml", "mine", "there is conf/experiments/mine.yaml: give that path"),
        ("a.yaml", "experiments/classification/moving_digits", "write classification/moving_digits"),
        ("a.yaml", "gone.yaml", "no such file"),
    ],
)
def test_a_recipe_in_another_place_is_found_for_the_user(path: str, typed: str, said: str, write, call: Call):
    write(path, GOOD)
    status, _, err = call("check", typed)
    assert (status, err.count("\n")) == (2, 1) and said in err


def test_plain_hydra_misreads_them(folder: Path):
    """The negative control: two optimizers are merged, a recipe without the line says nothing to anybody."""
    Path("mine.yaml").write_text(GOOD.replace("# @package _global_\n", ""))
    with plain_hydra():
        recipe = "experiments=classification/moving_digits"
        merged = hydra.compose("config", [recipe, "optimizer=[sgd,adamw]"]).optimizer
        assert merged._target_ == "torch.optim.AdamW" and merged.nesterov
    mount(folder)
    with (
        hydra.initialize_config_dir(str(own_folder("conf")), version_base="1.3"),
        pytest.raises(ConfigCompositionException, match="You must specify 'task'"),
    ):
        hydra.compose("config", ["experiments=mine"])


WITHOUT_EFFECT = {
    "hydra.mode=MULTIRUN": "hydra.mode: has no effect; videxp sweep makes many",
    "hydra.job.chdir=true": "hydra.job.chdir: has no effect; paths are relative",
    "hydra.output_subdir=.hydra": "hydra.output_subdir: has no effect; the run folder's config.yaml",
    "hydra.sweep.subdir=x": "hydra.sweep.subdir: has no effect",
    "+hydra.sweeper.params={seed:1}": "hydra.sweeper.params: has no effect; videxp sweep RECIPE KEY=a,b",
    "+hydra.nothing=1": "hydra.nothing: has no effect; of Hydra, hydra.run.dir and hydra.sweep.dir are set",
    "hydra/launcher=joblib": "hydra/launcher: has no effect; launcher=local",
    "hydra/sweeper=optuna": "sweep.sampler says how",
    "hydra.run.dir=null": "takes the path of a folder; write hydra.run.dir=FOLDER",
    "hydra.run.dir=''": "takes the path of a folder; write hydra.run.dir=FOLDER",
    "~hydra.run.dir": "every run has a folder; write hydra.run.dir=FOLDER",
    "optimizer=[adamw,sgd]": "optimizer=[adamw,sgd]: takes one; write optimizer=adamw",
    "callbacks=[checkpoint,checkpoint]": "names one of them twice",
    "~callbacks": "is a choice of several; write callbacks=[checkpoint]",
    "model@x=c3d": "packages are chosen in files alone; write model=NAME",
    "run.group=日本": "quote a value that is no plain word: \"run.group='日本'\"",
    "dataset.train_transform.mean.7=0.5": "the list has 3, dataset.train_transform.mean.0 to dataset.train_trans",
    "seed=4294967296": "seed=4294967296: out of range; must be >= 0 and <= 4294967295",
}


def test_overrides_without_effect_are_refused_with_what_takes_their_place(folder: Path, call: Call):
    status, out, err = call("check", "classification/moving_digits", *WITHOUT_EFFECT)
    lines = err.splitlines()
    assert (status, out, len(lines)) == (2, "", len(WITHOUT_EFFECT))
    for override, said in WITHOUT_EFFECT.items():
        assert any(said in line for line in lines), override


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--cfg=job", "--info=defaults", "--hydra-help"])
def test_the_flags_of_hydra_take_their_value_after_an_equals_sign_too(flag: str, folder: Path, call: Call):
    assert call("train", "classification/moving_digits", flag)[0] == 0
