"""Figures of sets of features: kernel distance, precision and recall, diversity. Legend: N, M samples, D features.

All in float64, in blocks of rows, so that no matrix of pairs is held.
"""

import torch
from torch import Tensor

_ROWS = 256  # of a matrix of pairs at a time


def polynomial_mmd2(a_ND: Tensor, b_MD: Tensor) -> float:
    """The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased: below 0 as often as above it
    where both are samples of one distribution. Binkowski et al. 2018 (KID); Unterthiner et al. 2018 (KVD).
    """
    a_ND, b_MD = a_ND.double(), b_MD.double()
    return _mean_kernel(a_ND, a_ND, same=True) + _mean_kernel(b_MD, b_MD, same=True) - 2 * _mean_kernel(a_ND, b_MD)


def _mean_kernel(a_ND: Tensor, b_MD: Tensor, *, same: bool = False) -> float:
    """The mean over pairs; of one set with itself (`same`), over pairs of different samples."""
    total = 0.0
    for rows in a_ND.split(_ROWS):
        total += float((rows @ b_MD.T / a_ND.shape[1] + 1).pow(3).sum())
    if same:
        total -= float((a_ND.square().sum(1) / a_ND.shape[1] + 1).pow(3).sum())
        return total / (len(a_ND) * (len(a_ND) - 1))
    return total / (len(a_ND) * len(b_MD))


def kernel_distance(a_ND: Tensor, b_MD: Tensor, *, block_size: int = 1000) -> tuple[float, float]:
    """`polynomial_mmd2`, averaged over disjoint blocks of at least `block_size` samples, and its standard error.

    Blocks are interleaved (block i: samples i, i + blocks, ...), so that sorted sets don't matter. With one block the
    standard error is NaN, with fewer than 2 samples both are.
    """
    blocks = max(min(len(a_ND), len(b_MD)) // block_size, 1)
    if min(len(a_ND), len(b_MD)) < 2:
        return float("nan"), float("nan")
    values = torch.tensor([polynomial_mmd2(a_ND[i::blocks], b_MD[i::blocks]) for i in range(blocks)])
    error = float(values.std() / blocks**0.5) if blocks > 1 else float("nan")
    return float(values.mean()), error


def precision_and_recall(real_ND: Tensor, generated_MD: Tensor, *, neighbors: int = 3) -> tuple[float, float]:
    """Kynkäänniemi et al. 2019, eq. 1-2: the share of generated samples within the real manifold, and the reverse.

    A manifold is the union of balls around its samples, each reaching to its `neighbors`-th nearest other. In [0,1];
    NaN for both where a set has no more than `neighbors` samples.
    """
    if min(len(real_ND), len(generated_MD)) <= neighbors:
        return float("nan"), float("nan")
    real_ND, generated_MD = real_ND.double(), generated_MD.double()
    return (
        _share_within(generated_MD, real_ND, neighbors=neighbors),
        _share_within(real_ND, generated_MD, neighbors=neighbors),
    )


def _share_within(of_ND: Tensor, manifold_MD: Tensor, *, neighbors: int) -> float:
    radius_M = torch.cat(
        [_distances(rows, manifold_MD).kthvalue(neighbors + 1).values for rows in manifold_MD.split(_ROWS)]
    )  # + 1: the nearest is the sample itself
    within = [(_distances(rows, manifold_MD) <= radius_M).any(1) for rows in of_ND.split(_ROWS)]
    return float(torch.cat(within).double().mean())


def mean_pairwise_distance(a_ND: Tensor) -> float:
    """The mean Euclidean distance of two different samples: what mode collapse takes away. NaN below 2 samples."""
    if len(a_ND) < 2:
        return float("nan")
    a_ND = a_ND.double()
    total = sum(float(_distances(rows, a_ND).sum()) for rows in a_ND.split(_ROWS))
    return total / (len(a_ND) * (len(a_ND) - 1))


def _distances(a_ND: Tensor, b_MD: Tensor) -> Tensor:
    """[N,M] from |a|^2 + |b|^2 - 2 a.b, about a common center; what rounding alone explains is 0.

    Several times as fast as differences of pairs. `torch.cdist` does the same without the two precautions, and finds
    samples at a distance from themselves. NaN stays NaN: within no ball.
    """
    center_D = b_MD.mean(0)
    a_ND, b_MD = a_ND - center_D, b_MD - center_D
    lengths_NM = a_ND.square().sum(1)[:, None] + b_MD.square().sum(1)
    squares_NM = lengths_NM - 2 * a_ND @ b_MD.T
    noise_NM = 4 * a_ND.shape[1] * torch.finfo(a_ND.dtype).eps * lengths_NM
    return squares_NM.masked_fill(squares_NM <= noise_NM, 0).sqrt()
