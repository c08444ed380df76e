"""Losses where each class is true or not by itself. Legend: B items, N = B*k clips (k adjacent of each), K classes."""

from torch import Tensor
from torch.nn import functional as F


def binary_cross_entropy(
    logits_NK: Tensor,
    target_BK: Tensor,
    *,
    label_smoothing: float = 0.0,
    mix_target: Tensor | None = None,
    mix_weight: Tensor | None = None,
) -> Tensor:
    """Mean binary cross-entropy of sigmoids in nats over all clips and classes; a scalar.

    target_BK: float in [0,1]; the k clips of an item share its. label_smoothing: s in [0,1) brings each target nearer
    to one half, as the even spread over all outcomes does for a softmax: (1 - s) * target + s / 2. mix_target: float
    [B,K], the partner's of mixup or cutmix; mix_weight: float [B] in [0,1], the share of the own.
    Raises ValueError if only one of the two is given, or N is not a multiple of B.
    """
    if (mix_target is None) != (mix_weight is None):
        raise ValueError("mix_target and mix_weight go together, but only one was given")
    if len(logits_NK) % len(target_BK):
        raise ValueError(f"{len(logits_NK)} rows of logits are not a multiple of {len(target_BK)} targets")
    if mix_target is not None and mix_weight is not None:
        target_BK = mix_target.lerp(target_BK, mix_weight[:, None])
    target_BK = (1 - label_smoothing) * target_BK + label_smoothing / 2
    target_NK = target_BK.repeat_interleave(len(logits_NK) // len(target_BK), dim=0)
    return F.binary_cross_entropy_with_logits(logits_NK, target_NK)


def binary_distillation(logits_NK: Tensor, teacher_NK: Tensor, *, temperature: float) -> Tensor:
    """`distillation` of sigmoids: the mean over clips and classes of T^2 KL(teacher || network), each class a yes or no
    of probability sigmoid(logit / T), in nats; a scalar. 0 where the network answers as its teacher.
    """
    ours, theirs = logits_NK / temperature, teacher_NK / temperature
    probability = theirs.sigmoid()
    yes = probability * (F.logsigmoid(theirs) - F.logsigmoid(ours))
    no = (1 - probability) * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
    return temperature**2 * (yes + no).mean()
