"""Legend: B items, N = B*k clips (k adjacent clips of each item), K classes."""

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(
    logits_NK: Tensor,
    label_B: Tensor,
    *,
    label_smoothing: float = 0.0,
    mix_label: Tensor | None = None,
    mix_weight: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy in nats over all clips; a scalar.

    logits_NK: float. label_B: int64 in [0,K); the k clips of an item share its label. label_smoothing: in [0,1), the
    part of the target that is spread evenly over all classes. mix_label: int64 [B], the partner's label of mixup or
    cutmix; mix_weight: float [B] in [0,1], the share of the own label: the target is then w * own + (1 - w) * partner.
    Raises ValueError if only one of the two is given, or N is not a multiple of B.
    """
    if (mix_label is None) != (mix_weight is None):
        raise ValueError("mix_label and mix_weight go together, but only one was given")
    if len(logits_NK) % len(label_B):
        raise ValueError(f"{len(logits_NK)} rows of logits are not a multiple of {len(label_B)} labels")
    clips = len(logits_NK) // len(label_B)

    def per_clip(target_B: Tensor) -> Tensor:
        target_N = target_B.repeat_interleave(clips) if clips > 1 else target_B
        return F.cross_entropy(logits_NK, target_N, label_smoothing=label_smoothing, reduction="none")

    if mix_label is None or mix_weight is None:
        return per_clip(label_B).mean()
    weight_N = mix_weight.repeat_interleave(clips) if clips > 1 else mix_weight
    return (weight_N * per_clip(label_B) + (1 - weight_N) * per_clip(mix_label)).mean()


def distillation(logits_NK: Tensor, teacher_NK: Tensor, *, temperature: float) -> Tensor:
    """How far a network's answers are from its teacher's: the mean over clips of T^2 KL(teacher || network), of
    softmax(logits / T), in nats; a scalar. The factor keeps gradients as large for every T.

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2.
    """
    ours, theirs = ((logits / temperature).log_softmax(-1) for logits in (logits_NK, teacher_NK))
    return temperature**2 * F.kl_div(ours, theirs, log_target=True, reduction="batchmean")
