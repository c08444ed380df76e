"""Color without training: a clip is given the colors of footage that looks as wanted, or of one frame in color.

The rows that a network has to beat. What looks as wanted is said beforehand, by files such as the targets of some
training clips: a clip's own target is not known to them.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.transforms.color_transfer import lab_moments, with_lab_moments
from videxp.transforms.lab import lab_to_rgb_of_same_lightness, rgb_to_lab
from videxp.video import open_video

FRAMES_OF_EACH = 4  # of a file, evenly spread


class _Matching(nn.Module):
    """[B,T,3,H,W] in [0,1] -> the same; the look of a whole clip is changed, all its frames alike.

    looks: video files. They are read when the first clip comes.
    """

    scale = 1
    radius = None
    whole_frames = True

    def __init__(self, *, looks: Sequence[str]) -> None:
        super().__init__()
        if not looks:
            raise BadRequest("looks: none given; name video files of the wanted look, such as training targets")
        self.looks = tuple(looks)

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [P,3] of all looks."""
        return np.concatenate([self._pixels(path) for path in self.looks])

    def _pixels(self, path: str) -> np.ndarray:
        with open_video(path) as reader:
            numbers = np.unique(np.linspace(0, reader.num_frames - 1, FRAMES_OF_EACH).astype(int))
            return reader.frames(numbers).numpy().reshape(-1, 3)

    def forward(self, video: Tensor) -> Tensor:
        return torch.stack([self.matched(clip) for clip in video])

    def matched(self, clip_TCHW: Tensor) -> Tensor:
        raise NotImplementedError


class HistogramMatch(_Matching):
    """Each channel gets the histogram of the looks (`skimage.exposure.match_histograms` of 8-bit values)."""

    @cached_property
    def shares(self) -> np.ndarray:
        """Of the pixels of the looks, at or below each level: [3,256]."""
        counts = np.stack([np.bincount(channel, minlength=256) for channel in self.pixels.T])
        return counts.cumsum(1) / len(self.pixels)

    def matched(self, clip_TCHW: Tensor) -> Tensor:
        levels_CN = (clip_TCHW * 255).round().clamp(0, 255).long().movedim(1, 0).flatten(1)
        tables = [self._table(levels, shares) for levels, shares in zip(levels_CN, self.shares)]
        matched_CN = torch.stack([table[levels] for table, levels in zip(tables, levels_CN)]) / 255
        return matched_CN.unflatten(1, clip_TCHW[:, 0].shape).movedim(0, 1)

    @staticmethod
    def _table(levels_N: Tensor, shares: np.ndarray) -> Tensor:
        """What each of the 256 levels becomes."""
        own = levels_N.bincount(minlength=256).cumsum(0).cpu().numpy() / len(levels_N)
        there = np.flatnonzero(np.diff(shares, prepend=0))
        return torch.from_numpy(np.interp(own, shares[there], there)).float().to(levels_N.device)


class Reinhard(_Matching):
    """The mean and standard deviation of L, a and b become those of the looks (Reinhard et al. 2001, in CIELAB)."""

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        return lab_moments(torch.from_numpy(self.pixels).double() / 255)

    def matched(self, clip_TCHW: Tensor) -> Tensor:
        mean, std = (value.to(clip_TCHW) for value in self.moments)
        return with_lab_moments(clip_TCHW.movedim(1, -1), mean, std).movedim(-1, 1)


class ColorByLightness(nn.Module):
    """Each pixel gets the mean a and b of the exemplar's pixels of like lightness: Welsh et al. 2002, without texture.

    forward(video [B,T,3,H,W], exemplar [B,T,3,h,w]), of which the first frame counts.
    """

    scale = 1
    radius = 0
    told = "exemplar"

    def forward(self, video: Tensor, exemplar: Tensor) -> Tensor:
        return torch.stack([self._colored(clip, shown[0]) for clip, shown in zip(video, exemplar)])

    def _colored(self, clip_TCHW: Tensor, shown_CHW: Tensor) -> Tensor:
        shown_P3 = rgb_to_lab(shown_CHW.movedim(0, -1)).flatten(0, -2)
        levels_P = shown_P3[:, 0].round().long().clamp(0, 100)
        counts = levels_P.bincount(minlength=101)
        there = counts.nonzero()[:, 0]
        sums = shown_P3.new_zeros(101, 2).index_add_(0, levels_P, shown_P3[:, 1:])
        means = (sums[there] / counts[there, None]).cpu().numpy()
        table = np.stack([np.interp(np.arange(101), there.cpu().numpy(), channel) for channel in means.T], axis=-1)
        lightness = rgb_to_lab(clip_TCHW.movedim(1, -1))[..., :1]
        chroma = torch.from_numpy(table).to(lightness)[lightness[..., 0].round().long().clamp(0, 100)]
        return lab_to_rgb_of_same_lightness(torch.cat([lightness, chroma], dim=-1)).movedim(-1, 1)
