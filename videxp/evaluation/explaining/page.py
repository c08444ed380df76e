"""One page for all that was explained: it holds its pictures and videos, runs nothing and asks no network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from videxp import __version__

STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 16px clamp(10px, 3vw, 40px); max-width: 1200px; overflow-wrap: anywhere;
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 17px; margin: 0 0 4px; } h2 { font-size: 15px; margin: 0 0 2px; }
p { margin: 0 0 4px; } .muted { opacity: .72; } .warning { color: #b3261e; font-weight: 600; }
article { border: 1px solid #8886; border-radius: 8px; padding: 12px; margin: 14px 0; }
.pair { display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start; margin-top: 8px; }
video { max-width: 100%; border-radius: 4px; }
img { flex: 1 1 420px; min-width: 0; max-width: 760px; border-radius: 4px; background: #fff; }
@media (prefers-color-scheme: dark) { .warning { color: #ff8a80; } }
"""


@dataclass(frozen=True)
class PageEntry:
    """One video of the page, with lines of text beneath its title; of `warnings` red ones."""

    title: str
    lines: Sequence[str]
    warnings: Sequence[str] = ()
    videos: Sequence[Path] = ()
    pictures: Sequence[Path] = field(default_factory=tuple)


def page(title: str, about: Sequence[str], entries: Sequence[PageEntry]) -> str:
    """The page as text. Raises OSError where a picture or video of an entry is gone."""
    articles = "\n".join(map(_article, entries))
    head = "".join(f'<p class="muted">{escape(line)}</p>' for line in about)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{head}
<main>
{articles}
</main>
<footer class="muted">videxp {escape(__version__)}</footer>
</body>
</html>
"""


def _article(entry: PageEntry) -> str:
    warnings = "".join(f'<p class="warning">{escape(line)}</p>' for line in entry.warnings)
    lines = "".join(f"<p>{escape(line)}</p>" for line in entry.lines)
    videos = "".join(
        f'<video src="{_data(path, "video/mp4")}" controls autoplay loop muted playsinline></video>'
        for path in entry.videos
    )
    pictures = "".join(f'<img src="{_data(path, "image/png")}" alt="{escape(path.stem)}">' for path in entry.pictures)
    media = f'<div class="pair">{videos}{pictures}</div>'
    return f"<article><h2>{escape(entry.title)}</h2>{warnings}{lines}{media}</article>"


def _data(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
