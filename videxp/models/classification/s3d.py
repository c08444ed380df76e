"""S3D, put together from torchvision's blocks, because its own class has no width. Xie et al. 2018, "Rethinking
Spatiotemporal Feature Learning", figure 5 (without gates). State-dict keys are torchvision's.
"""

from collections.abc import Sequence
from functools import partial

import torchvision.models.video as tv
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.video.s3d import SepInceptionBlock3D, TemporalSeparableConv
from torchvision.ops.misc import Conv3dNormActivation

from videxp.core.token_layout import FeatureMap

PUBLISHED_WIDTH = 64
# Of each block: outputs of its 1x1x1 branch; of the two 3x3x3 branches first inside, then out; of the pooled branch.
# A stage's last blocks stay where it is made less deep, so that stages are as wide as published.
_STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
PUBLISHED_DEPTHS = tuple(len(stage) for stage in _STAGES)


class S3D(tv.S3D):
    """[B,T,C,H,W] -> [B,num_classes]. The last pooling of 2x7x7 shrinks to the feature map where that is smaller (below
    224)."""

    feature_map = FeatureMap("features")

    def __init__(self, *, num_classes: int, dropout: float, width: int, depths: Sequence[int]) -> None:
        nn.Module.__init__(self)
        if len(depths) != len(_STAGES) or any(not 1 <= n <= most for n, most in zip(depths, PUBLISHED_DEPTHS)):
            raise ValueError(f"depths={list(depths)}: give three numbers, from 1 to {list(PUBLISHED_DEPTHS)}")
        norm = partial(nn.BatchNorm3d, eps=0.001, momentum=0.001)

        def scaled(channels: int) -> int:
            return channels * width // PUBLISHED_WIDTH

        d_in = scaled(192)
        layers: list[nn.Module] = [
            TemporalSeparableConv(3, width, 7, 2, 3, norm),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            Conv3dNormActivation(width, width, kernel_size=1, norm_layer=norm),
            TemporalSeparableConv(width, d_in, 3, 1, 1, norm),
        ]
        poolings = [
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            nn.MaxPool3d(3, stride=2, padding=1),
            nn.MaxPool3d(2, stride=2),
        ]
        for pooling, stage, depth in zip(poolings, _STAGES, depths, strict=True):
            layers.append(pooling)
            for block in stage[-depth:]:
                channels = [scaled(number) for number in block]
                layers.append(SepInceptionBlock3D(d_in, *channels, norm))
                d_in = channels[0] + channels[2] + channels[4] + channels[5]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Conv3d(d_in, num_classes, 1))

    def forward(self, video: Tensor) -> Tensor:
        features = self.features(video.transpose(1, 2))  # [B,1024,T/8,H/32,W/32]
        kernel = [min(window, length) for window, length in zip((2, 7, 7), features.shape[2:], strict=True)]
        return self.classifier(F.avg_pool3d(features, kernel, stride=1)).mean(dim=(2, 3, 4))
