"""What is remarkable about the boxes of a whole data set; `prepare` notes it."""

from collections.abc import Iterable, Mapping

import numpy as np

from videxp.data.manifest import Facts
from videxp.data.notes import Notes
from videxp.data.packed_boxes import Size, cut_to, fit_boxes, guess_size, join_texts, unpack_boxes, within


def tell_boxes(texts: Mapping[str, Iterable[str]], facts: Mapping[str, Facts], notes: Notes, *, cuts: bool) -> None:
    """texts: packed boxes of each video, by its path.

    cuts: those beyond the picture or the last frame are cut, or left out."""
    total, cut, left_out, furthest, first = 0, 0, 0, 0.0, ""
    reach: dict[Size, tuple[float, float, str]] = {}
    for path, text in ((path, text) for path, parts in texts.items() for text in join_texts(parts)):
        own = facts[path]
        if own.error:
            continue
        boxes_M7, size = fit_boxes(text, own)
        if not len(boxes_M7):
            notes.pass_over("videos without a box", path, about="boxes")
            continue
        total += len(boxes_M7)
        in_time, in_picture = within(boxes_M7, num_frames=own.num_frames, size=size)
        beyond = ~(in_time & in_picture)
        if beyond.any():
            first = first or f"{path}, frame {boxes_M7[beyond][0, 0]:g}"
            gone = len(boxes_M7) - len(cut_to(boxes_M7, num_frames=own.num_frames, size=size))
            cut, left_out = cut + int(beyond.sum()) - gone, left_out + gone
            furthest = max(furthest, overhang(boxes_M7[in_time], size))
        if unpack_boxes(text).size is None:
            far = boxes_M7[:, 3].max(), boxes_M7[:, 4].max()
            *before, _ = reach.get(size, (0.0, 0.0, path))
            reach[size] = (max(before[0], far[0]), max(before[1], far[1]), path)
    if cuts and cut + left_out:
        notes.tell(
            "boxes",
            f"{cut:,} of {total:,} go beyond their picture, by up to {furthest:.3g} pixels, and are cut to it; "
            f"{left_out:,} lie beyond it or the last frame, and are left out, such as {first}",
        )
    for own_size, (right, bottom, path) in reach.items():
        if guess := guess_size((right, bottom), own=own_size):
            notes.tell(
                "boxes",
                f"they reach to {right:.0f}x{bottom:.0f} of {own_size[0]}x{own_size[1]} pixels, such as of {path}: if "
                f"they refer to pictures of {guess[0]}x{guess[1]}, dataset.layout.size={guess[0]}x{guess[1]}",
            )


def overhang(boxes_M7: np.ndarray, size: Size) -> float:
    """By how many pixels the worst box goes beyond the picture."""
    if not len(boxes_M7):
        return 0.0
    corners_M4 = boxes_M7[:, 1:5]
    return float(max(0.0, -corners_M4.min(), *(corners_M4[:, 2:].max(0) - size)))
