"""rich's Console, for tables and progress, with text as `videxp.printable` lets it pass."""

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from videxp.printable import printable
from videxp.secret_values import scrubbed


class Console(rich.console.Console):
    """As rich's; what it paints is its own, the text in it may come from anyone."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or not text.strip(" \n"):
                yield segment
            else:
                yield Segment(printable(scrubbed(text)), segment.style)
