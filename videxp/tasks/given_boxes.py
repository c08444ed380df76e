"""The boxes whose classes are asked for, and the clip around the frame of each.

Legend: N clips, T frames of a clip, L of a window; M boxes, K classes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from videxp.data.annotations.ragged import Ragged

WINDOWS_AT_ONCE = 8


class GivenBoxes(NamedTuple):
    """Boxes of one frame of each of N clips."""

    xyxy: Tensor
    """float [M,4], pixels of the clip"""
    clip: Tensor
    """int64 [M], ascending"""
    track: Tensor
    """int64 [M]; -1: none"""
    classes: Tensor
    """float [M,K], 1 for each class that the box has, else 0"""


class Window(NamedTuple):
    """Some frames of a sample as clips of the network, each around its frame."""

    video: Tensor
    """float [n,L,C,H,W]"""
    frames: list[int]
    """Numbers of these n frames in the clip that was read."""


def boxes_at(boxes: Ragged, frame_N: Tensor, *, num_classes: int) -> GivenBoxes:
    """The boxes of one frame of each clip; rows of one box with several classes become one."""
    rows = boxes.rows
    on_frame = rows["frame"] == frame_N.to(boxes.owner.device)[boxes.owner]
    owner, track, label = boxes.owner[on_frame], rows["track"][on_frame], rows["label"][on_frame]
    keys = torch.cat([owner[:, None].double(), track[:, None].double(), rows["xyxy"][on_frame].double()], dim=1)
    unique, place = keys.unique(dim=0, return_inverse=True)
    classes = torch.zeros(len(unique), num_classes, device=keys.device)
    classes[place, label] = 1
    return GivenBoxes(unique[:, 2:].to(rows["xyxy"].dtype), unique[:, 0].long(), unique[:, 1].long(), classes)


def key_frame(length: int) -> int:
    """Which frame of a clip its boxes are of: AVA's, the first of the second half."""
    return length // 2


def windows_around(video: Tensor, frames: list[int], *, length: int) -> Iterator[Window]:
    """Of a whole film [T,C,H,W] the clips that have these frames as their key frames, a few at once; at its ends the
    first or last frame is held."""
    offset = torch.arange(length) - key_frame(length)
    for first in range(0, len(frames), WINDOWS_AT_ONCE):
        some = frames[first : first + WINDOWS_AT_ONCE]
        index = (torch.tensor(some)[:, None] + offset).clamp(0, len(video) - 1)
        yield Window(video[index.to(video.device)], some)


def whole_pictures(video: Tensor) -> dict[str, Any]:
    """A box around all of each clip's picture, where none is given."""
    clips, height, width = video.shape[0], video.shape[-2], video.shape[-1]
    box = torch.tensor([[[0.0, 0.0, width, height]]], device=video.device)
    return {"condition": box.expand(clips, 1, 4)}
