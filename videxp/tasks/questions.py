"""What can be asked of a network's answer: a number, and the clip that it comes from. Explanations are of these.

Shapes: N clips, T frames, C channels, H, W.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from videxp.core.errors import BadRequest

Ask = Callable[[Tensor], Tensor]
"""float [N,T,C,H,W] -> float [N]."""


@dataclass(frozen=True)
class Question:
    """`about`: in words, such as "right" or "transition after frame 31"."""

    about: str
    video: Tensor
    """float [1,T,C,H,W], the clip as the network gets it"""
    score: Ask
    """What maps explain: differentiable, unbounded, and for each clip on its own."""
    measure: Ask
    """How much of the answer is left of a clip from which something was removed; at most 1."""
    score_is: str = "log-odds"
    measure_is: str = "probability"
    removal: Literal["score", "measure"] = "score"
    """In which of the two the importance of a frame is counted: how far it falls without the frame."""
    signed: bool = True
    """Whether places may speak against the answer; where not, a map shows where it comes from either way."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What of the answer is told beside it, as JSON."""
    frame: int | None = None
    """Of the clip, which the answer is about; None: all of it."""
    box: tuple[int, int, int, int] | None = None
    """(top, left, bottom, right) in pixels of the input: which part of that frame the answer is about; None: all."""
    view: int = 0
    """Which of the batch's clips it is."""
    first_frame: int = 0
    """Of that clip, with which `video` begins."""

    @property
    def clip_THW(self) -> tuple[int, int, int]:
        """Frames, height and width of `video`."""
        _, frames, _, height, width = self.video.shape
        return frames, height, width

    @property
    def span(self) -> slice:
        """Which frames of its clip `video` has."""
        return slice(self.first_frame, self.first_frame + self.video.shape[1])

    @property
    def effect(self) -> Ask:
        return self.score if self.removal == "score" else self.measure

    @property
    def effect_is(self) -> str:
        return self.score_is if self.removal == "score" else self.measure_is


def require_known(asked: Mapping[str, str], known: tuple[str, ...], *, task: str) -> None:
    """Raises BadRequest for a request that this task's answers do not know, such as a class of a restored video."""
    for name, value in asked.items():
        if name not in known:
            raise BadRequest(f"--{name} {value}: {task} has none: leave it out")
