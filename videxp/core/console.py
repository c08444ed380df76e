"""rich's Console, for tables and progress, with text as `videxp.core.printable` lets it pass."""

import sys
from collections.abc import Iterable
from typing import IO, Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from videxp.core.printable import printable
from videxp.core.secrets import scrubbed


class Console(rich.console.Console):
    """As rich's; what it paints is its own, the text in it may come from anyone."""

    @property
    def file(self) -> IO[str]:
        """The stream behind all that stand in front of it: beside ours, a bar that moves puts one there, too."""
        file: Any = self._file or (sys.stderr if self.stderr else sys.stdout)
        while (inner := getattr(file, "rich_proxied_file", None)) is not None:
            file = inner
        return file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or not text.strip(" \n"):
                yield segment
            else:
                yield Segment(printable(scrubbed(text)), segment.style)
