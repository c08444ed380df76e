"""What can go wrong with a video file, said in at most three lines: the file, the frames asked for, the cause."""

from collections.abc import Sequence
from os import PathLike

from videxp.core.errors import VidexpError

MAX_CAUSE_CHARACTERS = 200
MAX_INDICES_SHOWN = 8


class UnreadableVideo(VidexpError):
    """A file that is no video, is damaged, or ends before its own header says that it does."""

    def __init__(self, path: str | PathLike[str], cause: object) -> None:
        self.path = str(path)
        self.cause = one_line(cause)
        super().__init__(f"{self.path}: unreadable video: {self.cause}")

    def __reduce__(self) -> tuple:  # it crosses from a DataLoader's worker to the parent
        return type(self), (self.path, self.cause)


class DecodeError(VidexpError):
    """Frames that were asked for and could not be had; never stands for a frame that might be a wrong one."""

    def __init__(self, path: str | PathLike[str], indices: Sequence[int], cause: object) -> None:
        self.path = str(path)
        self.indices = [int(i) for i in indices]
        self.cause = one_line(cause)
        super().__init__(f"{self.path}: cannot decode frames {show_indices(self.indices)}\n{self.cause}")

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.indices, self.cause)


class DecoderRefused(VidexpError):
    """The decoder that was asked for by name is known, or must be feared, to return wrong frames of this file."""

    def __init__(self, path: str | PathLike[str], decoder: str, reason: str) -> None:
        self.path = str(path)
        self.decoder = decoder
        self.reason = one_line(reason)
        super().__init__(f"{self.path}: {decoder} is not safe here ({self.reason}): use dataset.decoding.decoder=auto")

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.decoder, self.reason)


def one_line(cause: object) -> str:
    """The first lines of an error as one short line: C++ libraries answer with ten lines of stack."""
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= MAX_CAUSE_CHARACTERS else text[: MAX_CAUSE_CHARACTERS - 3] + "..."


def show_indices(indices: Sequence[int]) -> str:
    """`[0, 2, 4]`, or `[0, 1, 2, 3, 4, 5, 6, 7, ... 32 in all]`."""
    shown = ", ".join(str(i) for i in indices[:MAX_INDICES_SHOWN])
    return f"[{shown}]" if len(indices) <= MAX_INDICES_SHOWN else f"[{shown}, ... {len(indices)} in all]"
