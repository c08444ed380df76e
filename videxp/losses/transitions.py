"""The loss that finds transitions between shots. Legend: B windows, T frames."""

from torch import Tensor
from torch.nn import functional as F


def transition_loss(
    one_hot_logits_BT: Tensor,
    many_hot_logits_BT: Tensor,
    one_hot_BT: Tensor,
    many_hot_BT: Tensor,
    *,
    positive_weight: float = 5.0,
    many_hot_weight: float = 0.1,
) -> Tensor:
    """mean(w * BCE(one-hot)) + many_hot_weight * mean(BCE(many-hot)), w = positive_weight at transitions, else 1;
    in nats, a scalar. Soucek & Lokoc 2020, "TransNet V2", section 3, with the weights of the authors' training.

    one_hot_BT: 1 at one frame of each transition (of a hard cut, the last frame before it), else 0. many_hot_BT: 1 at
    all frames of each. The mean is over frames, not over weights.

    The authors add 1e-4 * sum(w^2 / 2) over all trainable weights, biases and batch norms included. Its gradient is
    1e-4 * w: that of SGD's `weight_decay=1e-4` with `task.decay_norms_and_biases=true` (AdamW's is another).
    """
    weight_BT = 1 + (positive_weight - 1) * one_hot_BT
    one_hot = F.binary_cross_entropy_with_logits(one_hot_logits_BT, one_hot_BT.to(one_hot_logits_BT), weight=weight_BT)
    many_hot = F.binary_cross_entropy_with_logits(many_hot_logits_BT, many_hot_BT.to(many_hot_logits_BT))
    return one_hot + many_hot_weight * many_hot
