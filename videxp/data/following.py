"""Annotations follow what the transforms on the device do to the clips, or are refused before training."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from videxp.core.errors import BadRequest
from videxp.data.annotations.annotation import Annotation
from videxp.data.loading.views import Cutter, Mover


def check_following(
    annotations: Sequence[Annotation], transforms: Mapping[str, nn.Module], *, frame_size: Sequence[int] | None
) -> None:
    """Raises BadRequest for a transform whose changes annotations of places in pictures cannot follow.

    transforms: by the argument of the data module that each is.
    """
    _check_corruptions(annotations, transforms)
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
    fields = [annotation for annotation in annotations if annotation.moves and annotation.name in batch]
    if not fields or not isinstance(transform, Mover):
        return {}
    moves, (frames, height, width) = transform.moves(batch), batch["clip"].shape[1:4]
    return {one.name: one.move(batch[one.name], moves, clip_THW=(frames, height, width)) for one in fields}
