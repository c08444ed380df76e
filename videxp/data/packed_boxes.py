"""Boxes of a sample as the manifest keeps them, one text: `320x240@30:` and `frame x0 y0 x1 y1 class track` of each,
with semicolons between them. What stands before the colon says which size they refer to, and at which rate frames are
numbered, where these are not the video's own.

Legend: M boxes, rows of 7 numbers in that order.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from videxp.data.manifest import Facts

Size = tuple[int, int]
"""(width, height)"""
_HEAD = re.compile(r"(?:(\d+)x(\d+))?(?:@([\d.e+-]+))?:")
STANDARD_SIZES: tuple[Size, ...] = (
    (320, 240), (640, 480), (800, 600), (320, 180), (480, 270), (640, 360), (854, 480), (960, 540), (1280, 720),
    (1920, 1080), (3840, 2160), (352, 288), (720, 576), (720, 480),
)  # fmt: skip
FILLED = 0.97
"""Share of a size's sides that boxes reach at least where they refer to it."""


SAME_RATE = 1e-4
"""Rates that differ by a lesser share are one: frames keep their numbers."""


@dataclass(frozen=True)
class PackedBoxes:
    size: Size | None
    fps: float | None
    boxes_M7: np.ndarray
    """float64"""


def pack_boxes(rows: Iterable[Sequence[float]], *, size: Size | None = None, fps: float | None = None) -> str:
    text = ";".join(f"{frame:.0f} {x0:.9g} {y0:.9g} {x1:.9g} {y1:.9g} {label:.0f} {track:.0f}"
                    for frame, x0, y0, x1, y1, label, track in rows)  # fmt: skip
    head = ("" if size is None else f"{size[0]}x{size[1]}") + ("" if fps is None else f"@{fps:.9g}")
    return f"{head}:{text}" if head else text


def unpack_boxes(text: str) -> PackedBoxes:
    match = _HEAD.match(text)
    size = (int(match[1]), int(match[2])) if match and match[1] else None
    fps = float(match[3]) if match and match[3] else None
    numbers = text[match.end() if match else 0 :].replace(";", " ")
    boxes = np.fromstring(numbers, dtype=np.float64, sep=" ") if numbers else np.zeros(0)
    return PackedBoxes(size, fps, boxes.reshape(-1, 7))


def fit_boxes(text: str, own: Facts) -> tuple[np.ndarray, Size]:
    """Packed boxes on the frames of a video, float64 [M,7], and the size that they refer to."""
    packed = unpack_boxes(text)
    boxes_M7 = packed.boxes_M7
    if packed.fps is not None and abs(packed.fps / own.fps - 1) > SAME_RATE:
        boxes_M7 = at_rate(boxes_M7, fps=packed.fps, own_fps=own.fps)
    return boxes_M7, packed.size or (own.width, own.height)


def join_texts(texts: Iterable[str]) -> list[str]:
    """Those that refer to the same size and rate as one."""
    bodies: dict[str, list[str]] = {}
    for text in texts:
        end = match.end() if (match := _HEAD.match(text)) else 0
        bodies.setdefault(text[:end], []).append(text[end:])
    return [head + ";".join(filter(None, of_head)) for head, of_head in bodies.items()]


def at_rate(boxes_M7: np.ndarray, *, fps: float, own_fps: float) -> np.ndarray:
    """The same with frames of a video of another rate: those shown at the same time. Where several fall on one, the
    boxes of the nearest are kept."""
    times_M = boxes_M7[:, 0] / fps
    frames_M = np.rint(times_M * own_fps)
    off_M = np.abs(frames_M / own_fps - times_M)
    frames, of_M = np.unique(frames_M, return_inverse=True)
    nearest = np.full(len(frames), np.inf)
    np.minimum.at(nearest, of_M, off_M)
    kept = off_M <= nearest[of_M] + 1e-9
    return np.column_stack([frames_M, boxes_M7[:, 1:]])[kept]


def within(boxes_M7: np.ndarray, *, num_frames: int, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Bool [M] each: whether a box lies on one of the frames, and whether it is a box within the picture."""
    frame_M, x0_M, y0_M, x1_M, y1_M = boxes_M7[:, :5].T
    in_time = (frame_M >= 0) & (frame_M < num_frames)
    in_picture = (x0_M >= 0) & (x0_M < x1_M) & (x1_M <= size[0]) & (y0_M >= 0) & (y0_M < y1_M) & (y1_M <= size[1])
    return in_time, in_picture


def fault_of(boxes_M7: np.ndarray, *, in_time: np.ndarray, in_picture: np.ndarray, num_frames: int, size: Size) -> str:
    """What is wrong with the first of the boxes that are not `within`, and how many others there are."""
    first, *others = np.flatnonzero(~(in_time & in_picture)).tolist()
    frame, *corners = boxes_M7[first, :5]
    where = f"frame {frame:g}, {' '.join(f'{corner:g}' for corner in corners)},"
    beyond_end = f"is outside of its {num_frames} frames"
    fault = f"is no box within its {size[0]}x{size[1]} pixels" if in_time[first] else beyond_end
    return f"{where} {fault}" + (f", as are {len(others):,} others of {len(boxes_M7):,}" if others else "")


def repack(text: str, boxes_M7: np.ndarray, size: Size) -> str:
    """Boxes that were unpacked from a text, packed with the size that they refer to and the video's own rate."""
    match = _HEAD.match(text)
    if np.array_equal(unpack_boxes(text).boxes_M7, boxes_M7):  # which is faster than to write them
        return f"{size[0]}x{size[1]}:{text[match.end() if match else 0 :]}"
    return pack_boxes(boxes_M7, size=size)


def cut_to(boxes_M7: np.ndarray, *, num_frames: int, size: Size) -> np.ndarray:
    """Cut to the picture, without those of which nothing lies in it or that are beyond the last frame."""
    cut_M7 = boxes_M7.copy()
    cut_M7[:, 1:5:2] = cut_M7[:, 1:5:2].clip(0, size[0])
    cut_M7[:, 2:5:2] = cut_M7[:, 2:5:2].clip(0, size[1])
    in_time, in_picture = within(cut_M7, num_frames=num_frames, size=size)
    return cut_M7[in_time & in_picture]


def guess_size(reach: tuple[float, float], *, own: Size) -> Size | None:
    """The standard size that boxes fill which reach so far to the right and down, where they do not fill the video's
    own; None: no such."""

    def filled(size: Size) -> bool:
        return all(FILLED * side <= far <= side for far, side in zip(reach, size))

    return None if filled(own) else next((size for size in STANDARD_SIZES if size != own and filled(size)), None)
