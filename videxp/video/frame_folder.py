"""A folder of pictures, one per frame, read as a video.

Shapes: T frames, H, W pixels, C = 3.
"""

from collections.abc import Iterator
from os import PathLike

import numpy as np

from videxp.core.errors import BadRequest
from videxp.video.errors import DecodeError, UnreadableVideo
from videxp.video.frame_names import frame_files
from videxp.video.picture_file import BadPicture, decode_picture, picture_size
from videxp.video.reader import Reader
from videxp.video.timing import FrameTimes


class FrameFolderReader(Reader):
    """`template`: the name of a picture with one field for its number, `img_{:05d}.jpg`; numbers without gaps. Or `*`,
    `frame_*.png`: all pictures so named, in the order in which people count."""

    def __init__(self, folder: str | PathLike[str], *, template: str | None, fps: float | None) -> None:
        if template is None or fps is None or fps <= 0:
            raise BadRequest(f"{folder}: a folder of frames needs template=img_{{:05d}}.jpg and fps > 0 (got {fps})")
        self._files = frame_files(folder, template=template)
        try:
            size = picture_size(self._files[0].read_bytes())
        except (BadPicture, OSError) as error:
            raise UnreadableVideo(self._files[0], error) from None
        super().__init__(folder, times=FrameTimes(len(self._files), float(fps)), size=size)

    def _pictures(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        height, width = self.size
        for number in numbers:
            try:
                pixels_HWC = decode_picture(self._files[number].read_bytes())
            except (BadPicture, OSError) as error:
                raise DecodeError(self.path, [number], f"{self._files[number].name}: {error}") from None
            if pixels_HWC.shape != (height, width, 3):
                cause = f"{self._files[number].name} has size {pixels_HWC.shape[:2]}, the first frame {(height, width)}"
                raise DecodeError(self.path, [number], cause)
            yield number, pixels_HWC
