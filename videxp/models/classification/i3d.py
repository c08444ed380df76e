"""I3D-R50: a ResNet-50 inflated in time. Carreira & Zisserman 2017, "Quo Vadis, Action Recognition?", section 2.4;
on ResNet-50 after Wang et al. 2018, "Non-local Neural Networks", table 1 (3x1x1 in every other block).

Keys are pytorchvideo's: `.../pytorchvideo/model_zoo/kinetics/I3D_8x8_R50.pyth` loads.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Annotated

from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.layers.residual3d import bottleneck_stage, initialize, stem
from videxp.models.layers.stages import require_four_stages
from videxp.models.weights import load_weights

_TIME_KERNELS = ((3,), (3, 1), (3, 1), (1, 3))  # repeated over the blocks of a stage


class InflatedResNet(nn.Module):
    """[B,T,C,H,W] -> [B,num_classes]; frames are halved once, after the first stage."""

    feature_map = FeatureMap("blocks.5")

    def __init__(self, *, num_classes: int, dropout: float, width: int, depths: Sequence[int]) -> None:
        super().__init__()
        require_four_stages(depths, name="depths")
        blocks: list[nn.Module] = [stem(width, time_kernel=5)]
        d_in = width
        for i, depth in enumerate(depths):
            d_inner = width * 2**i
            kernels = islice(cycle(_TIME_KERNELS[i]), depth)
            blocks.append(
                bottleneck_stage(d_in, d_inner, 4 * d_inner, time_kernels=kernels, space_stride=1 if i == 0 else 2)
            )
            if i == 0:
                blocks.append(nn.MaxPool3d((2, 1, 1), stride=(2, 1, 1)))
            d_in = 4 * d_inner
        head = OrderedDict(
            pool=nn.AdaptiveAvgPool3d(1),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(dropout),
            proj=nn.Linear(d_in, num_classes),
        )
        self.blocks = nn.Sequential(*blocks, nn.Sequential(head))
        initialize(self)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return self.blocks(video.transpose(1, 2))


@accepts(min_frames=2)
def i3d_r50(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    width: Annotated[int, Ge(1)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (3, 4, 6, 3),
) -> nn.Module:
    """I3D-R50 8x8. Published at 8x224x224, stride 8 (tested at 256)."""
    net = InflatedResNet(num_classes=num_classes, dropout=dropout, width=width, depths=depths)
    load_weights(net, weights, head="blocks.6.proj")
    return net
