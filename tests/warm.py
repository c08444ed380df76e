"""Imported by the process that tests fork videxp from: libraries, and what the check keeps of their source.

Nothing is computed: a process whose torch has computed must not be forked.
"""

import gc
import io
import os
import warnings
from importlib import import_module
from unittest.mock import patch

import yaml
from PIL import Image

from tests.shrink import tiny
from videxp.core.deferred import defer_torchmetrics

LIBRARIES = ["wandb.sdk.launch", "wandb.apis.public", "matplotlib.backends.backend_agg", "rich.progress"]
LIBRARIES += ["optuna.storages", "alembic.command", "sqlalchemy.dialects.sqlite"]
LIBRARIES += ["tests.forked", "tests.training.killing"]
LIBRARIES += ["torchvision.transforms.v2.functional"]
LIBRARIES += ["rich._emoji_codes", "av.subtitles.stream", "torch.utils.serialization.config"]
OURS = [
    "videxp.training.assembling",
    "videxp.training.course",
    "videxp.training.recording",
    "videxp.training.terminal",
    "videxp.training.log_file",
    "videxp.training.callbacks.stopping",
    "videxp.training.loggers.wandb_logger",
    "videxp.training.processes.signals",
    "videxp.training.processes.supervision",
    "videxp.cli.commands.train",
    "videxp.cli.commands.resume",
    "videxp.cli.commands.evaluate",
    "videxp.cli.commands.sweep",
    "videxp.sweeps.controller",
    "videxp.sweeps.local",
    "videxp.sweeps.search",
    "videxp.evaluation.results",
    "videxp.config.checking.advice",
    "videxp.runs.newest",
    "videxp.runs.provenance",
    "videxp.data",
    "videxp.data.layouts.moving_digits",
    "videxp.video.decord_reader",
    "videxp.video.versions",
    "videxp.transforms.train",
    "videxp.transforms.evaluate",
    "videxp.transforms.restoration",
    "videxp.transforms.downscale",
    "videxp.tasks.classification",
    "videxp.tasks.restoration",
    "videxp.tasks.generation",
    "videxp.tasks.pictures",
    "videxp.models.classification.small",
    "videxp.models.restoration.srresnet",
]


def warm() -> None:
    defer_torchmetrics()  # as a command does
    if yaml.__with_libyaml__:  # the same values; most of a small run's time goes into composing its config
        yaml.SafeLoader = yaml.CSafeLoader
    for name in (*LIBRARIES, *OURS):
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
