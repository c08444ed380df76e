"""How strong is the noise of a video that nothing is known of? For networks that are told it.

Legend: T frames, H, W pixels, C channels.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# The high-pass filter of Daubechies' wavelet with two vanishing moments.
DB2_HIGH = (-0.48296291314469025, 0.836516303737469, -0.22414386804185735, -0.12940952255092145)
NORMAL_QUARTILE = 0.6744897501960817  # of a normal distribution, half lies within so many standard deviations
FRAMES = 8


def estimated_sigma(clip_THWC: Tensor) -> float:
    """The standard deviation of white Gaussian noise, in the unit of the pixels; real or uint8 [T,H,W,C].

    Of each color of up to 8 frames, evenly spread, the median of the finest diagonal wavelet coefficients (Donoho and
    Johnstone 1994), which pictures have few of; then the mean over colors and the median over frames. Detail counts as
    noise: a clean video of foliage or text gets a few levels. Compressed noise is no white noise: it gets too little.
    Raises ValueError for frames of fewer than 4 pixels a side.
    """
    if min(clip_THWC.shape[1:3]) < len(DB2_HIGH):
        raise ValueError(f"frames of {clip_THWC.shape[2]}x{clip_THWC.shape[1]} are too small: 4 pixels a side at least")
    count = len(clip_THWC)
    places = np.unique(np.linspace(0, count - 1, min(count, FRAMES)).round().astype(int)).tolist()
    return float(np.median([np.mean([_sigma_of(plane) for plane in clip_THWC[t].unbind(-1)]) for t in places]))


def _sigma_of(plane_HW: Tensor) -> float:
    """Coefficients that are exactly zero are of clipped or painted areas, without noise."""
    taps = torch.tensor(DB2_HIGH, device=plane_HW.device)
    rows = F.conv2d(plane_HW.float()[None, None], taps[None, None, :, None], stride=(2, 1))
    sizes = F.conv2d(rows, taps[None, None, None, :], stride=(1, 2)).abs()
    sizes = sizes[sizes > 1e-4 * sizes.max()]
    return float(sizes.median()) / NORMAL_QUARTILE if sizes.numel() else 0.0
