"""How faithful a map is: does the answer hang on what it shows, and does it hang on the weights?

A map is pooled over blocks of space and time, and blocks are removed from the clip, or given to a blank one, the most
important first. Shapes: T frames, C channels, H, W; B blocks.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.randomness import Stream, generator
from videxp.evaluation.explaining.removal import ask_of_each, blank
from videxp.tasks.questions import Question

BLOCKS = (8, 5, 5)  # at most, along time, height and width
STEPS = 10  # of a curve
RANDOM_MAPS = 10  # all of which a map must beat
REDRAWN_LIMIT = 0.5  # rank correlation with the map of re-drawn weights from which on it does not hang on the weights
TOLERANCE = 15 / 224  # of a side, by which the pointing game lets the maximum lie beside the object


@dataclass(frozen=True)
class Curves:
    """Areas under the two curves of one order of blocks: of `question.measure` against the share of blocks, 0 to 1."""

    insertion: float
    """Petsiuk et al. 2018, "RISE", section 4.1: the more the better."""
    deletion: float
    """The less the better."""

    @property
    def gain(self) -> float:
        """Insertion less deletion: 0 for an order that tells nothing."""
        return self.insertion - self.deletion

    def facts(self) -> dict[str, float]:
        return {"insertion": self.insertion, "deletion": self.deletion, "gain": self.gain}


@dataclass(frozen=True)
class Blocks3D:
    """A clip cut into blocks that are as equal as its size allows."""

    clip_THW: tuple[int, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Blocks along time, height and width."""
        return tuple(min(most, length) for most, length in zip(BLOCKS, self.clip_THW, strict=True))

    @cached_property
    def number_THW(self) -> Tensor:
        """The block of each pixel, int64 [T,H,W]."""
        t, h, w = (
            torch.arange(length) * count // length for length, count in zip(self.clip_THW, self.counts, strict=True)
        )
        _, rows, columns = self.counts
        return (t[:, None, None] * rows + h[:, None]) * columns + w

    def __len__(self) -> int:
        return int(np.prod(self.counts))

    def pooled(self, map_THW: Tensor) -> Tensor:
        """The map's mean over each block, float64 [B]."""
        flat = self.number_THW.flatten()
        total = torch.bincount(flat, weights=map_THW.double().flatten(), minlength=len(self))
        return total / torch.bincount(flat, minlength=len(self))


def block_order(pooled_B: Tensor, rng: np.random.Generator) -> Tensor:
    """Blocks by descending importance, int64 [B]; blocks of equal importance in random order."""
    return torch.from_numpy(np.lexsort((rng.random(len(pooled_B)), -pooled_B.numpy())))


def curves_of(question: Question, orders: Sequence[Tensor], blocks: Blocks3D) -> list[Curves]:
    """Insertion and deletion of each order of blocks."""
    video, empty = question.video, blank(question.video)
    shares = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    counts = (shares * len(blocks)).round().long()
    number_THW = blocks.number_THW.to(video.device)

    def altered() -> Iterator[Tensor]:
        for order in orders:
            rank_B = torch.empty_like(order)
            rank_B[order] = torch.arange(len(order))
            rank_THW = rank_B.to(video.device)[number_THW]
            for count in counts[1:-1].tolist():
                chosen = (rank_THW < count)[:, None]
                yield torch.where(chosen, video, empty)
                yield torch.where(chosen, empty, video)

    nothing, whole = ask_of_each(question.measure, [empty.clone(), video]).double().tolist()
    between = ask_of_each(question.measure, altered()).double().view(len(orders), STEPS - 1, 2)
    found = []
    for inserted, deleted in (of_order.unbind(1) for of_order in between):
        insertion = torch.cat([torch.tensor([nothing]).double(), inserted, torch.tensor([whole]).double()])
        deletion = torch.cat([torch.tensor([whole]).double(), deleted, torch.tensor([nothing]).double()])
        found.append(Curves(float(torch.trapezoid(insertion, shares)), float(torch.trapezoid(deletion, shares))))
    return found


def judge_map(
    question: Question, map_THW: Tensor, gradient_THW: Tensor, *, seed: int, index: int = 0
) -> dict[str, Any]:
    """Insertion and deletion of a map, of the plain gradient, and of random maps, the best of which says what counts:
    by chance a map beats them all once in RANDOM_MAPS + 1 times. A flat map has no order and beats none."""
    blocks = Blocks3D(map_THW.shape)
    rng = generator(seed, stream=Stream.EXPLAIN, epoch=1, index=index)
    random = [torch.from_numpy(rng.random(len(blocks))) for _ in range(RANDOM_MAPS)]
    pooled = [blocks.pooled(map_THW), blocks.pooled(gradient_THW), *random]
    own, plain, *chance = curves_of(question, [block_order(one, rng) for one in pooled], blocks)
    gains = [one.gain for one in chance]
    return {
        **own.facts(),
        "plain_gradient": plain.facts(),
        "random": {
            "insertion": float(np.mean([one.insertion for one in chance])),
            "deletion": float(np.mean([one.deletion for one in chance])),
            "gain": float(np.mean(gains)),
            "best_gain": max(gains),
            "maps": RANDOM_MAPS,
        },
        "better_than_random": own.gain > max(gains) and bool(pooled[0].max() > pooled[0].min()),
        "better_than_gradient": own.gain > plain.gain,
        "blocks": list(blocks.counts),
    }


# ---- the weights ----------------------------------------------------------------------------------------------------


@contextmanager
def redrawn(network: nn.Module, *, seed: int) -> Iterator[None]:
    """The network with weights that know nothing: each matrix and kernel drawn anew, normal with its own mean and
    deviation; norms and biases stay. Afterwards the trained ones are back, bit for bit."""
    rng = generator(seed, stream=Stream.EXPLAIN, epoch=2)
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    kept = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight, trained in zip(weights, kept):
                drawn = torch.from_numpy(rng.standard_normal(weight.shape, dtype=np.float32)).to(trained)
                weight.copy_(trained.mean() + drawn * trained.std(correction=0))
        yield
    finally:
        with torch.no_grad():
            for weight, trained in zip(weights, kept):
                weight.copy_(trained)


def judge_weights(map_THW: Tensor, network: nn.Module, explain: Callable[[], Tensor], *, seed: int) -> dict[str, Any]:
    """Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3: the map of the same question by a network of
    re-drawn weights must be another one. explain: makes it."""
    blocks = Blocks3D(map_THW.shape)
    with redrawn(network, seed=seed):
        other = explain()
    correlation = rank_correlation(blocks.pooled(map_THW), blocks.pooled(other))
    return {"rank_correlation": correlation, "hangs_on_weights": bool(abs(correlation) < REDRAWN_LIMIT)}


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's, with mean ranks for equal values. Of a constant, which has no order: 1 with itself, else 0."""
    if torch.equal(one, other):
        return 1.0
    ranks = [_ranks(values) for values in (one, other)]
    centered = [rank - rank.mean() for rank in ranks]
    norm = centered[0].norm() * centered[1].norm()
    return float(centered[0] @ centered[1] / norm) if norm > 0 else 0.0


def _ranks(values: Tensor) -> Tensor:
    """float64 [B], from 0; equal values share the mean of their ranks."""
    _, place, count = values.unique(return_inverse=True, return_counts=True)
    first = count.cumsum(0) - count
    return (first + (count - 1) / 2).double()[place]


# ---- what is known of the cause -------------------------------------------------------------------------------------


def point(map_THW: Tensor, cause_THW: Tensor) -> dict[str, Any]:
    """Pointing game, Zhang et al. 2018, "Top-Down Neural Attention by Excitation Backprop", section 4.2: does the map's
    maximum lie on the object (within 15 of 224 pixels)? And what share of the map lies on it, beside its share of the
    clip, which a map that tells nothing has. cause_THW: bool."""
    positive = map_THW.clamp(min=0)
    height, width = map_THW.shape[1:]
    reach = round(TOLERANCE * max(height, width))
    near = F.max_pool2d(cause_THW[:, None].float(), 2 * reach + 1, stride=1, padding=reach)[:, 0] > 0
    peak = int(positive.flatten().argmax())
    is_flat = bool(positive.max() == positive.min())
    return {
        "hit": bool(near.flatten()[peak]) and not is_flat,
        "chance": float(near.float().mean()),
        "share_on_object": float((positive * cause_THW).sum() / positive.sum().clamp(min=1e-30)),
        "share_of_clip": float(cause_THW.float().mean()),
    }
