"""Checks before training that the samples of a split can form batches; messages name the files."""

from collections.abc import Collection, Sequence

import numpy as np

from videxp.core.errors import BadRequest
from videxp.data.manifest import Manifest, Part, Split

EVALUATED: tuple[Split, ...] = ("val", "test")


def check_sizes(
    manifest: Manifest,
    *,
    frame_size: tuple[int, int] | None,
    crop_size: tuple[int, int] | None,
    scale: int,
    eval_batch_size: int,
    cut: Collection[Split],
    tested: Part = "test",
) -> None:
    """Raises BadRequest where frames as workers leave them are too small, or differ within a batch.

    cut: stages for which workers cut clips of one size, whatever that of the frames. tested: what the test reads."""
    check_scale(manifest, scale=scale)
    if frame_size is not None:
        if manifest.scale is not None:
            raise BadRequest(f"dataset.decoding.frame_size={list(frame_size)}: pairs are not resized: set it to null")
        return
    if crop_size is None:
        if "train" not in cut:
            check_one_size(manifest, split="train")
    else:
        check_crop(manifest, crop_size=crop_size)
    for stage in EVALUATED if eval_batch_size > 1 else ():
        if stage in cut:
            continue
        remedy = "set dataset.decoding.frame_size=[height,width], or dataset.eval_batch_size=1"
        check_one_size(manifest, split=tested if stage == "test" else stage, remedy=remedy)


def check_one_size(
    manifest: Manifest, *, split: Part, remedy: str = "set dataset.decoding.frame_size=[height,width]"
) -> None:
    """Raises BadRequest where the files of a split differ in size, so that they cannot form a batch."""
    samples = manifest.samples(split)
    sizes = np.stack([manifest["width"][samples], manifest["height"][samples]], axis=1)  # [n,2]
    different = np.flatnonzero((sizes != sizes[:1]).any(axis=1))
    if len(different):
        (w1, h1), (w2, h2) = sizes[0], sizes[different[0]]
        first, second = (manifest["path"][samples[i]] for i in (0, different[0]))
        raise BadRequest(f"Data set {manifest.name}: {first} is {w1}x{h1}, {second} is {w2}x{h2}: {remedy}")


def check_one_length(manifest: Manifest, *, split: Part, lengths: Sequence[int]) -> None:
    """Raises BadRequest where whole videos differ in length; `lengths`: frames of each of the split's samples."""
    different = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    if different is not None:
        samples = manifest.samples(split)
        first, second = (f"{manifest['path'][samples[i]]} has {lengths[i]} frames" for i in (0, different))
        raise BadRequest(f"Data set {manifest.name}: {first}, {second}: set dataset.eval_batch_size=1")


def check_crop(manifest: Manifest, *, crop_size: tuple[int, int]) -> None:
    """Raises BadRequest where a training file is smaller than what is to be cut out of it."""
    for i in manifest.samples("train"):
        height, width = int(manifest["height"][i]), int(manifest["width"][i])
        if height < crop_size[0] or width < crop_size[1]:
            raise BadRequest(
                f"Data set {manifest.name}: {manifest['path'][i]} is {width}x{height}: too small for "
                f"dataset.crop_size={list(crop_size)} (height, width)"
            )


def check_scale(manifest: Manifest, *, scale: int) -> None:
    """Raises BadRequest where the inputs on disk are not what the recipe's scale says."""
    if manifest.scale not in (None, scale):
        first = next(path for path in manifest["input"] if path)
        raise BadRequest(
            f"Data set {manifest.name}: its inputs, such as {first}, are x{manifest.scale}, not x{scale}: "
            f"set dataset.scale={manifest.scale}, or other inputs"
        )


def crop_height_width(given: int | Sequence[int] | None, *, scale: int) -> tuple[int, int] | None:
    """(height, width). Raises BadRequest if the scale does not divide them."""
    if given is None:
        return None
    size = [given, given] if isinstance(given, int) else list(given)
    if len(size) != 2 or min(size) < 1 or any(pixels % scale for pixels in size):
        raise BadRequest(f"dataset.crop_size={given}: pixels, or [height, width], multiples of dataset.scale={scale}")
    return int(size[0]), int(size[1])
