"""Mean and deviation of the pixels of a few videos, found without torch.

Shapes: H, W = height and width as stored, C = 3 (red, green, blue).
"""

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

import av
import numpy as np
from PIL import Image

from videxp.video.container import open_container
from videxp.video.errors import UnreadableVideo
from videxp.video.frame_names import frame_files

PLACES = (0.0, 0.5)  # of a video's length: near these a picture is taken


def pixel_statistics(
    paths: Iterable[str | PathLike[str]], *, template: str = ""
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, standard deviation) of red, green and blue in [0,1], of two pictures of each video; None without any.

    template: where a video is a folder of pictures. Videos that cannot be read are left out.
    """
    count, sums, squares = 0, np.zeros(3), np.zeros(3)
    for path in paths:
        try:
            for picture_HWC in _folder_pictures(path, template) if template else _file_pictures(path):
                pixels = picture_HWC.reshape(-1, 3) / 255.0
                count, sums, squares = count + len(pixels), sums + pixels.sum(0), squares + (pixels**2).sum(0)
        except (UnreadableVideo, av.error.FFmpegError, OSError, ValueError):
            continue
    if not count:
        return None
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return tuple(mean.round(4).tolist()), tuple(deviation.round(4).tolist())


def _file_pictures(path: str | PathLike[str]) -> Iterator[np.ndarray]:
    """uint8 [H,W,C]: the first one from each of `PLACES` that decoding can start from."""
    container, stream = open_container(path)
    with container:
        start, length = container.start_time or 0, container.duration or 0
        for place in PLACES if length > 0 else PLACES[:1]:
            if place:
                container.seek(start + int(place * length))
            frame = next(container.decode(stream), None)
            if frame is not None:
                yield frame.to_ndarray(format="rgb24")


def _folder_pictures(folder: str | PathLike[str], template: str) -> Iterator[np.ndarray]:
    files = frame_files(Path(folder), template=template)
    for place in PLACES:
        with Image.open(files[int(place * len(files))]) as picture:
            yield np.asarray(picture.convert("RGB"))
