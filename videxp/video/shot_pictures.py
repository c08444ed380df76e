"""A small picture of each shot of a film.

Shapes: H, W = height and width in pixels, C = 3 (red, green, blue).
"""

from collections.abc import Iterator, Sequence
from os import PathLike

import numpy as np
from PIL import Image

from videxp.video.decoder import open_video
from videxp.video.shots import FilmShot


def shot_pictures(
    path: str | PathLike[str], shots: Sequence[FilmShot], *, width: int
) -> Iterator[tuple[int, np.ndarray]]:
    """(number, uint8 [H,W,C]) of each shot's middle frame, W = `width`; one at a time, in order of time.

    Raises UnreadableVideo, DecodeError.
    """
    numbers = {shot.middle: shot.number for shot in shots}
    with open_video(path) as video:
        height = max(1, round(width * video.size[0] / video.size[1]))
        for frame, picture_HWC in video.pictures(sorted(numbers)):
            if (number := numbers.pop(frame, None)) is not None:  # a picture may come twice
                small = Image.fromarray(picture_HWC).resize((width, height), Image.Resampling.BOX)
                yield number, np.asarray(small)
