"""PSNR and SSIM of restored frames, and the rule by which frames become one number.

Legend: B clips, T frames, C channels, H, W; `...` any leading dimensions. Frames are float in [0,1]. A PSNR means
little without its protocol: 8-bit or not, RGB or luma, with or without the border; `QualityProtocol` prints it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge

PSNR_CAP_DB = 100.0
"""What `frame_scores` gives a frame that equals its target: infinity would swallow the mean of its whole set."""

_WINDOW = 11  # Wang et al. 2004: a Gaussian of 11 x 11 pixels with sigma 1.5
_SIGMA = 1.5
_VALUES_AT_A_TIME = 500_000  # one large frame or some small ones: float64 maps of a whole clip would take gigabytes
_ROWS_AT_A_TIME = 64  # keeps SSIM's maps in a CPU's cache: twice the speed at 720p


@dataclass(frozen=True, kw_only=True)
class QualityProtocol:
    """How frames are compared: what papers leave out when their numbers cannot be met.

    channel: "y" is the luma of BT.601 in 16..235, as MATLAB's rgb2ycbcr, not rounded. border: pixels cut off each side
    (BasicSR's `crop_border`). round: frames as they would be saved, in 256 levels. The data range is 255 in any case.
    """

    channel: Literal["rgb", "y"] = "rgb"
    border: Annotated[int, Ge(0)] = 0
    round: bool = True

    def __str__(self) -> str:
        channel = {"rgb": "RGB", "y": "Y (BT.601)"}[self.channel]
        levels = "8-bit" if self.round else "not rounded"
        return f"PSNR/SSIM on {channel}, border {self.border}, {levels}, per frame, then clip, then set"


RGB = QualityProtocol()


def rgb_to_y(rgb: Tensor) -> Tensor:
    """[...,3,H,W] in [0,1] -> luma [...,1,H,W] in [16,235]: BT.601 in studio range, as MATLAB's rgb2ycbcr has it."""
    if rgb.shape[-3] != 3:
        raise BadRequest(f"channel=y takes RGB frames, not frames of {rgb.shape[-3]} channels: channel=rgb")
    weights = rgb.new_tensor([[65.481, 128.553, 24.966]])
    return 16 + (weights @ rgb.flatten(-2)).unflatten(-1, rgb.shape[-2:])


def comparable(frames: Tensor, *, protocol: QualityProtocol = RGB) -> Tensor:
    """[...,C,H,W] in [0,1], clipped to it -> [...,C or 1,h,w] in [0,255] as the protocol compares them, in float64.

    In float32 SSIM's variances are differences of nearly equal numbers (float32 it stays where there is no float64).
    """
    exact = torch.float32 if frames.device.type == "mps" else torch.float64
    frames = frames.to(torch.promote_types(frames.dtype, torch.float32)).clamp(0, 1)
    frames = (frames * 255).round().to(exact) if protocol.round else frames.to(exact) * 255
    if protocol.channel == "y":
        frames = rgb_to_y(frames / 255)
    height, width = frames.shape[-2:]
    border = protocol.border
    if min(height, width) <= 2 * border:
        raise BadRequest(f"border={border} leaves nothing of frames of {height} x {width}: a smaller border")
    return frames[..., border : height - border, border : width - border]


def in_chunks(score: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor) -> Tensor:
    """`score`, [N,C,H,W] and [N,C,H,W] -> [N,...], for any leading dimensions in N's place, few frames at a time.

    Raises ValueError if the shapes differ: broadcasting would compare frames that do not belong together.
    """
    if output.shape != target.shape:
        raise ValueError(f"an output of {list(output.shape)} cannot be compared with a target of {list(target.shape)}")
    lead, frame = output.shape[:-3], output.shape[-3:]
    count = max(1, _VALUES_AT_A_TIME // frame.numel())
    pairs = zip(output.reshape(-1, *frame).split(count), target.reshape(-1, *frame).split(count))
    with torch.autocast(output.device.type, enabled=False):  # the network's precision is not the judge's
        scores = torch.cat([score(*pair) for pair in pairs])
    return scores.view(lead + scores.shape[1:])


def psnr(output: Tensor, target: Tensor, *, protocol: QualityProtocol = RGB) -> Tensor:
    """10 log10(255^2 / MSE) in dB of each frame: [...,C,H,W] in [0,1] -> [...]; infinite where nothing differs."""
    return _scores((_psnr,), output, target, protocol)[..., 0]


def ssim(output: Tensor, target: Tensor, *, protocol: QualityProtocol = RGB) -> Tensor:
    """SSIM of each frame, the mean over its channels: [...,C,H,W] in [0,1] -> [...] in [-1,1].

    Wang et al. 2004, eq. 13, with K = (0.01, 0.03) and a Gaussian of 11 x 11 pixels, sigma 1.5, wherever it lies wholly
    within the frame (MATLAB's ssim_index, BasicSR; scikit-image with gaussian_weights=True and
    use_sample_covariance=False). Raises `BadRequest` for frames smaller than that.
    """
    return _scores((_mean_ssim,), output, target, protocol)[..., 0]


def _scores(
    scores: tuple[Callable[[Tensor, Tensor], Tensor], ...], output: Tensor, target: Tensor, protocol: QualityProtocol
) -> Tensor:
    """Each of `scores` of each frame, in the last dimension; frames are made comparable once for all."""

    def score(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
        a_NCHW, b_NCHW = comparable(a_NCHW, protocol=protocol), comparable(b_NCHW, protocol=protocol)
        return torch.stack([each(a_NCHW, b_NCHW) for each in scores], dim=-1)

    return in_chunks(score, output, target)


def _psnr(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
    return 10 * (255**2 / (a_NCHW - b_NCHW).square().mean((1, 2, 3))).log10()


def _mean_ssim(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
    """The mean of `ssim_map` over channels and pixels, [N]; on a CPU channel by channel in strips of some rows."""
    channels, height, width = a_NCHW.shape[1:]
    margin = _WINDOW - 1
    if min(height, width) <= margin:
        size = f"{height} x {width}"
        raise BadRequest(f"SSIM needs frames of 11 x 11 or more within the border, not {size}: larger clips")
    if a_NCHW.device.type != "cpu":
        return ssim_map(a_NCHW, b_NCHW).mean((1, 2, 3))
    total_N = torch.zeros(len(a_NCHW), dtype=a_NCHW.dtype)
    for channel in range(channels):
        for top in range(0, height - margin, _ROWS_AT_A_TIME):
            strip = (slice(None), channel, slice(top, top + _ROWS_AT_A_TIME + margin))
            total_N += ssim_map(a_NCHW[strip], b_NCHW[strip]).sum((1, 2))
    return total_N / (channels * (height - margin) * (width - margin))


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM around each pixel that is 5 or more from the border: [...,H,W] in [0,255] -> [...,H-10,W-10]."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = gaussian_mean(a), gaussian_mean(b)
    covariance = gaussian_mean(a * b) - mean_a * mean_b
    variances = gaussian_mean(a * a + b * b) - mean_a**2 - mean_b**2  # only their sum is needed
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


def gaussian_mean(x: Tensor) -> Tensor:
    """[...,H,W] -> [...,H-10,W-10]: SSIM's weighted mean, as sums of shifted views: 8 times conv2d's speed on a CPU."""
    half = _WINDOW // 2
    weights = [math.exp(-((i - half) ** 2) / (2 * _SIGMA**2)) for i in range(_WINDOW)]
    for dim in (-2, -1):
        length = x.shape[dim] - _WINDOW + 1
        mean = x.narrow(dim, half, length) * (weights[half] / sum(weights))
        for i in range(half):  # the window is symmetric
            mean.add_(x.narrow(dim, i, length), alpha=weights[i] / sum(weights))
            mean.add_(x.narrow(dim, _WINDOW - 1 - i, length), alpha=weights[i] / sum(weights))
        x = mean
    return x


# ---- frames -> clips -> set -----------------------------------------------------------------------------------------


def frame_scores(output: Tensor, target: Tensor, *, protocol: QualityProtocol = RGB) -> dict[str, Tensor]:
    """`psnr` (at most `PSNR_CAP_DB`, in dB) and `ssim` of each frame: [B,T,C,H,W] in [0,1] -> float64 [B,T] each."""
    psnr_BT, ssim_BT = _scores((_psnr, _mean_ssim), output, target, protocol).unbind(-1)
    return {"psnr": psnr_BT.clamp(max=PSNR_CAP_DB), "ssim": ssim_BT}  # NaN stays NaN


def steadiness(psnr_BT: Tensor, output: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Does it flicker? `psnr_std`, the standard deviation of PSNR over a clip's frames in dB, float64 [B,1] (MFQE, Yang
    et al. 2018), and `flicker` of each pair of frames, [B,T-1]; neither for clips of one frame.

    output, target: float [B,T,C,H,W] in [0,1]. flicker: mean |(o_t+1 - o_t) - (g_t+1 - g_t)| in levels of 255, which a
    constant error leaves at 0.
    """
    if psnr_BT.shape[1] < 2:
        return {"psnr_std": psnr_BT[:, :0], "flicker": psnr_BT[:, :0]}
    error = output.float().clamp(0, 1) - target.float()
    flicker_BT = 255 * error.diff(dim=1).abs().mean((2, 3, 4))
    return {"psnr_std": psnr_BT.std(1, correction=0, keepdim=True), "flicker": flicker_BT.double()}


class ClipMean(Metric):
    """The mean over clips of each clip's mean over its frames, so that a long clip counts no more than a short one.

    Updated with the values of whole clips, float [B,T]. Its states are sums over clips: ranks of unequal length add up
    to what one process has, provided that no clip is given twice.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    total: Tensor
    clips: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.clips_counted = 0

    def update(self, value_BT: Tensor) -> None:
        """value_BT: one value for each frame (or pair of frames) of whole clips; a clip without any does not count."""
        if not value_BT.shape[1]:
            return
        self.total += value_BT.to(self.total.dtype).mean(1).sum()
        self.clips += len(value_BT)

    def compute(self) -> Tensor:
        """A scalar; NaN if no clip was seen. Leaves `clips_counted`, of all ranks."""
        self.clips_counted = int(self.clips)
        return self.total / self.clips


def clip_rows(scores: dict[str, Tensor], index_B: Tensor) -> list[dict[str, Any]]:
    """One row for each clip of a batch: `index`, `frames`, the clip's mean of each score, and `identical_frames`,
    those that were counted as `PSNR_CAP_DB`.

    scores: name -> float [B,T] (or [B,T-1]), with `psnr` among them, as from `frame_scores`. Without a value (a pair of
    frames in a clip of one), there is no score.
    """
    none = [None] * len(index_B)
    means = {name: value.mean(1).tolist() if value.shape[1] else none for name, value in scores.items()}
    identical = (scores["psnr"] >= PSNR_CAP_DB).sum(1).tolist()
    return [
        {
            "index": index,
            "frames": scores["psnr"].shape[1],
            **{name: None if (mean := values[i]) is None else float(f"{mean:.8g}") for name, values in means.items()},
            "identical_frames": identical[i],
        }
        for i, index in enumerate(index_B.tolist())
    ]
