"""A run's config for an evaluation, on its own data set or on another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import OverrideType
from omegaconf import DictConfig

from videxp.config.checking import check_config
from videxp.config.composing import compose_dataset
from videxp.config.overriding import apply_overrides, check_overrides, key_of, parse
from videxp.config.problems import refuse
from videxp.config.saving import flat, load_resolved

# What a network sees of a video in a test; training, batches and places are no part of it.
SEEN = ("num_frames", "stride_frames", "clip_fps", "sampling", "size", "test_clips", "test_frames")
SEEN_DEEP = ("test_transform.", "worker_degradation")


def load_for_evaluation(path: Path | str, overrides: list[str]) -> tuple[DictConfig, list[str] | None]:
    """(the config.yaml of a run with overrides, how another data set is read otherwise: `size 112 (was 40)`; None where
    it is the run's own).

    `dataset=NAME` composes that data set as a recipe would, with the overrides of `dataset.`; all else is the run's,
    whose own data need not be there. Raises BadRequest with all that is wrong.
    """
    problems, usable = check_overrides(overrides)
    chosen = [text for text in usable if _chooses_data(text)]
    if not chosen:
        return load_resolved(path, overrides=overrides), None
    of_data = [text for text in usable if key_of(text).startswith("dataset.")]
    cfg = load_resolved(path)
    problems += apply_overrides(cfg, [text for text in usable if text not in chosen + of_data])
    refuse(problems)
    own = cfg.dataset
    shared = {"hardware": cfg.hardware, "seed": cfg.seed}
    cfg.dataset = compose_dataset(parse(chosen[0]).value(), of_data, shared=shared).dataset
    refuse(check_config(cfg))
    return cfg, list(_differences(own, cfg.dataset))


def _chooses_data(text: str) -> bool:
    override = parse(text)
    return key_of(text) == "dataset" and override.type == OverrideType.CHANGE and isinstance(override.value(), str)


def _differences(own: DictConfig, other: DictConfig) -> Iterator[str]:
    before, now = flat(own), flat(other)
    for key in sorted(before.keys() | now.keys()):
        if not (key in SEEN or key.startswith(SEEN_DEEP)) or key.endswith(".seed"):
            continue
        if key == "num_frames" and (before.get("test_frames") or now.get("test_frames")):
            continue  # of a clip in training
        if before.get(key) != now.get(key):
            yield f"{key} {_shown(now.get(key))} (was {_shown(before.get(key))})"


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
