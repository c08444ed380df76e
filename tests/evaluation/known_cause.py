"""Clips whose cause is known, and networks that learn them in seconds: a square in one corner that stands still, and
moves in the second half; its class is the direction.

Shapes: B clips, T frames, H = W = S pixels.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.classification.small import FrameCNN, SmallCNN3D
from videxp.tasks.questions import Question

FRAMES, SIDE, SQUARE = 8, 24, 5
MOVES_FROM = 4  # the first frame that differs from the one before it
DIRECTIONS = ((0, 2), (0, -2), (2, 0), (-2, 0))  # pixels a frame, down and to the right


@dataclass(frozen=True)
class Known:
    video: Tensor
    """float32 [B,T,3,S,S]"""
    label: Tensor
    """int64 [B]"""
    cause: Tensor
    """bool [B,T,S,S]: the square, in the frames where it moves, and in the one before"""


def known_clips(count: int, *, seed: int) -> Known:
    """The square starts anywhere, and what leaves the picture comes in again: its place says nothing of its way."""
    rng = np.random.default_rng(seed)
    video = 0.3 * rng.random((count, 1, 1, SIDE, SIDE), dtype=np.float32).repeat(FRAMES, 1)
    cause = np.zeros((count, FRAMES, SIDE, SIDE), dtype=bool)
    label = rng.integers(len(DIRECTIONS), size=count)
    for clip in range(count):
        y, x = rng.integers(SIDE - SQUARE, size=2)
        for frame in range(FRAMES):
            rows, columns = ((start + np.arange(SQUARE)) % SIDE for start in (y, x))
            video[clip, frame, 0][np.ix_(rows, columns)] = 1
            cause[clip, frame][np.ix_(rows, columns)] = frame >= MOVES_FROM - 1
            if frame >= MOVES_FROM - 1:
                y, x = (at + step for at, step in zip((y, x), DIRECTIONS[label[clip]]))
    clips = torch.from_numpy(video).expand(-1, -1, 3, -1, -1).contiguous() - 0.3
    return Known(clips, torch.from_numpy(label), torch.from_numpy(cause))


def learn(network: nn.Module, *, steps: int, seed: int = 0) -> nn.Module:
    """Trains on fresh clips."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    data = known_clips(1024, seed=seed)
    order = torch.from_numpy(np.random.default_rng(seed).integers(1024, size=(steps, 32)))
    for chosen in order:
        loss = F.cross_entropy(network(data.video[chosen]), data.label[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return network.eval()


@cache
def learned_3d() -> nn.Module:
    torch.manual_seed(0)
    return learn(SmallCNN3D(num_classes=len(DIRECTIONS), width=4), steps=100)


@cache
def learned_2d() -> nn.Module:
    """The control, which sees no motion."""
    torch.manual_seed(0)
    return learn(FrameCNN(num_classes=len(DIRECTIONS), width=4), steps=5)


def ask(network: nn.Module, video: Tensor, number: int) -> Question:
    """Why class `number`. video: [1,T,3,S,S]."""

    def score(clips: Tensor) -> Tensor:
        logits = network(clips)
        others = torch.cat([logits[:, :number], logits[:, number + 1 :]], dim=1)
        return logits[:, number] - others.logsumexp(1)

    return Question(about=str(number), video=video, score=score, measure=lambda clips: score(clips).sigmoid())
