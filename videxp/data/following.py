"""Annotations follow what the transforms on the device do to the clips, or are refused before training."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from videxp.core.errors import BadRequest
from videxp.data.annotations.annotation import Annotation
from videxp.data.loading.views import Cutter, Joiner, Mover


def check_following(
    annotations: Sequence[Annotation], transforms: Mapping[str, nn.Module], *, frame_size: Sequence[int] | None
) -> None:
    """Raises BadRequest for a transform whose changes annotations of places in pictures cannot follow.

    transforms: by the argument of the data module that each is.
    """
    _check_corruptions(annotations, transforms)
    for argument, transform in transforms.items():
        if getattr(transform, "mosaic", 0) and not any(annotation.joins for annotation in annotations):
            raise BadRequest(
                f"dataset.{argument}.mosaic: it joins clips with boxes, and these have none: "
                f"set dataset.{argument}.mosaic=0"
            )
    if not (names := ", ".join(annotation.name for annotation in annotations if annotation.follows_cuts)):
        return
    for argument, transform in transforms.items():
        if isinstance(transform, Cutter) and frame_size is not None:
            raise BadRequest(
                f"dataset.decoding.frame_size={list(frame_size)}: {argument} cuts clips on the device, where {names} "
                "cannot follow: set dataset.decoding.frame_size=null"
            )
        if isinstance(transform, Mover) and transform.distorts:
            raise BadRequest(
                f"dataset.{argument} moves what pictures show where {names} cannot follow: "
                f"set {' '.join(f'dataset.{argument}.{off}' for off in transform.distorts)}"
            )


def _check_corruptions(annotations: Sequence[Annotation], transforms: Mapping[str, nn.Module]) -> None:
    names = ", ".join(annotation.name for annotation in annotations if annotation.moves)
    for argument, transform in transforms.items() if names else ():
        corruptions = getattr(transform, "corruptions", None)
        if corruptions is not None and (moving := [one.name for one in corruptions.corruptions if one.moves]):
            raise BadRequest(
                f"dataset.{argument}.corruptions: {', '.join(moving)} move what clips show, and {names} cannot follow: "
                f"set dataset.{argument}.corruptions=null, or leave them out of its names"
            )


def moved_fields(batch: dict[str, Any], annotations: Sequence[Annotation], transform: nn.Module) -> dict[str, Any]:
    """Those fields of a batch that follow what its transform is about to do to the clips."""
    lost = lost_fields(annotations, transform)
    fields = [one for one in annotations if one.moves and one.name in batch and one.name not in lost]
    if not fields or not isinstance(transform, Mover):
        return {}
    frames, height, width = batch["clip"].shape[1:4]
    values = {one.name: batch[one.name] for one in fields}
    if isinstance(transform, Joiner) and (mosaics := transform.mosaics(batch)) is not None:
        values = {one.name: one.join(values[one.name], mosaics, clip_HW=(height, width)) for one in fields}
    moves, min_visible = transform.moves(batch), getattr(transform, "min_visible", 0.0)
    moved = {one.name: one.move(values[one.name], moves, clip_THW=(frames, height, width)) for one in fields}
    return {one.name: one.leave_hidden(moved[one.name], min_visible=min_visible) for one in fields}


def lost_fields(annotations: Sequence[Annotation], transform: nn.Module) -> set[str]:
    """Those fields that clips made of parts of several have not: each part has its own."""
    return {one.name for one in annotations if not one.joins} if getattr(transform, "mosaic", 0) else set()
