"""What a figure of generated video was measured on: without it, two Fréchet video distances cannot be compared.

Legend: N clips, T frames, C channels, H, W.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge
from videxp.metrics.features import FeatureNetwork, eight_bit
from videxp.metrics.torchscript import I3D


@dataclass(frozen=True)
class Figure:
    """A number, and in one line all that it depends on; printed together."""

    name: str
    value: float
    protocol: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value:.4g}   [{self.protocol}]"


@dataclass(frozen=True, kw_only=True)
class GenerationProtocol:
    """Which clips are compared, and how; the field's names follow from it: `_2048_128f_subsample8f`.

    num_clips: generated ones, and at most as many real ones. num_frames: of a clip, every `stride_frames`-th of the
    video. resolution: height = width of the clips (None: as they come); others are scaled to it by `resize`, with or
    without `antialias`. Clips are rounded to 8 bits, real and generated alike. unbiased: covariances over N - 1.
    """

    num_clips: Annotated[int, Ge(2)] = 2048
    num_frames: Annotated[int, Ge(1)] = 16
    stride_frames: Annotated[int, Ge(1)] = 1
    resolution: Annotated[int, Ge(1)] | None = None
    resize: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    unbiased: bool = True

    @property
    def suffix(self) -> str:
        """`2048_16f`; with a stride of 8, `2048_128f_subsample8f`, whose clips have 128 / 8 = 16 frames."""
        strided = f"_subsample{self.stride_frames}f" if self.stride_frames > 1 else ""
        return f"{self.num_clips}_{self.num_frames * self.stride_frames}f{strided}"

    def metric(self, kind: Literal["frechet_distance", "kernel_distance"], network: FeatureNetwork) -> str:
        """With I3D `fvd2048_16f` or `kvd2048_16f`; else `frechet_distance_r3d_18_2048_16f`, and never FVD."""
        if isinstance(network, I3D):
            return {"frechet_distance": "fvd", "kernel_distance": "kvd"}[kind] + self.suffix
        return f"{kind}_{network.name}_{self.suffix}"

    def prepared(self, video_NTCHW: Tensor) -> Tensor:
        """uint8, or float in [0,1] -> uint8 [N,num_frames,3,resolution,resolution]; grey becomes RGB.

        Raises BadRequest for another number of frames (take every `stride_frames`-th before), and for clips that would
        be distorted.
        """
        if video_NTCHW.shape[1] != self.num_frames:
            raise BadRequest(
                f"{self.suffix}: clips of {video_NTCHW.shape[1]} frames were given, {self.num_frames} are compared\n"
                f"Set dataset.num_frames={self.num_frames} dataset.stride_frames={self.stride_frames}"
            )
        video = eight_bit(self._resized(video_NTCHW))
        return video.expand(-1, -1, 3, -1, -1) if video.shape[2] == 1 else video

    def _resized(self, video_NTCHW: Tensor) -> Tensor:
        size, height, width = self.resolution, *video_NTCHW.shape[-2:]
        if size is None or (height, width) == (size, size):
            return video_NTCHW
        if height != width:
            raise BadRequest(f"{self.suffix}: clips of {height}x{width} would be squashed to {size}x{size}: crop them")
        video = video_NTCHW / 255 if video_NTCHW.dtype == torch.uint8 else video_NTCHW.float()
        resized = F.interpolate(
            video.flatten(0, 1), size=(size, size), mode=self.resize, align_corners=False, antialias=self.antialias
        )
        return resized.unflatten(0, video.shape[:2])

    def text(self, network: FeatureNetwork, *, real: int, generated: int) -> str:
        """One line, with the numbers of clips that there really were."""
        frames = f"{self.num_frames} frames" + (f" (stride {self.stride_frames})" if self.stride_frames > 1 else "")
        edges = "antialiased" if self.antialias else "not antialiased"
        size = "8-bit"
        if self.resolution:
            size = f"{self.resolution}x{self.resolution} (others {self.resize}, {edges}), 8-bit"
        divisor = "N-1" if self.unbiased else "N"
        return (
            f"{real} real, {generated} generated clips of {frames}; {size}; features {network}; covariance / {divisor}"
        )


PROTOCOLS = {
    protocol.suffix: protocol
    for protocol in (
        GenerationProtocol(num_frames=16, unbiased=False),
        GenerationProtocol(num_frames=128, unbiased=False),
        GenerationProtocol(num_frames=16, stride_frames=8, unbiased=False),
    )
}
"""StyleGAN-V's (Skorokhodov et al. 2022), at the resolution of the data; I3D's figure is called `fvd` + name."""
