"""The one form that all formats of box annotations are brought to."""

from dataclasses import dataclass, field

from videxp.data.annotations.boxes import BoxOnFrame

SHARES = (1, 1)
"""The size of a picture of which boxes are stated in shares."""


@dataclass
class AnnotatedVideo:
    """What a file states of one video. Frames of boxes count from 0."""

    name: str
    """As the file calls it: a path, a file's name with or without its ending, or a folder of frames."""
    num_frames: int | None = None
    """As the file counts them; None: not stated."""
    size: tuple[int, int] | None = None
    """(width, height) of the picture that boxes refer to; `SHARES`: they are shares of it; None: not stated."""
    fps: float | None = None
    """Of the frame numbers; None: they are those of the video."""
    boxes: list[BoxOnFrame] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    """That the file lists, in its order, whether or not a box has them; empty: it has no list."""
