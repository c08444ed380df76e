"""Adversarial losses and penalties: functions of logits (higher: more real) or of what a discriminator makes of clips.

Legend: B clips, P judgements of one clip; logits are float, of any shape, mostly [B,P]. Each loss is a mean over all
judgements, a scalar to be minimized. D(x) is a logit, sigmoid(D(x)) the chance that x is real.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

AdversarialLoss = Literal["non_saturating", "hinge", "least_squares", "wasserstein"]


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, *, kind: AdversarialLoss) -> Tensor:
    """What a discriminator minimizes; the two may differ in number.

    non_saturating: -log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))), Goodfellow et al. 2014, equation 1.
    hinge: max(0, 1 - D(x)) + max(0, 1 + D(G(z))), Miyato et al. 2018, equation 16.
    least_squares: ((D(x) - 1)^2 + D(G(z))^2) / 2, Mao et al. 2017, equation 9.
    wasserstein: D(G(z)) - D(x), Arjovsky et al. 2017; keep D Lipschitz by `gradient_penalty`.
    """
    if kind == "non_saturating":
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    if kind == "hinge":
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
    if kind == "least_squares":
        return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2
    if kind == "wasserstein":
        return fake_logits.mean() - real_logits.mean()
    raise ValueError(f"kind={kind!r} is none of non_saturating, hinge, least_squares, wasserstein")


def generator_loss(fake_logits: Tensor, *, kind: AdversarialLoss) -> Tensor:
    """What a generator minimizes.

    non_saturating: -log sigmoid(D(G(z))). hinge, wasserstein: -D(G(z)). least_squares: (D(G(z)) - 1)^2 / 2.
    """
    if kind == "non_saturating":
        return F.softplus(-fake_logits).mean()
    if kind in ("hinge", "wasserstein"):
        return -fake_logits.mean()
    if kind == "least_squares":
        return (fake_logits - 1).square().mean() / 2
    raise ValueError(f"kind={kind!r} is none of non_saturating, hinge, least_squares, wasserstein")


def category_loss(category_logits: Tensor, category: Tensor) -> Tensor:
    """-log q(category | clip) in nats, [B,K] and int64 [B]: minimized by the generator for the categories that it was
    given, and by the discriminator, too (on real clips where these have labels).

    With H(category) added its negative is InfoGAN's lower bound of the mutual information between a category and what
    is generated from it, Chen et al. 2016, equation 4; MoCoGAN, equation 7.
    """
    return F.cross_entropy(category_logits, category)


# --- penalties of the discriminator's gradient -------------------------------------------------------------------

Judge = Callable[[Tensor], Tensor]
"""Clips [B,...] -> logits [B,P]; to judge with a label or noise, close over them."""


def input_gradients(judge: Judge, clips: Tensor) -> Tensor:
    """The gradient of each clip's mean logit with respect to the clip, [B,n], itself differentiable."""
    clips = clips.detach().requires_grad_()
    logits = judge(clips)
    (gradients,) = torch.autograd.grad(logits.flatten(1).mean(dim=1).sum(), clips, create_graph=True)
    return gradients.flatten(1)


def r1_penalty(judge: Judge, real: Tensor) -> Tensor:
    """E |grad D(x)|^2 on real clips, a scalar; Mescheder et al. 2018, equation 9, without its factor gamma / 2."""
    return input_gradients(judge, real).square().sum(dim=1).mean()


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor, *, real_share: Tensor) -> Tensor:
    """E (|grad D(y)| - 1)^2, a scalar, two-sided; Gulrajani et al. 2017, equation 3, without its factor lambda.

    y = s * real + (1 - s) * fake, clip by clip; real_share: float [B], s drawn uniformly in [0,1). Not for a
    discriminator with BatchNorm, in which a clip's logit depends on the other clips.
    """
    share = real_share.to(real).view(-1, *[1] * (real.ndim - 1))
    mixed = torch.lerp(fake.detach(), real.detach(), share)
    return (torch.linalg.vector_norm(input_gradients(judge, mixed), dim=1) - 1).square().mean()


# --- penalty of the generator's -----------------------------------------------------------------------------------


def path_lengths(video: Tensor, codes: Tensor, *, noise: Tensor) -> Tensor:
    """|J^T y| for each clip, [B]: how far a clip moves when its codes do; differentiable.

    Karras et al. 2020 (StyleGAN2), section 3.2: J is the clip's derivative by its codes, y = noise / sqrt(pixels of the
    clip). video: [B,T,C,H,W], made from codes [B,...] that require a gradient: a mapped style or any entry of a latent.
    noise: like video, N(0,1).
    """
    pixels = video[0].numel() / video.shape[2]
    (gradients,) = torch.autograd.grad((video * noise).sum() / math.sqrt(pixels), codes, create_graph=True)
    return torch.linalg.vector_norm(gradients.flatten(1), dim=1)


class PathLengthPenalty(nn.Module):
    """E (|J^T y| - a)^2 with a running mean a of the lengths, kept in the checkpoint; StyleGAN2, equation 4."""

    def __init__(self, *, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(()))
        self.mean: Tensor

    def forward(self, lengths: Tensor, *, mean_length: Tensor | None = None) -> Tensor:
        """lengths [B] -> a scalar; moves the mean first. mean_length: that of all processes, if there are several."""
        now = (lengths.mean() if mean_length is None else mean_length).detach()
        self.mean.copy_(torch.lerp(now, self.mean, self.decay))
        return (lengths - self.mean).square().mean()
