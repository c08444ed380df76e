import math

import numpy as np
import pytest
import scipy.spatial.distance
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from videxp.metrics.feature_sets import (
    kernel_distance,
    mean_pairwise_distance,
    polynomial_mmd2,
    precision_and_recall,
)


def normal(count: int, *, seed: int, features: int = 6) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mmd_of_constants_by_hand():
    ones, zeros = torch.ones(3, 1), torch.zeros(2, 1)
    assert polynomial_mmd2(ones, zeros) == pytest.approx((1 + 1) ** 3 + 1 - 2)


def test_mmd_meets_torchmetrics():
    a, b = normal(300, seed=1), normal(300, seed=2) + 0.2  # more than one block of rows
    assert polynomial_mmd2(a, b) == pytest.approx(float(poly_mmd(a, b)), rel=1e-9)


def test_mmd_of_one_distribution_is_zero_on_average():
    def biased(a: Tensor, b: Tensor) -> float:
        kernel = [(x @ y.T / x.shape[1] + 1).pow(3).mean() for x, y in ((a, a), (b, b), (a, b))]
        return float(kernel[0] + kernel[1] - 2 * kernel[2])

    draws = [(normal(10, seed=2 * i), normal(10, seed=2 * i + 1)) for i in range(150)]
    values = np.array([[polynomial_mmd2(a, b), biased(a, b)] for a, b in draws])
    mean, error = values.mean(0), values.std(0) / len(draws) ** 0.5
    assert mean[1] > 5 * error[1]  # negative control: with the diagonal
    assert abs(mean[0]) < 3 * error[0]


def test_kernel_distance_averages_disjoint_blocks():
    a, b = normal(40, seed=1), normal(40, seed=2)
    values = [polynomial_mmd2(a[i::4], b[i::4]) for i in range(4)]
    assert kernel_distance(a, b, block_size=10) == pytest.approx((np.mean(values), np.std(values, ddof=1) / 2))
    whole, error = kernel_distance(a, b)
    assert whole == pytest.approx(polynomial_mmd2(a, b)) and math.isnan(error)


def test_kernel_distance_of_sorted_sets():
    """Sorted by class, consecutive blocks would compare unlike classes."""
    a = torch.cat([normal(20, seed=1), normal(20, seed=2) + 5])
    b = torch.cat([normal(20, seed=3) + 5, normal(20, seed=4)])
    consecutive = np.mean([polynomial_mmd2(x, y) for x, y in zip(a.split(20), b.split(20))])
    assert consecutive > 1000  # negative control
    assert abs(kernel_distance(a, b, block_size=20)[0]) < consecutive / 20


def by_sklearn(of: Tensor, manifold: Tensor, *, neighbors: int) -> float:
    radius = NearestNeighbors(n_neighbors=neighbors + 1).fit(manifold).kneighbors(manifold)[0][:, -1]
    return float((scipy.spatial.distance.cdist(of, manifold) <= radius).any(1).mean())


def test_precision_and_recall_meet_a_nearest_neighbor_search():
    real, generated = normal(400, seed=1), normal(300, seed=2) * 0.6 + 0.5
    precision, recall = precision_and_recall(real, generated)
    assert precision == pytest.approx(by_sklearn(generated, real, neighbors=3))
    assert recall == pytest.approx(by_sklearn(real, generated, neighbors=3))
    assert 0.1 < recall < precision < 1


def test_precision_and_recall_tell_collapse_from_spread():
    real = torch.cat([normal(40, seed=1), normal(40, seed=2) + 20])  # two modes
    one_mode, both_and_junk = normal(40, seed=3), torch.cat([normal(40, seed=4), normal(40, seed=5) - 50])
    assert precision_and_recall(real, real) == (1, 1)
    assert precision_and_recall(real, real + 1000) == (0, 0)
    precision, recall = precision_and_recall(real, one_mode)
    assert precision > 0.8 and recall < 0.5
    assert precision_and_recall(real, both_and_junk)[0] < 0.5


def test_precision_and_recall_by_hand():
    real, generated = torch.tensor([[0.0], [1], [2], [4]]), torch.tensor([[5.5], [7], [9], [-3]])
    # reach of the real ones to their 2nd nearest: 2 1 2 3, so 4's ball ends at 7; generated 5.5: 3.5, 7: 2, -3: 10
    assert precision_and_recall(real, generated, neighbors=2) == (0.5, 1.0)
    assert all(math.isnan(x) for x in precision_and_recall(real, generated, neighbors=4))


def test_large_features_have_no_distance_from_themselves():
    far = normal(64, seed=1) * 1e-3 + 1e4
    assert torch.cdist(far, far).diagonal().max() > 1e-4  # negative control
    assert precision_and_recall(far, far) == (1, 1)
    twice = torch.cat([far, far])  # every sample's nearest other is its double, and the balls are points
    assert precision_and_recall(twice, far + 1e-6, neighbors=1)[0] == 0
    assert precision_and_recall(twice, far, neighbors=1)[0] == 1
    assert mean_pairwise_distance(far) == pytest.approx(scipy.spatial.distance.pdist(far).mean(), rel=1e-6)


def test_broken_features_are_within_no_manifold():
    real, broken = normal(30, seed=1), torch.full((30, 6), torch.nan)
    assert precision_and_recall(real, broken) == (0, 0)
    assert math.isnan(mean_pairwise_distance(broken)) and math.isnan(kernel_distance(real, broken)[0])


def test_mean_pairwise_distance():
    assert mean_pairwise_distance(torch.tensor([[0.0, 0], [3, 0], [3, 4]])) == pytest.approx((3 + 4 + 5) / 3)
    many = normal(300, seed=1)
    assert mean_pairwise_distance(many) == pytest.approx(scipy.spatial.distance.pdist(many).mean())
    assert mean_pairwise_distance(torch.ones(9, 5)) == 0
    assert math.isnan(mean_pairwise_distance(torch.ones(1, 5)))
