"""`dataset.protocol=10x3`: a name for how many clips and crops a test averages, in the place of both numbers."""

from omegaconf import DictConfig, open_dict

from videxp.config.overriding import key_of
from videxp.config.problems import Problem
from videxp.data.testing_protocols import PROTOCOLS

KEY, CLIPS, CROPS = "dataset.protocol", "dataset.test_clips", "dataset.test_transform.crops"


def settle_protocol(cfg: DictConfig, overrides: list[str]) -> list[Problem]:
    """Replace the name by the numbers, in place: a settled config has these alone, so that nothing can contradict them.

    A name goes over numbers that a file gives; one of them among the overrides, beside a name, is a problem.
    """
    dataset = cfg.get("dataset")
    if not isinstance(dataset, DictConfig) or "protocol" not in dataset:
        return []
    with open_dict(dataset):
        name = dataset.pop("protocol")
    if name is None:
        return []
    given = [text for text in overrides if key_of(text) in (CLIPS, CROPS)]
    if given:
        return [Problem(KEY, name, f"says what {given[0]} says in another way; keep one of them")]
    if name not in PROTOCOLS:
        message = f"unknown protocol; known: {', '.join(PROTOCOLS)}; any other: {CLIPS}=7 {CROPS}=3"
        return [Problem(KEY, name, message)]
    views = PROTOCOLS[name]
    if "crops" not in (dataset.get("test_transform") or {}):
        return [Problem(KEY, name, "its test has no crops to be averaged; a protocol is for data sets with labels")]
    if views.clips > 1 and dataset.get("sampling") == "segments":
        message = f"sampling=segments makes one clip of a whole video; {KEY}=1x{views.crops}"
        return [Problem(KEY, name, message)]
    dataset.test_clips, dataset.test_transform.crops = views.clips, views.crops
    return []
