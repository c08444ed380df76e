"""Attacks on a network through its gradient: FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018). Not AutoAttack.

Both stay within epsilon of each pixel (L-infinity) and within [0,1], before normalization, and raise the loss that the
evaluation measures, averaged over a video's views. Beside them, random noise of the same size.

Legend: B samples, N clips of a batch, T frames, C = 3 channels, H, W pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.randomness import Stream, generator
from videxp.tasks import VideoTask

Kind = Literal["noise", "fgsm", "pgd"]
EPSILONS = (1, 2, 8)  # of 255
STEPS = 10
STEP_OVER_EPSILON = 2.5 / STEPS  # Madry et al.: 2.5 epsilon over all steps


@dataclass(frozen=True)
class Attack:
    """Changes `video` of a batch as the network gets it, float [N,T,C,H,W], normalized by mean and std.

    noise: each value goes up or down by epsilon. fgsm: one step of epsilon along the gradient's sign. pgd: from a
    random place within epsilon, STEPS steps of STEP_OVER_EPSILON * epsilon. epsilon: in pixels of [0,1].
    """

    kind: Kind
    epsilon: float
    task: VideoTask
    mean: Sequence[float]
    std: Sequence[float]
    seed: int

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        # A test runs in inference mode, in which no gradient can be had.
        with torch.inference_mode(False), torch.enable_grad(), differentiable(self.task):
            plain = {name: value.clone() if isinstance(value, Tensor) else value for name, value in batch.items()}
            clean = self._pixels(plain["video"]).clamp(0, 1)
            attacked = self._attacked(clean, plain)
        return {**batch, "video": self._normalized(attacked)}

    def _attacked(self, clean: Tensor, batch: Mapping[str, Any]) -> Tensor:
        if self.kind == "fgsm":
            return self._within(clean + self.epsilon * self._gradient(clean, batch).sign(), clean)
        start = self._uniform(batch["index"], like=clean)
        if self.kind == "noise":
            return self._within(clean + self.epsilon * start.sign(), clean)
        attacked = self._within(clean + self.epsilon * start, clean)
        for _ in range(STEPS):
            step = STEP_OVER_EPSILON * self.epsilon * self._gradient(attacked, batch).sign()
            attacked = self._within(attacked + step, clean)
        return attacked

    def _gradient(self, pixels: Tensor, batch: Mapping[str, Any]) -> Tensor:
        """Of the loss of each sample by its own pixels: samples do not meet in an evaluated network."""
        pixels = pixels.detach().requires_grad_()
        losses = self.task.sample_losses({**batch, "video": self._normalized(pixels)})
        assert losses is not None, "asked before"
        return torch.autograd.grad(losses.sum(), pixels)[0]

    def _within(self, pixels: Tensor, clean: Tensor) -> Tensor:
        return pixels.detach().clamp(clean - self.epsilon, clean + self.epsilon).clamp(0, 1)

    def _uniform(self, index: Tensor, *, like: Tensor) -> Tensor:
        """In [-1,1), drawn from (seed, sample)."""
        shape = (len(like) // len(index), *like.shape[1:])
        rngs = [generator(self.seed, stream=Stream.ATTACK, index=i) for i in index.tolist()]
        drawn = np.concatenate([rng.random(shape, dtype=np.float32) for rng in rngs])
        return torch.from_numpy(2 * drawn - 1).to(like.device)

    def _pixels(self, video: Tensor) -> Tensor:
        return video * _column(self.std, video) + _column(self.mean, video)

    def _normalized(self, pixels: Tensor) -> Tensor:
        return (pixels - _column(self.mean, pixels)) / _column(self.std, pixels)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


@contextmanager
def differentiable(task: VideoTask) -> Iterator[None]:
    """Meanwhile, gradients pass through LSTMs that are evaluated: cuDNN's have none then."""
    if any(isinstance(module, nn.RNNBase) for module in task.modules()):
        with torch.backends.cudnn.flags(enabled=False):
            yield
    else:
        yield
