"""What an answer loses with a frame, with the order of frames, or with a part of the clip.

What is removed is replaced by what the clip itself has: black would be something new to the network, not nothing.
Shapes: T frames, N altered clips, C channels, H, W.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.core.randomness import Stream, generator
from videxp.tasks.questions import Ask, Question

BLANK_CELLS = 3  # along a side: what is left of a picture that is blurred until nothing can be made out
CLIPS_AT_ONCE = 16
SHUFFLES = 4


def blank(video: Tensor) -> Tensor:
    """The clip without anything to be seen in it: its mean frame, blurred, standing still; of the same shape."""
    mean = video.mean(1)
    cells = F.adaptive_avg_pool2d(mean, BLANK_CELLS)
    blurred = F.interpolate(cells, size=video.shape[-2:], mode="bilinear", align_corners=False)
    return blurred[:, None].expand_as(video)


@torch.no_grad()
def ask_of_each(ask: Ask, clips: Iterator[Tensor] | Sequence[Tensor]) -> Tensor:
    """float32 [N], on the CPU, of clips [1,T,C,H,W] that are made as they are asked for."""
    answers: list[Tensor] = []
    held: list[Tensor] = []
    for clip in clips:
        held.append(clip)
        if len(held) == CLIPS_AT_ONCE:
            answers.append(ask(torch.cat(held)).float().cpu())
            held = []
    if held:
        answers.append(ask(torch.cat(held)).float().cpu())
    return torch.cat(answers) if answers else torch.empty(0)


def frame_importance(question: Question) -> dict[str, list[float]]:
    """How far `question.effect` falls without each frame, [T] by each way to remove one.

    "held": the frame before it is held (of the first, the one after it comes early): what the frame adds to its
    neighbor. "mean": the clip's mean frame stands there. All 0 for a clip of one frame.
    """
    video = question.video
    num_frames = video.shape[1]
    if num_frames == 1:
        return {"held": [0.0], "mean": [0.0]}
    mean = video.mean(1)

    def without(frame: int, instead: Tensor) -> Tensor:
        clip = video.clone()
        clip[:, frame] = instead
        return clip

    whole = ask_of_each(question.effect, [video])
    held = (without(t, video[:, t - 1 if t else 1]) for t in range(num_frames))
    means = (without(t, mean) for t in range(num_frames))
    return {
        name: (whole - ask_of_each(question.effect, clips)).tolist()
        for name, clips in (("held", held), ("mean", means))
    }


def shuffled_order(num_frames: int, *, seed: int, index: int, number: int = 0) -> np.ndarray:
    """A permutation of the frames, int64 [T], never the order itself where there is another."""
    rng = generator(seed, stream=Stream.EXPLAIN, epoch=number, index=index)
    order = rng.permutation(num_frames)
    while num_frames > 1 and (order == np.arange(num_frames)).all():
        order = rng.permutation(num_frames)
    return order


def order_importance(question: Question, *, seed: int, index: int = 0) -> dict[str, float]:
    """`question.measure` of the clip in order, backwards, and the mean over shuffled ones."""
    video = question.video
    shuffles = [shuffled_order(video.shape[1], seed=seed, index=index, number=n) for n in range(SHUFFLES)]
    clips = [video, video.flip(1), *(video[:, torch.from_numpy(order)] for order in shuffles)]
    in_order, backwards, *shuffled = ask_of_each(question.measure, clips).tolist()
    return {"in_order": in_order, "reversed": backwards, "shuffled": sum(shuffled) / len(shuffled)}
