"""Overrides that make a recipe small enough for a test, without changing what it is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videxp.config import task_contracts
from videxp.core.contract import Contract

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
RECIPES = sorted(path.relative_to(EXPERIMENTS).with_suffix("").as_posix() for path in EXPERIMENTS.rglob("*.yaml"))
TASKS = task_contracts()
FINETUNE = "classification/finetune"  # of one's own videos: tests/test_finetune.py


def contract(recipe: str) -> Contract:
    """That of the recipe's task; an empty one for a recipe of a test's own."""
    path = EXPERIMENTS / f"{recipe}.yaml"
    if not path.is_file():
        return Contract()
    text = path.read_text()
    if task := re.search(r"override /task: (\S+)", text):
        return TASKS[task[1]]
    base = re.search(r"- /experiments/(\S+)", text)
    assert base is not None, recipe
    return contract(base[1])


# Those of published labelled data: tests/test_paper_recipes.py checks and shrinks them.
PAPERS = [
    recipe for recipe in RECIPES if contract(recipe).activation and "moving_digits" not in recipe and recipe != FINETUNE
]

TRAINER = ["hardware.num_workers=0", "trainer.max_epochs=2", "trainer.log_every_n_steps=2"]

TINY = [
    "dataset.layout.train_videos=40",
    "dataset.layout.val_videos=20",
    "dataset.layout.test_videos=31",  # uneven over two ranks and over the batches
    "dataset.layout.frames_per_video=10",
    "dataset.num_frames=4",
    "dataset.batch_size=8",
    "dataset.eval_batch_size=8",
    *TRAINER,
]

# For restoration: the digits' videos without their labels, whatever footage the recipe wants.
FOOTAGE = """# Moving digits as footage
defaults:
  - _restoration
name: moving_digits
layout:
  _target_: videxp.data.layouts.moving_digits.MovingDigits
  train_videos: 12
  val_videos: 10
  test_videos: 11
  frames_per_video: 4
"""

TINY_RESTORATION = [
    "dataset=footage",
    "dataset.num_frames=3",
    "dataset.crop_size=32",
    "dataset.batch_size=4",
    "dataset.eval_batch_size=4",
    "dataset.clips.train_repeats=1",
    "++trainer.check_val_every_n_epoch=1",
    "trainer.limit_val_batches=1",
    *TRAINER,
]

# For generation: the digits' videos with a black ground, whatever clips the recipe wants.
TINY_GENERATION = [
    *TINY,
    "dataset=moving_digits",
    "++dataset.layout.ground=black",
    "++dataset.layout.video_size=32",
    "dataset.size=32",
    "++dataset.stride_frames=1",
    "++dataset.decoding.frame_size=null",
    "++dataset.train_transform.mean=[0.5,0.5,0.5]",
    "++dataset.train_transform.std=[0.5,0.5,0.5]",
    "task.protocol.num_clips=31",
    "++model.num_frames=4",
    "++task.protocol.num_frames=4",
    "task.val_clips=20",
    "task.example_clips=2",
    "++trainer.check_val_every_n_epoch=1",
    "++trainer.max_steps=-1",
]


# For scenes: films of the embedded data set, whatever films the recipe wants.
TINY_SCENES = [
    "dataset=scene_films",
    "dataset.layout.train_shots=9",
    "dataset.layout.val_films=2",
    "dataset.layout.test_films=3",
    "dataset.layout.shots_per_film=3",
    "dataset.layout.frames_per_shot=30",
    "dataset.layout.video_size=32",
    "dataset.num_frames=20",
    "dataset.batch_size=4",
    *TRAINER,
]

# For detection: digits with boxes, whatever videos the recipe wants.
TINY_DETECTION = [
    *TINY,
    "dataset=moving_digit_boxes",
    "dataset.layout.train_videos=24",
    "dataset.layout.val_videos=3",
    "dataset.layout.test_videos=7",  # uneven over two ranks and over the batches
    "dataset.eval_batch_size=2",
]


def tiny(*overrides: str, recipe: str = "classification/moving_digits", cwd: Path | None = None) -> list[str]:
    """What makes the recipe tiny, with changes: videxp refuses to be told the same key twice.

    A restoration recipe's footage is described in `cwd`/conf.
    """
    small = TINY
    if "target" in contract(recipe).needs:
        assert cwd is not None
        footage = cwd / "conf/dataset/footage.yaml"
        footage.parent.mkdir(parents=True, exist_ok=True)
        is_inpainting = contract(recipe).predictor == "videxp.deploy.inpaint_files"
        footage.write_text(FOOTAGE.replace("_restoration", "_inpainting") if is_inpainting else FOOTAGE)
        small = [*TINY_RESTORATION, *nano(recipe)]
    if contract(recipe).network_parameter == "discriminators":
        small = [*TINY_GENERATION, *nano(recipe)]
    if "transitions" in contract(recipe).needs:
        small = [*TINY_SCENES, *nano(recipe)]
    if "boxes" in contract(recipe).needs:
        small = [*TINY_DETECTION, *nano(recipe)]
    by_key = {text.partition("=")[0].lstrip("+"): text for text in (*small, *overrides)}
    return list(by_key.values())


def nano(recipe: str) -> list[str]:
    """The recipe's model with few channels and blocks, and what goes with that."""
    from tests.models.zoo import MODELS  # imports torch

    text = (EXPERIMENTS / f"{recipe}.yaml").read_text()
    (model,) = re.findall(r"override /model: (\S+)", text)
    overrides = list(model_overrides("++model", MODELS[model].tiny))
    if "flow_frozen_batches" in text:
        overrides.append("task.flow_frozen_batches=3")
    if "num_classes" in text:
        overrides.append("++model.num_classes=10")
    if "perceptual" in text:
        overrides.append("~task.losses.perceptual")  # weights that are not there
    if "looks:" in text:
        overrides.append("task.baselines=null")  # files of the recipe's own data set
    return overrides


def model_overrides(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from model_overrides(f"{key}.{name}", part)
    else:
        yield f"{key}={value}"
