"""What all scene networks share: what they are given, what they answer, and how they go over a video of any length."""

from typing import Annotated, ClassVar, NamedTuple

from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, MultipleOf

WindowFrames = Annotated[int, Interval(ge=4), MultipleOf(4)]
Dropout = Annotated[float, Interval(ge=0, lt=1)]
Width = Annotated[int, Ge(1)]


class TransitionLogits(NamedTuple):
    """Logits for each frame, float [B,T] both; their sigmoids are probabilities."""

    one_hot: Tensor
    """Of being the frame of a transition that stands for it: the last before a hard cut, the middle of a dissolve."""
    many_hot: Tensor
    """Of lying within a transition."""


class SceneNetwork(nn.Module):
    """float [B,T,3,H,W] in [0,1], not normalized, any T -> `TransitionLogits`.

    Over a long video it goes by windows of `window_frames`; of each, the middle half counts.
    """

    frame_size: ClassVar[tuple[int, int] | None] = None
    """(height, width) in pixels; None: any."""
    threshold: ClassVar[float] = 0.5
    """Probability above which a frame is a transition, unless a better one was chosen on validation videos."""

    def __init__(self, *, window_frames: WindowFrames) -> None:
        super().__init__()
        self.window_frames = window_frames

    @property
    def margin_frames(self) -> int:
        """Frames at either end of a window that only serve the others as surroundings."""
        return self.window_frames // 4

    @property
    def latency_frames(self) -> tuple[int, int]:
        """How many later frames an answer waits for, at least and at most: 25 and 74 in windows of 100, 50 apart."""
        return self.margin_frames, self.window_frames - self.margin_frames - 1
