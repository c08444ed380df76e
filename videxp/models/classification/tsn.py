"""2-D ResNet-50 over sampled frames. Wang et al. 2016, "Temporal Segment Networks", section 3.1 (average consensus);
Lin et al. 2019, "TSM: Temporal Shift Module", section 3 (residual shift of 1/8 of the channels each way).

Keys are torchvision's ResNet-50, without a prefix: `weights=https://download.pytorch.org/models/resnet50-11ad3fa6.pth`
starts either from ImageNet, as the papers do. Checkpoints of mmaction2's TSN and TSM on ResNet-50 and of TSM's authors
load, too: `RESNET_NAMES` says what their names become.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.layers.stages import require_four_stages
from videxp.models.weights import Renames, load_weights

RESNET_NAMES: Renames = (
    (r"^(module\.)?base_model\.", ""),  # TSM's authors: module.base_model.layer1.0.conv1.net.weight, module.new_fc.bias
    (r"^(module\.)?new_fc\.", "fc."),
    (r"^backbone\.", ""),  # mmaction2: backbone.layer1.0.conv1.conv.net.weight, ...conv1.bn.bias, cls_head.fc_cls.bias
    (r"^cls_head\.fc_cls\.", "fc."),
    (r"downsample\.conv\.", "downsample.0."),
    (r"downsample\.bn\.", "downsample.1."),
    (r"conv(\d)\.bn\.", r"bn\1."),
    (r"conv(\d)\.(?:conv\.)?(?:net\.)?", r"conv\1."),
)


class TSN(torchvision.models.ResNet):
    """Each frame on its own, logits averaged over frames."""

    feature_map = FeatureMap("last_features", "(b t) d h w")

    def __init__(self, *, num_classes: int, dropout: float, width_per_group: int, depths: Sequence[int]) -> None:
        require_four_stages(depths, name="depths")
        super().__init__(Bottleneck, list(depths), num_classes=num_classes, width_per_group=width_per_group)
        self.last_features = nn.Identity()  # TSM calls parts of its last block only
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        batch_size, num_frames = video.shape[:2]
        features = self.maxpool(self.relu(self.bn1(self.conv1(video.flatten(0, 1)))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                features = self.run_block(block, features, num_frames=num_frames)
        features = self.last_features(features)
        frame_logits = self.fc(self.dropout(features.mean(dim=(2, 3))))
        return frame_logits.unflatten(0, (batch_size, num_frames)).mean(dim=1)

    def run_block(self, block: Bottleneck, features: Tensor, *, num_frames: int) -> Tensor:
        """[B*T,D,H,W] -> [B*T,D',H',W']."""
        return block(features)


class TSM(TSN):
    """TSN in which, before each block's first convolution, a quarter of the channels moves one frame: no parameters."""

    def run_block(self, block: Bottleneck, features: Tensor, *, num_frames: int) -> Tensor:
        """The bottleneck of ResNet-50 with its branch, not its shortcut, shifted."""
        shifted = shift_in_time(features.unflatten(0, (-1, num_frames))).flatten(0, 1)
        branch = block.relu(block.bn1(block.conv1(shifted)))
        branch = block.relu(block.bn2(block.conv2(branch)))
        branch = block.bn3(block.conv3(branch))
        shortcut = features if block.downsample is None else block.downsample(features)
        return block.relu(shortcut + branch)


def shift_in_time(x: Tensor, *, divisor: int = 8) -> Tensor:
    """[B,T,D,H,W]: D/8 channels show the next frame, D/8 the previous, the rest their own; zeros beyond the ends."""
    d_shifted = x.shape[2] // divisor
    from_next, from_previous, own = x.split([d_shifted, d_shifted, x.shape[2] - 2 * d_shifted], dim=2)
    nothing = torch.zeros_like(from_next[:, :1])
    from_next = torch.cat([from_next[:, 1:], nothing], dim=1)
    from_previous = torch.cat([nothing, from_previous[:, :-1]], dim=1)
    return torch.cat([from_next, from_previous, own], dim=2)


@accepts()
def tsn_r50(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.4,
    width_per_group: Annotated[int, Ge(1)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (3, 4, 6, 3),
) -> nn.Module:
    """TSN-R50. Published with 8 segments of 1 frame at 224x224; `width_per_group` narrows the bottlenecks."""
    net = TSN(num_classes=num_classes, dropout=dropout, width_per_group=width_per_group, depths=depths)
    load_weights(net, weights, head="fc", renames=RESNET_NAMES)
    return net


@accepts()
def tsm_r50(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    width_per_group: Annotated[int, Ge(1)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (3, 4, 6, 3),
) -> nn.Module:
    """TSM-R50. Published with 8 frames at 224x224; `width_per_group` narrows the bottlenecks."""
    net = TSM(num_classes=num_classes, dropout=dropout, width_per_group=width_per_group, depths=depths)
    load_weights(net, weights, head="fc", renames=RESNET_NAMES)
    return net
