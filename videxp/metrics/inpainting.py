"""How inpainted frames are compared in papers, beside PSNR and SSIM of whole frames.

Legend: B clips, T frames, C = 3 channels, H, W; frames are float in [0,1], and compared as they would be saved, in 256
levels.
"""

import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.metrics.restoration import PSNR_CAP_DB, comparable, in_chunks


def hidden_psnr(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB over all hidden pixels of a clip: [B,T,C,H,W] twice and mask [B,T,1,H,W] -> float64 [B,1]; at most
    `PSNR_CAP_DB`, which a clip without hidden pixels has."""
    hidden = mask > 0.5
    squares = (comparable(output) - comparable(target)).square() * hidden
    mean_B1 = squares.sum((1, 2, 3, 4)) / (hidden.sum((1, 2, 3, 4)) * output.shape[2]).clamp(min=1)
    return (10 * (255**2 / mean_B1).log10()).clamp(max=PSNR_CAP_DB)[:, None]


def uniform_ssim(output: Tensor, target: Tensor, *, window: int) -> Tensor:
    """SSIM with a window of equal weights: [...,C,H,W] twice -> float64 [...]; papers on inpainting have 65 x 65.

    As scikit-image's `structural_similarity(win_size=window)`: sample covariances, K = (0.01, 0.03), wherever the
    window lies wholly within the frame. Raises `BadRequest` for smaller frames.
    """
    if min(output.shape[-2:]) < window:
        size = " x ".join(map(str, output.shape[-2:]))
        raise BadRequest(f"SSIM with a window of {window} needs frames of that size at least, not {size}")

    def score(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
        a, b = comparable(a_NCHW), comparable(b_NCHW)
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        unbiased = window**2 / (window**2 - 1)
        mean_a, mean_b = _box_mean(a, window), _box_mean(b, window)
        covariance = (_box_mean(a * b, window) - mean_a * mean_b) * unbiased
        variances = (_box_mean(a * a + b * b, window) - mean_a**2 - mean_b**2) * unbiased
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        return (luminance * (2 * covariance + c2) / (variances + c2)).mean((1, 2, 3))

    return in_chunks(score, output, target)


def _box_mean(x: Tensor, window: int) -> Tensor:
    """[N,C,H,W] -> [N,C,H-window+1,W-window+1], by running sums."""
    for dim in (-2, -1):
        total = torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.cumsum(dim)], dim=dim)
        length = x.shape[dim] - window + 1
        x = (total.narrow(dim, window, length) - total.narrow(dim, 0, length)) / window
    return x
