"""A run's config for an evaluation, on its own data set or on another."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import OverrideType
from omegaconf import DictConfig

from videxp.config.addresses import refuse_unknown_addresses
from videxp.config.checking.check import check_config
from videxp.config.composing.overriding import apply_overrides, check_overrides, key_of, parse
from videxp.config.composing.recipe import compose_dataset
from videxp.config.problems import refuse
from videxp.config.saving import flat, load_resolved

LIMIT = "trainer.limit_test_batches"
Change = tuple[Any, Any]
"""A key's value in the run, and in the evaluation."""

# What the figures of a test depend on beside the samples: what the network sees of each, and how it is judged.
MATTERS = re.compile(
    r"dataset\.(num_frames|stride_frames|size|scale|cache|clips\.(clip_fps|sampling|short|test_clips|test_frames)"
    r"|decoding\.(decoder|frame_size|frame_fit|frame_scaler)|(test_transform|annotations\.degraded)(\..*)?)"
    r"|task\.(?!monitor$|losses\b|teacher|trained|frozen|label_smoothing|val_clips|example_|objective\b|discriminator_).*"
    r"|seed|hardware\.precision|trainer\.limit_test_batches"
)


def load_for_evaluation(path: Path | str, overrides: list[str]) -> tuple[DictConfig, dict[str, Change]]:
    """(the config.yaml of a run with overrides, what of it changes the figures: `{"dataset.size": (40, 112)}`).

    `dataset=NAME` composes that data set as a recipe would, with the overrides of `dataset.`; all else is the run's,
    whose own data need not be there. A limit of the test is no part of the run's config: one that was cut short for a
    try is still evaluated on everything. Raises BadRequest with all that is wrong.
    """
    problems, usable = check_overrides(overrides)
    own = load_resolved(path)
    own.trainer.limit_test_batches = None
    chosen = [text for text in usable if _chooses_data(text)]
    of_data = [text for text in usable if key_of(text).startswith("dataset.")] if chosen else []
    if chosen:
        cfg = load_resolved(path)
        problems += apply_overrides(cfg, [text for text in usable if text not in chosen + of_data])
        refuse(problems)
        shared = {"hardware": cfg.hardware, "seed": cfg.seed}
        cfg.dataset = compose_dataset(parse(chosen[0]).value(), of_data, shared=shared).dataset
        refuse(check_config(cfg))
    else:
        cfg = load_resolved(path, overrides=overrides)
    if not any(key_of(text) == LIMIT for text in usable):
        cfg.trainer.limit_test_batches = None
    refuse_unknown_addresses(cfg, typed=usable)
    return cfg, dict(_changes(own, cfg))


def _chooses_data(text: str) -> bool:
    override = parse(text)
    return key_of(text) == "dataset" and override.type == OverrideType.CHANGE and isinstance(override.value(), str)


def _changes(own: DictConfig, other: DictConfig) -> Iterator[tuple[str, Change]]:
    before, now = flat(own), flat(other)
    for key in sorted(before.keys() | now.keys()):
        if not MATTERS.fullmatch(key) or before.get(key) == now.get(key):
            continue
        if key == "dataset.num_frames" and any(of.get("dataset.clips.test_frames") for of in (before, now)):
            continue  # of a clip in training
        if not key.endswith(".seed"):
            yield key, (before.get(key), now.get(key))
