"""Image-adaptive 3D lookup tables: one color to another, the same everywhere in a frame, chosen by how the frame looks.
Zeng et al. 2020, "Learning Image-Adaptive 3D Lookup Tables for High Performance Photo Enhancement in Real-Time",
sections 3.1 and 3.2.

The authors' two files load as one:

    tables, classifier = torch.load("LUTs.pth", map_location="cpu"), torch.load("classifier.pth", map_location="cpu")
    state = {f"luts.{number}.LUT": table["LUT"] for number, table in tables.items()}
    torch.save(state | {f"classifier.{key}": value for key, value in classifier.items()}, "lut3d.pth")

Legend: B clips, T frames, L tables of size S.
"""

from itertools import pairwise
from typing import Annotated, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, Interval
from videxp.core.precision import without_autocast
from videxp.models.weights import load_weights
from videxp.transforms.lut import apply_lut, identity_lut

CLASSIFIER_SIZE = 256  # pixels along height and width
CUT_GRID = 16
NEAR_ONE = 0.05  # the authors' weights begin anywhere between -5 and 5, and colors with them


class Lut3D(nn.Module):
    """[B,T,3,H,W] in [0,1] -> the same; each frame by its own sum of `luts` tables of `size`^3 colors.

    A clip's weights of the tables are smoothed over time, or its colors would flicker: each frame has a triangular mean
    of its shot's frames within `radius` (0: the paper's, frame by frame). That is a mean to both sides rather than a
    running one: it lags behind nothing, and a video that is cut into pieces gets the same as whole. A new shot begins
    where the mean change of color is above `cut_threshold` (of 1; above 1: never).

    normalize: the paper's instance normalization in what weighs the tables. It hides how bright a frame is: one of half
    the light is normalized to nearly the same. False: frames are weighed by their brightness, too.
    """

    scale = 1
    whole_frames = True
    intermediates = ("luts", "weights")

    def __init__(
        self,
        *,
        luts: Annotated[int, Ge(1)] = 3,
        size: Annotated[int, Ge(2)] = 33,
        channels: Annotated[int, Ge(1)] = 16,
        radius: Annotated[int, Ge(0)] = 8,
        cut_threshold: Annotated[float, Ge(0)] = 0.1,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
        normalize: bool = True,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.cut_threshold = cut_threshold
        first = identity_lut(size)
        self.luts = nn.ModuleList(_Table(first if number == 0 else torch.zeros_like(first)) for number in range(luts))
        self.classifier = _Classifier(channels, luts, dropout, normalize)
        load_weights(self, weights)

    def forward(self, video: Tensor) -> Tensor:
        return self.forward_with_intermediates(video)[0]

    def forward_with_intermediates(self, video: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The output, and for the losses that keep them smooth `luts` [L,3,S,S,S] and `weights` [B,T,L]."""
        weights = self.weights_of(video)
        frames = apply_lut(video.flatten(0, 1), self.mixed(weights.flatten(0, 1)))
        return frames.unflatten(0, video.shape[:2]), {"luts": self.tables(), "weights": weights}

    def intermediate_targets(self, video: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Zeros: the losses of tables and weights compare them with nothing."""
        luts = torch.zeros_like(self.tables())
        return {"luts": luts, "weights": luts.new_zeros(*video.shape[:2], len(luts))}

    def tables(self) -> Tensor:
        """[L,3,S,S,S]."""
        return torch.stack([cast(_Table, table).LUT for table in self.luts])

    def mixed(self, weights_NL: Tensor) -> Tensor:
        """The table of each frame: [N,3,S,S,S]."""
        with without_autocast(weights_NL):
            return torch.einsum("nl,lcbgr->ncbgr", weights_NL.float(), self.tables().float())

    def weights_of(self, video: Tensor) -> Tensor:
        """Of the tables, for each frame, smoothed: float32 [B,T,L]."""
        each_BTL = self.classifier(video.flatten(0, 1)).float().unflatten(0, video.shape[:2])
        with without_autocast(video):
            return each_BTL if self.radius == 0 else self._means(video.float()) @ each_BTL

    def _means(self, video: Tensor) -> Tensor:
        """[B,T,T]: which share each frame has in the mean of each frame."""
        numbers = torch.arange(video.shape[1], device=video.device)
        distance_TT = (numbers[:, None] - numbers).abs()
        share_TT = (1 - distance_TT / (self.radius + 1)).clamp(min=0)
        colors = F.adaptive_avg_pool2d(video.flatten(0, 1), CUT_GRID).unflatten(0, video.shape[:2])
        cuts_BT = F.pad(colors.diff(dim=1).abs().mean((2, 3, 4)) > self.cut_threshold, (1, 0))
        shot_BT = cuts_BT.cumsum(1)
        share_BTT = share_TT * (shot_BT[:, :, None] == shot_BT[:, None])
        return share_BTT / share_BTT.sum(2, keepdim=True)


class _Table(nn.Module):
    """A parameter under the name that it has in the authors' files."""

    def __init__(self, lut: Tensor) -> None:
        super().__init__()
        self.LUT = nn.Parameter(lut)


class _Classifier(nn.Module):
    """[N,3,H,W] -> a weight for each table, [N,L]; of frames brought to 256 x 256."""

    def __init__(self, channels: int, luts: int, dropout: float, normalize: bool) -> None:
        super().__init__()
        widths = [3, channels, 2 * channels, 4 * channels, 8 * channels, 8 * channels]
        layers: list[nn.Module] = [nn.Upsample(size=(CLASSIFIER_SIZE,) * 2, mode="bilinear")]
        for d_in, d_out in pairwise(widths):
            layers += [nn.Conv2d(d_in, d_out, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
            layers += [nn.InstanceNorm2d(d_out, affine=True) if normalize else nn.Identity()]
        layers[-1] = nn.Dropout(dropout)  # the last one is not normalized
        last = nn.Conv2d(widths[-1], luts, 8)
        self.model = nn.Sequential(*layers, last)
        for layer in self.model:
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_normal_(layer.weight)
            elif isinstance(layer, nn.InstanceNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
        assert last.bias is not None
        nn.init.xavier_normal_(last.weight, gain=NEAR_ONE)
        nn.init.ones_(last.bias)

    def forward(self, frames_NCHW: Tensor) -> Tensor:
        return self.model(frames_NCHW).flatten(1)
