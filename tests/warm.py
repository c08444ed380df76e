"""Imported by the process that tests fork videxp from: libraries, and what the check keeps of their source.

Nothing is computed: a process whose torch has computed must not be forked.
"""

import os
import warnings
from importlib import import_module
from unittest.mock import patch

from tests.shrink import tiny

LIBRARIES = ["wandb.sdk.launch", "wandb.apis.public", "matplotlib.figure", "matplotlib.backends.backend_agg"]
OURS = ["experiment", "commands.train", "commands.resume", "commands.evaluate", "tasks", "tasks.classification", "data"]
OURS += ["runs", "transforms", "config.checking", "config.composing", "video.decord_reader", "models.small"]
OURS += ["data.moving_digits", "runs.newest"]


def warm() -> None:
    for name in (*LIBRARIES, "rich.progress", *(f"videxp.{name}" for name in OURS)):
        import_module(name)
    from videxp import config

    for more in ([], ["callbacks=[checkpoint,ema]"]):
        config.check(config.compose("classification/moving_digits", tiny("logger=csv", *more)))


with warnings.catch_warnings(), patch.dict(os.environ, VIDEXP_ALLOW="tests"):
    warnings.simplefilter("ignore")
    warm()
