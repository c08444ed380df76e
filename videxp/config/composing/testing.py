"""`dataset.protocol=10x3`: a name for how many clips and crops a test averages, in the place of both numbers."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from videxp.config.composing.overriding import key_of
from videxp.config.problems import Problem
from videxp.data.loading.testing_protocols import PROTOCOLS

KEY, CLIPS, CROPS = "dataset.protocol", "dataset.clips.test_clips", "dataset.test_transform.crops"


def settle_protocol(cfg: DictConfig, overrides: list[str], *, recipe: Path | None = None) -> list[Problem]:
    """Replace the name by the numbers, in place: a settled config has these alone, so that nothing can contradict them.

    A name in a recipe goes over the numbers of its data set, one on the command line over those of the recipe. A number
    where the name is, or nearer to the user, is a problem.
    """
    dataset = cfg.get("dataset")
    if not isinstance(dataset, DictConfig) or "protocol" not in dataset:
        return []
    with open_dict(dataset):
        name = dataset.pop("protocol")
    if name is None:
        return []
    if name not in PROTOCOLS:
        message = f"unknown protocol; known: {', '.join(PROTOCOLS)}; any other: {CLIPS}=7 {CROPS}=3"
        return [Problem(KEY, name, message)]
    views = PROTOCOLS[name]
    given = [text for text in overrides if key_of(text) in (CLIPS, CROPS)]
    if recipe is not None and KEY not in map(key_of, overrides):
        given += _numbers(recipe)
    if given:
        stands_for = f"stands for {CLIPS}={views.clips} {CROPS}={views.crops}"
        return [Problem(KEY, name, f"{stands_for}, and {', '.join(given)} is given, too; keep one of them")]
    if "crops" not in (dataset.get("test_transform") or {}):
        return [Problem(KEY, name, "its test has no crops to be averaged; a protocol is for data sets with labels")]
    if views.clips > 1 and dataset.clips.get("sampling") == "segments":
        message = f"sampling=segments makes one clip of a whole video; {KEY}=1x{views.crops}"
        return [Problem(KEY, name, message)]
    dataset.clips.test_clips, dataset.test_transform.crops = views.clips, views.crops
    return []


def _numbers(recipe: Path) -> list[str]:
    """Those that the recipe's own file gives: `["dataset.clips.test_clips=10"]`."""
    own: Any = OmegaConf.to_container(OmegaConf.load(recipe), resolve=False)  # what it refers to lies in other files
    dataset = own.get("dataset") or {}
    found = {
        CLIPS: (dataset.get("clips") or {}).get("test_clips"),
        CROPS: (dataset.get("test_transform") or {}).get("crops"),
    }
    return [f"{key}={value}" for key, value in found.items() if value is not None]
