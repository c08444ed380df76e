"""Where a stream's answers go: JSON lines, a video file, a player, an address of a network."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.lines import show, warn
from videxp.core.outputs import identities, require_output_file
from videxp.core.printable import as_json
from videxp.core.secrets import scrubbed
from videxp.video.live.source import SENDING, LiveSource, read_address
from videxp.video.timed_files import require_timed

if TYPE_CHECKING:  # PyAV
    import numpy as np

    from videxp.video.live.writing import PictureWriter

STDOUT = "-"
PLAYER = "ffplay"


@dataclass(frozen=True)
class Places:
    """What was asked for; None: not."""

    lines: Path | None
    """None: stdout"""
    video: str | None
    target: LiveSource | None
    shows: bool

    @property
    def draws(self) -> bool:
        return bool(self.video or self.target or self.shows)


def require_places(
    *, lines: Path | None, video: str | None, to: str | None, show: bool, overwrite: bool, source: LiveSource
) -> Places:
    """Raises BadRequest for what must not, or cannot, be written."""
    inputs = identities([Path(source.address)] if source.kind == "file" else [])
    if lines is not None:
        require_output_file(lines, overwrite=overwrite, inputs=inputs)
    if video == STDOUT and lines is None:
        raise BadRequest("--video -: stdout has the answers: -o ANSWERS.jsonl puts them elsewhere")
    if video is not None and video != STDOUT:
        require_timed(Path(video))
        require_output_file(Path(video), overwrite=overwrite, inputs=inputs, option="--video")
    target = None if to is None else read_address(to, schemes=SENDING)
    if show and shutil.which(PLAYER) is None:
        raise BadRequest(
            f"--show: {PLAYER} is not installed, which opens the window (apt install ffmpeg)\n"
            "--video OUT.mp4 writes the pictures to a file"
        )
    return Places(lines, video, target, show)


class Outputs:
    """Opened within `with open_outputs(...)`: each place with the first that goes there, so that a source that never
    connects leaves nothing. fps: of videos, until the source says its own."""

    def __init__(self, places: Places, stack: ExitStack) -> None:
        self._places, self._stack = places, stack
        self._lines: IO[str] | None = None
        self._writers: list[PictureWriter] | None = None
        self._player: PictureWriter | None = None
        self.fps = 25.0

    def tell(self, event: str, **facts: Any) -> None:
        """An event: `{"event": "connected", "time": "2026-12-01T01:40:00.120Z", ...}`."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.write_line({"event": event, "time": now, **facts})

    def write_line(self, value: dict[str, Any]) -> None:
        text = as_json(value)
        if self._places.lines is None:
            show(text)
            return
        if self._lines is None:
            self._places.lines.parent.mkdir(parents=True, exist_ok=True)
            self._lines = self._stack.enter_context(self._places.lines.open("w", encoding="utf-8", buffering=1))
        self._lines.write(scrubbed(text) + "\n" if "event" in value else text + "\n")

    def write_picture(self, picture_HWC: "np.ndarray", seconds: float) -> None:
        """To all places for pictures, which are opened with the first one."""
        if self._writers is None:
            self._writers = [self._stack.enter_context(writer) for writer in self._open_writers()]
            if self._places.shows:
                self._player = self._stack.enter_context(open_player(fps=self.fps))
        for writer in self._writers:
            writer.write(picture_HWC, seconds)
        if self._player is not None:
            try:
                self._player.write(picture_HWC, seconds)
            except VidexpError:
                warn("the window was closed; the stream goes on")
                self._player = None

    def _open_writers(self) -> "Iterator[AbstractContextManager[PictureWriter]]":
        from videxp.video.live.writing import send_to, write_file, write_pipe

        if self._places.video == STDOUT:
            yield write_pipe(sys.stdout.buffer, "--video -", fps=self.fps)
        elif self._places.video is not None:
            yield write_file(Path(self._places.video), fps=self.fps)
        if self._places.target is not None:
            yield send_to(self._places.target, fps=self.fps)


@contextmanager
def open_outputs(places: Places) -> Iterator[Outputs]:
    """Video files appear whole when the block ends well; lines are there as they are written."""
    with ExitStack() as stack:
        yield Outputs(places, stack)


@contextmanager
def open_player(*, fps: float) -> "Iterator[PictureWriter]":
    """A window of another program's, which reads what is written."""
    from videxp.video.live.writing import write_pipe

    words = [PLAYER, "-loglevel", "error", "-fflags", "nobuffer", "-window_title", "videxp stream", "-i", "-"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    try:
        with write_pipe(process.stdin, "--show", fps=fps) as writer:
            yield writer
    except VidexpError:
        pass  # it was closed
    finally:
        try:
            process.stdin.close()
        except OSError:
            pass
        process.terminate()
        process.wait()
