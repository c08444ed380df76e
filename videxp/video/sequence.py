"""Whole videos from their first frame to their last, one picture in memory at a time, with the times to show them.

Shapes: H, W = height and width as displayed, C = 3 (red, green, blue), uint8 in [0,255].
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from videxp.video.clock import clock_of_index
from videxp.video.color import color_of
from videxp.video.container import open_container
from videxp.video.descriptions import not_in_pictures, other_streams
from videxp.video.display import display_matrix, rgb_picture, turn_of, turned
from videxp.video.encoder import frame_rate
from videxp.video.errors import DecodeError, UnreadableVideo, one_line
from videxp.video.file_kinds import is_image
from videxp.video.frame_folder import FrameFolderReader, frame_files
from videxp.video.picture_file import not_in_pixels
from videxp.video.probing import scan, verified

CLOCKS_THAT_START_ANYWHERE = frozenset({"mpegts", "mpeg"})


@dataclass(frozen=True)
class Picture:
    """One frame: `pixels_HWC`, and when it is shown (in ticks) in a file, or its name in a folder."""

    pixels_HWC: np.ndarray
    pts: int = 0
    duration: int = 0
    """0: not known."""
    name: str = ""


class FrameSequence(Protocol):
    """What is read from its first frame to its last."""

    path: Path
    num_frames: int
    size: tuple[int, int]
    """(height, width) in pixels as displayed."""

    def __iter__(self) -> Iterator[Picture]: ...


class VideoFile:
    """A video file. Raises `UnreadableVideo` at once if it is damaged anywhere: hours of work may hang on it."""

    def __init__(self, path: str | PathLike[str]) -> None:
        found, index = scan(path)
        verified(path, found, index)
        self.path = Path(path)
        self.num_frames, self.size = found.num_frames, (found.height, found.width)
        container, stream = open_container(path)
        with container:
            frame = next(container.decode(stream))
            self.time_base = stream.time_base or 1 / frame_rate(found.fps)
            self.rate = stream.average_rate or frame_rate(found.fps)
            self.color = color_of(frame)
            self.bits = max(component.bits for component in frame.format.components)
            quarter_turned = found.rotation_degrees % 180 == 90
            ratio = stream.sample_aspect_ratio or Fraction(1)
            self.pixel_ratio = 1 / ratio if quarter_turned else ratio  # width : height of one pixel, as displayed
            self.clock = clock_of_index(path, index)
            self.start_seconds = Fraction(0)
            if container.format.name in CLOCKS_THAT_START_ANYWHERE:
                self.start_seconds = Fraction(container.start_time or 0, av.time_base)
            self.not_in_pictures = not_in_pictures(frame, stream)
            self.other_streams = other_streams(container, stream)

    def __iter__(self) -> Iterator[Picture]:
        reformatter = VideoReformatter()
        start = round(self.start_seconds / self.time_base)
        step = max(1, round(1 / self.rate / self.time_base))
        pts = -(2**62)
        for number, frame in enumerate(self.frames()):
            due = int(self.clock.ticks[number]) - start
            pts = due if due > pts else pts + step  # writers want no two frames at the same time
            yield Picture(self.upright(number, frame, reformatter), pts=pts, duration=frame.duration or 0)

    def frames(self) -> Iterator[VideoFrame]:
        """As they are decoded, one after the other. Raises DecodeError where that fails."""
        container, stream = open_container(self.path)
        count = 0
        with container:
            try:
                for frame in container.decode(stream):
                    yield frame
                    count += 1
            except av.error.FFmpegError as error:
                raise DecodeError(self.path, [count], f"damaged: {one_line(error.strerror or error)}") from None

    def upright(self, number: int, frame: VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
        """uint8 [H,W,C] of frame `number` as displayed. Raises DecodeError for one of another size."""
        turn, degrees = turn_of(display_matrix(frame))
        if turn is None:
            raise DecodeError(self.path, [number], f"it is to be shown turned by {degrees} degrees")
        # The fast way rounds down: a video would get darker by a grey level each time it is restored.
        picture_HWC = turned(rgb_picture(frame, reformatter, accurate=True), turn)
        if picture_HWC.shape[:2] != self.size:
            raise DecodeError(self.path, [number], f"it has size {picture_HWC.shape[:2]}, the first {self.size}")
        return np.ascontiguousarray(picture_HWC)


class PictureFolder:
    """A folder of numbered pictures: `im1.png`, `img_00001.jpg`. Raises `UnreadableVideo` for what it cannot order."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.path = Path(folder)
        self._template = name_template(self.path)
        files = frame_files(folder, template=self._template)
        self.names = [file.stem for file in files]
        with self._reader() as reader:
            self.num_frames, self.size = reader.num_frames, reader.size
        self.not_in_pictures = not_in_pixels(files[0].read_bytes())

    def __iter__(self) -> Iterator[Picture]:
        with self._reader() as reader:
            for number, name in enumerate(self.names):
                yield Picture(reader.frames([number])[0].numpy(), pts=number, name=name)

    def _reader(self) -> FrameFolderReader:
        return FrameFolderReader(self.path, template=self._template, fps=25)  # of no account: pictures come out


def pictures_in(folder: Path) -> list[Path]:
    """The pictures that lie directly in a folder; hidden files are none."""
    return sorted(file for file in folder.iterdir() if is_image(file))


def name_template(folder: Path) -> str:
    """[im1.png ... im10.png] -> "im{:01d}.png"; [f_001.jpg, ...] -> "f_{:03d}.jpg": a name's last number counts."""
    digits: dict[tuple[str, str], int] = {}  # (before the number, after it) -> the fewest digits
    for file in pictures_in(folder):
        found = re.fullmatch(r"(.*?)(\d+)(\D*)", file.stem)
        if found is None:
            raise UnreadableVideo(folder, f"{file.name} has no number in its name, so its place is not known")
        frame = (found[1], found[3] + file.suffix)
        digits[frame] = min(len(found[2]), digits.get(frame, len(found[2])))
    if not digits:
        raise UnreadableVideo(folder, "it holds no pictures")
    (before, after), *others = digits
    if others:
        both = f"{before}N{after} and {others[0][0]}N{others[0][1]}"
        raise UnreadableVideo(folder, f"its pictures are named in two ways, {both}: one way for each folder")
    return f"{before}{{:0{digits[before, after]}d}}{after}"


def open_sequence(path: str | PathLike[str]) -> VideoFile | PictureFolder:
    """A file or a folder of pictures. Raises `UnreadableVideo`."""
    return PictureFolder(path) if Path(path).is_dir() else VideoFile(path)
