"""Imported by the process that tests fork videxp from: libraries, and what the check keeps of their source.

Nothing is computed: a process whose torch has computed must not be forked.
"""

import gc
import io
import os
import warnings
from importlib import import_module
from unittest.mock import patch

from PIL import Image

from tests.shrink import tiny

LIBRARIES = ["wandb.sdk.launch", "wandb.apis.public", "matplotlib.backends.backend_agg", "rich.progress"]
LIBRARIES += ["rich._emoji_codes", "av.subtitles.stream", "torch.utils.serialization.config"]
OURS = [
    "experiment",
    "training",
    "commands.train",
    "commands.resume",
    "commands.evaluate",
    "data",
    "runs",
    "runs.newest",
]
OURS += ["runs.signals", "runs.wandb_logger", "transforms.train", "transforms.evaluate", "transforms.restoration"]
OURS += ["tasks.classification", "tasks.restoration", "tasks.generation", "tasks.pictures", "video.decord_reader"]
OURS += ["runs.supervision", "runs.provenance", "runs.stopping", "runs.log_file", "transforms.downscale"]
OURS += ["config.advice", "data.moving_digits", "models.small", "models.srresnet", "video.versions"]


def warm() -> None:
    for name in (*LIBRARIES, *(f"videxp.{name}" for name in OURS)):
        import_module(name)
    Image.preinit()
    from videxp import config
    from videxp.runs.code_state import own_packages
    from videxp.tasks.pictures import figure

    for more in ([], ["callbacks=[checkpoint,ema]"]):
        config.check(config.compose("classification/moving_digits", tiny("logger=csv", *more)))
    for recipe in ("super_resolution/sample_clips", "generation/moving_digits"):
        config.check(config.compose(recipe, []))
    own_packages()
    picture = figure(1, 1)
    picture.subplots().set_title("fonts")
    picture.savefig(io.BytesIO())


with warnings.catch_warnings(), patch.dict(os.environ, VIDEXP_ALLOW="tests"):
    warnings.simplefilter("ignore")
    warm()
gc.collect()
gc.freeze()  # children need not look through it
