"""A folder of pictures, one per frame, read as a video.

Shapes: T frames, H, W pixels, C = 3.
"""

import re
from itertools import pairwise
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from videxp.errors import BadRequest
from videxp.video.errors import DecodeError, UnreadableVideo
from videxp.video.reader import Reader

FIELD = re.compile(r"\{[^{}]*\}")


class FrameFolderReader(Reader):
    """`template`: the name of a picture with one field for its number, `img_{:05d}.jpg`; numbers without gaps."""

    def __init__(self, folder: str | PathLike[str], *, template: str | None, fps: float | None) -> None:
        if template is None or fps is None or fps <= 0:
            raise BadRequest(f"{folder}: a folder of frames needs template=img_{{:05d}}.jpg and fps > 0 (got {fps})")
        self._files = frame_files(folder, template=template)
        try:
            with Image.open(self._files[0]) as picture:
                width, height = picture.size
        except OSError as error:
            raise UnreadableVideo(self._files[0], error) from None
        super().__init__(folder, num_frames=len(self._files), fps=float(fps), size=(height, width))

    def _read(self, wanted: np.ndarray) -> torch.Tensor:
        height, width = self.size
        clip_THWC = np.empty((len(wanted), height, width, 3), np.uint8)
        for place, number in enumerate(wanted.tolist()):
            try:
                with Image.open(self._files[number]) as picture:
                    pixels_HWC = np.asarray(picture.convert("RGB"))
            except (OSError, ValueError) as error:
                raise DecodeError(self.path, [number], f"{self._files[number].name}: {error}") from None
            if pixels_HWC.shape != (height, width, 3):
                cause = f"{self._files[number].name} has size {pixels_HWC.shape[:2]}, the first frame {(height, width)}"
                raise DecodeError(self.path, [number], cause)
            clip_THWC[place] = pixels_HWC
        return torch.from_numpy(clip_THWC)


def frame_files(folder: str | PathLike[str], *, template: str) -> list[Path]:
    """The pictures in order of their numbers, from 0 or 1 or wherever they start.

    Raises `BadRequest` for a template without exactly one field, `UnreadableVideo` for no pictures or a gap.
    """
    fields = FIELD.findall(template)
    if len(fields) != 1:
        raise BadRequest(f"frame name template {template!r} needs exactly one field, such as {{:05d}}")
    before, after = template.split(fields[0])
    numbers = []
    for file in Path(folder).iterdir() if Path(folder).is_dir() else []:
        name = file.name
        middle = name[len(before) : len(name) - len(after)]
        if name.startswith(before) and name.endswith(after) and middle.isdecimal():
            number = int(middle)
            if template.format(number) == name:
                numbers.append(number)
    if not numbers:
        raise UnreadableVideo(folder, f"no frames named as {template}")
    numbers.sort()
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        missing = next(a + 1 for a, b in pairwise(numbers) if b != a + 1)
        raise UnreadableVideo(folder, f"frame {template.format(missing)} is missing")
    return [Path(folder) / template.format(number) for number in numbers]
