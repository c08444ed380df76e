"""The Fréchet distance between two Gaussians, and their streaming moments. Legend: N samples, D features.

Heusel et al. 2017, eq. 6: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), in float64. With S = A A^T, the trace of the
root is the sum of the singular values of A1^T A2: no square root of a matrix that is not symmetric, nothing imaginary,
and covariances of fewer samples than features are no special case.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and scatter (the sum of (x - mean)(x - mean)^T) of all samples so far: float64, on the CPU.

    Batches and ranks are merged pairwise (Chan et al. 1983, eq. 2.1), so nothing grows with the number of samples, and
    a mean that is large beside the spread cancels nothing, as it does in E[x x^T] - m m^T.
    """

    count: int
    mean_D: Tensor
    scatter_DD: Tensor

    @classmethod
    def of(cls, features_ND: Tensor) -> "Moments":
        """Of one batch of at least one sample, of any floating type, on any device."""
        x_ND = features_ND.detach().to("cpu", torch.float64)
        mean_D = x_ND.mean(0)
        centered_ND = x_ND - mean_D
        return cls(len(x_ND), mean_D, centered_ND.T @ centered_ND)

    def merged(self, other: "Moments") -> "Moments":
        """Of the samples of both."""
        count = self.count + other.count
        step_D = other.mean_D - self.mean_D
        between_DD = torch.outer(step_D, step_D) * (self.count * other.count / count)
        return Moments(
            count, self.mean_D + step_D * (other.count / count), self.scatter_DD + other.scatter_DD + between_DD
        )

    def covariance(self, *, unbiased: bool = True) -> Tensor:
        """[D,D]: the scatter over N - 1, or over N; NaN for a single sample, unbiased."""
        return self.scatter_DD / (self.count - 1 if unbiased else self.count)


def frechet_distance(a: Moments, b: Moments, *, unbiased: bool = True) -> float:
    """Between the Gaussians of two sets of samples; >= 0, and NaN where a moment isn't finite.

    It shrinks as the sets grow, even between equal distributions: compare figures of equally many samples only.
    unbiased: covariances over N - 1, as in the first FID and FVD code; StyleGAN's and StyleGAN-V's divide by N.
    """
    return gaussian_frechet_distance(
        a.mean_D, a.covariance(unbiased=unbiased), b.mean_D, b.covariance(unbiased=unbiased)
    )


def gaussian_frechet_distance(mean_a_D: Tensor, cov_a_DD: Tensor, mean_b_D: Tensor, cov_b_DD: Tensor) -> float:
    """Between N(mean_a, cov_a) and N(mean_b, cov_b), whatever their rank; symmetric in a and b."""
    values = [x.detach().to("cpu", torch.float64) for x in (mean_a_D, cov_a_DD, mean_b_D, cov_b_DD)]
    if not all(bool(x.isfinite().all()) for x in values):
        return float("nan")
    mean_a_D, cov_a_DD, mean_b_D, cov_b_DD = values
    trace_of_root = torch.linalg.svdvals(_factor(cov_a_DD).T @ _factor(cov_b_DD)).sum()
    distance = (mean_a_D - mean_b_D).square().sum() + cov_a_DD.trace() + cov_b_DD.trace() - 2 * trace_of_root
    return max(float(distance), 0.0)  # -1e-13 between equal Gaussians


def _factor(cov_DD: Tensor) -> Tensor:
    """A [D,R] with A A^T = cov, R its rank: eigenvalues that rounding alone explains, also negative ones, are none."""
    values_D, vectors_DD = torch.linalg.eigh((cov_DD + cov_DD.T) / 2)
    noise = len(values_D) * torch.finfo(torch.float64).eps * values_D.abs().max()
    held = values_D > noise
    return vectors_DD[:, held] * values_D[held].sqrt()
