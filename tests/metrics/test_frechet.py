import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from videxp.metrics.frechet import Moments, frechet_distance, gaussian_frechet_distance

D = 32


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def samples(count: int, *, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, D, generator=rng(seed), dtype=torch.float64) + 0.1 * seed


def rotated(variances_D: Tensor) -> Tensor:
    """Covariances of one rotation commute, so their distance has a closed form."""
    rotation, _ = torch.linalg.qr(torch.randn(D, D, generator=rng(9), dtype=torch.float64))
    return rotation @ variances_D.diag() @ rotation.T


def test_diagonal_gaussians_by_hand():
    distance = gaussian_frechet_distance(double(0, 0), double(1, 4).diag(), double(3, 4), double(9, 16).diag())
    assert distance == pytest.approx(3**2 + 4**2 + (3 - 1) ** 2 + (4 - 2) ** 2)


def test_commuting_covariances_of_low_rank_meet_the_closed_form():
    variances_a, variances_b = torch.rand(2, D, generator=rng(), dtype=torch.float64)
    variances_a[:20] = 0
    variances_b[10:28] = 0
    cov_a, cov_b, mean = rotated(variances_a), rotated(variances_b), torch.zeros(D, dtype=torch.float64)
    expected = float((variances_a.sqrt() - variances_b.sqrt()).square().sum())
    assert abs(float(_compute_fid(mean, cov_a, mean, cov_b)) - expected) > 1e-8  # negative control: torchmetrics
    assert float(_compute_fid(mean, cov_a, mean, cov_a)) < -1e-8  # a negative distance
    assert gaussian_frechet_distance(mean, cov_a, mean, cov_b) == pytest.approx(expected, abs=1e-12)
    assert gaussian_frechet_distance(mean, cov_a, mean, cov_a) == pytest.approx(0, abs=1e-12)


def test_full_rank_meets_scipy_and_torchmetrics():
    a, b = Moments.of(samples(200, seed=1)), Moments.of(samples(150, seed=2, scale=1.5))
    cov_a, cov_b = a.covariance(), b.covariance()
    root = scipy.linalg.sqrtm((cov_a @ cov_b).numpy())
    by_scipy = float((a.mean_D - b.mean_D).square().sum()) + np.trace((cov_a + cov_b).numpy() - 2 * root)
    by_torchmetrics = float(_compute_fid(a.mean_D, cov_a, b.mean_D, cov_b))
    assert frechet_distance(a, b) == pytest.approx(by_scipy, rel=1e-10)
    assert frechet_distance(a, b) == pytest.approx(by_torchmetrics, rel=1e-10)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


def test_fewer_samples_than_features_meet_the_distance_of_the_samples_themselves():
    """The trace of the root is the nuclear norm of the samples' own product: no covariance, no root."""
    x, y = samples(12, seed=1), samples(9, seed=2)
    centered_x, centered_y = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))
    expected = float(
        (x.mean(0) - y.mean(0)).square().sum()
        + centered_x.square().sum()
        + centered_y.square().sum()
        - 2 * np.linalg.svd((centered_x @ centered_y.T).numpy(), compute_uv=False).sum()
    )
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-12)


def test_a_negative_eigenvalue_from_rounding_is_no_nan():
    cov, mean = rotated(torch.cat([torch.ones(4), torch.full((D - 4,), -1e-17)]).double()), torch.zeros(D)
    assert torch.linalg.eigvalsh(cov).sqrt().isnan().any()  # negative control
    assert gaussian_frechet_distance(mean, cov, mean, 4 * cov) == pytest.approx(4 * (2 - 1) ** 2)


def test_features_that_are_not_finite_give_nan():
    bad = samples(5, seed=1)
    bad[2, 3] = torch.inf
    with pytest.raises(RuntimeError):  # negative control: a validation would end the run
        torch.linalg.svdvals(Moments.of(bad).covariance())
    assert math.isnan(frechet_distance(Moments.of(bad), Moments.of(samples(5, seed=2))))


def test_moments_of_batches_survive_a_mean_that_dwarfs_the_spread():
    x = samples(90, seed=1) + 1e7
    expected = np.cov(x.numpy(), rowvar=False)
    raw = (x.T @ x - len(x) * torch.outer(x.mean(0), x.mean(0))) / (len(x) - 1)
    assert np.abs(raw.numpy() - expected).max() > 0.1  # negative control: sums of products, as FID code has them
    first, *others = [Moments.of(batch) for batch in x.split((1, 40, 7, 42))]
    for other in others:
        first = first.merged(other)
    assert first.count == 90
    np.testing.assert_allclose(first.covariance(), expected, atol=1e-8)
    np.testing.assert_allclose(first.covariance(unbiased=False), expected * 89 / 90, atol=1e-8)
    np.testing.assert_allclose(first.mean_D, x.mean(0), rtol=1e-15)


def test_moments_are_float64_whatever_the_features_are():
    x = (samples(50, seed=1) * 0.01 + 100).half()
    assert Moments.of(x).scatter_DD.dtype == torch.float64
    np.testing.assert_allclose(Moments.of(x).covariance(), np.cov(x.double().numpy(), rowvar=False), atol=1e-12)


def test_the_distance_shrinks_with_more_samples_of_one_distribution():
    """Why figures of different numbers of clips cannot be compared: the true distance is 0 in both cases."""
    few, many = (
        frechet_distance(Moments.of(samples(n, seed=1) - 0.1), Moments.of(samples(n, seed=2) - 0.2)) for n in (40, 640)
    )
    assert many < few / 4
