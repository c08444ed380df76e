"""How many views of each video a test averages, by the names that papers give it: temporal clips x spatial crops.

Clips are evenly spaced from the video's start to its end; one crop is the center, three lie along the longer side.
A name stands for `dataset.clips.test_clips` and `dataset.test_transform.crops` and for nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Views:
    """Of each video."""

    clips: int
    crops: int

    def __str__(self) -> str:
        """`10x3 (30-view): 10 clips x 3 crops of each video`."""
        names = [name for name, views in PROTOCOLS.items() if views == self and name != self.name]
        alias = f" ({', '.join(names)})" if names else ""
        clips, crops = _counted(self.clips, "clip"), _counted(self.crops, "crop")
        return f"{self.name}{alias}: {clips} x {crops} of each video"

    @property
    def name(self) -> str:
        return f"{self.clips}x{self.crops}"


PROTOCOLS: dict[str, Views] = {
    "1x1": Views(1, 1),  # the central clip, its center: TSM's (Lin et al. 2019), where cost counts
    "1x3": Views(1, 3),  # TimeSformer (Bertasius et al. 2021); Something-Something v2 in MViT, Video Swin, UniFormer
    "2x3": Views(2, 3),  # Something-Something v2 in VideoMAE (Tong et al. 2022)
    "4x1": Views(4, 1),  # Kinetics in UniFormer (Li et al. 2022)
    "4x3": Views(4, 3),  # Kinetics in Video Swin (Liu et al. 2022) and ViViT (Arnab et al. 2021)
    "5x1": Views(5, 1),  # Kinetics in MViT (Fan et al. 2021)
    "5x3": Views(5, 3),  # Kinetics in VideoMAE (Tong et al. 2022) and the large MViTv2 (Li et al. 2022)
    "10x3": Views(10, 3),  # Kinetics in non-local networks (Wang et al. 2018), TSM, X3D
    "30-view": Views(10, 3),  # the same as SlowFast counts it: "30-view" (Feichtenhofer et al. 2019)
}


def views_of(datamodule: Any) -> Views:
    """What a data module's test averages."""
    return Views(datamodule.clips.test_clips, int(getattr(datamodule.test_transform, "crops", 1)))


def views_in(dataset: Mapping[str, Any]) -> Views:
    """The same of a data set's config."""
    transform = dataset.get("test_transform") or dataset.get("eval_transform") or {}
    return Views((dataset.get("clips") or {}).get("test_clips", 1), int(transform.get("crops", 1)))


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + "s" * (number != 1)
