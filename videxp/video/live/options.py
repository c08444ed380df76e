"""How a source is read: what `videxp stream` is asked for, in a form that another process can be told."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Policy = Literal["auto", "wait", "drop"]
Pace = Literal["fast", "real"]


@dataclass(frozen=True, kw_only=True)
class CaptureOptions:
    """What a reading process is told beside its source."""

    policy: Policy = "auto"
    """Of frames that come while `buffer` of them wait. wait: the source waits, no frame is lost. drop: the oldest is
    dropped and counted. auto: wait for a file, stdin and an address with a known length, drop for others."""
    buffer: int = 32
    pace: Pace = "fast"
    """real: each frame comes at its own time, as from a camera."""
    timeout_seconds: float = 10.0
    """Without an answer, a network source or camera is lost."""
    options: dict[str, str] = field(default_factory=dict)
    """FFmpeg's, of the demuxer, such as rtsp_transport."""
    is_accurate: bool = False
    """Colors are rounded to the nearest, as restoration reads them; else as classifiers do."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
