"""Loss of the classes of boxes. Legend: M boxes, K classes."""

from torch import Tensor
from torch.nn import functional as F


def action_loss(logits_MK: Tensor, target_MK: Tensor, *, exclusive: bool, focal_gamma: float = 0.0) -> Tensor:
    """float [M]. exclusive: cross-entropy of the one true class; otherwise binary cross-entropy, averaged over classes,
    each weighted by (1 - p) ** focal_gamma, p the probability of what is the case (Lin et al. 2017, equation 4).

    target: 1 or 0; of a box with several true classes where one is asked for, each counts the same.
    """
    if exclusive:
        share_MK = target_MK / target_MK.sum(-1, keepdim=True).clamp_min(1)
        return -(share_MK * logits_MK.log_softmax(-1)).sum(-1)
    loss_MK = F.binary_cross_entropy_with_logits(logits_MK, target_MK, reduction="none")
    if focal_gamma:
        loss_MK = (1 - (-loss_MK).exp()) ** focal_gamma * loss_MK
    return loss_MK.mean(-1)
