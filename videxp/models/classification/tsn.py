"""2-D ResNet-50 over sampled frames. Wang et al. 2016, "Temporal Segment Networks", section 3.1 (average consensus);
Lin et al. 2019, "TSM: Temporal Shift Module", section 3 (residual shift of 1/8 of the channels each way).

Keys are torchvision's ResNet-50, without a prefix: `weights=https://download.pytorch.org/models/resnet50-11ad3fa6.pth`
starts either from ImageNet, as the papers do. Checkpoints of mmaction2's TSN and TSM on ResNet-50 and of TSM's authors
load, too: `RESNET_NAMES` says what their names become.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, cast

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.layers.stages import require_four_stages
from videxp.models.layers.streaming import begin, divide_size, join_past, running_mean
from videxp.models.weights import Renames, load_weights

SHIFT_DIVISOR = 8  # one of so many channels is shown another frame's, each way

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
        features = self.run_stem(video)
        for block in self.blocks:
            features = self.run_block(block, features, num_frames=num_frames)
        return self.frame_logits(features).unflatten(0, (batch_size, num_frames)).mean(dim=1)

    @property
    def blocks(self) -> Iterator[Bottleneck]:
        """Of all four stages, in order."""
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            yield from cast(Iterable[Bottleneck], stage)

    def run_stem(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B*T,D,H/4,W/4]."""
        return self.maxpool(self.relu(self.bn1(self.conv1(video.flatten(0, 1)))))

    def frame_logits(self, features: Tensor) -> Tensor:
        """[B*T,D,H,W] -> [B*T,num_classes]."""
        return self.fc(self.dropout(self.last_features(features).mean(dim=(2, 3))))

    def run_block(self, block: Bottleneck, features: Tensor, *, num_frames: int) -> Tensor:
        """[B*T,D,H,W] -> [B*T,D',H',W']."""
        return block(features)


class TSM(TSN):
    """TSN in which, before each block's first convolution, a quarter of the channels moves one frame: no parameters."""

    def run_block(self, block: Bottleneck, features: Tensor, *, num_frames: int) -> Tensor:
        return run_bottleneck(block, features, shift_in_time(features.unflatten(0, (-1, num_frames))).flatten(0, 1))


class OnlineTSM(TSN):
    """TSM whose features come from the frame before alone, as in the paper's section 4.2; `Streaming`, without delay.

    Of each block's input D/8 channels are those of the frame before, the same ones as in `TSM`; where `TSM` has the
    next frame's, each frame has its own. So names, shapes and the meaning of all else stay: weights of either load into
    the other as they are; a bidirectional network's must be trained further, for it has learned to look ahead.
    An answer is the mean of the logits of all frames since the state began.
    """

    delay_frames = 0

    def initial_state(
        self, batch: int, size: tuple[int, int], *, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        """Frames so far [B]; their logits' total [B,num_classes]; for each block what it keeps [B,1,D/8,h,w]."""
        shapes: list[tuple[int, ...]] = [(batch,), (batch, self.fc.out_features)]
        size = divide_size(size, 4)
        for block in self.blocks:
            shapes.append((batch, 1, block.conv1.in_channels // SHIFT_DIVISOR, *size))
            size = divide_size(size, block.stride)
        return tuple(torch.zeros(shape, device=device, dtype=dtype) for shape in shapes)

    def step(self, video: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """[B,t,C,H,W] -> logits [B,t,num_classes] after each frame, of all frames so far."""
        batch_size, num_frames = video.shape[:2]
        (count, total), kept = state[:2], []
        features = self.run_stem(video)
        for block, past in zip(self.blocks, state[2:], strict=True):
            shifted, last = shift_from_past(features.unflatten(0, (batch_size, num_frames)), past)
            features = run_bottleneck(block, features, shifted.flatten(0, 1))
            kept.append(last)
        logits, total = running_mean(total, count, self.frame_logits(features).unflatten(0, (batch_size, num_frames)))
        return logits, (count + num_frames, total, *kept)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return self.step(video, begin(self, video))[0][:, -1]


def run_bottleneck(block: Bottleneck, features: Tensor, shifted: Tensor) -> Tensor:
    """ResNet-50's bottleneck, whose branch, not its shortcut, sees the shifted features [B*T,D,H,W]."""
    branch = block.relu(block.bn1(block.conv1(shifted)))
    branch = block.relu(block.bn2(block.conv2(branch)))
    branch = block.bn3(block.conv3(branch))
    shortcut = features if block.downsample is None else block.downsample(features)
    return block.relu(shortcut + branch)


def shift_from_past(x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """[B,T,D,H,W] in which D/8 channels, the second eighth, show the frame before: `past` [B,1,D/8,H,W] before the
    first; and what the next frame is to be given."""
    n = past.shape[2]
    own, moving, rest = x.split([n, n, x.shape[2] - 2 * n], dim=2)
    both, past = join_past(past, moving, dim=1)
    return torch.cat([own, both[:, :-1], rest], dim=2), past


def shift_in_time(x: Tensor, *, divisor: int = SHIFT_DIVISOR) -> Tensor:
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
    online: bool = False,
) -> nn.Module:
    """TSM-R50. Published with 8 frames at 224x224; `width_per_group` narrows the bottlenecks.

    online: it sees the past alone. Weights of TSM-R50 load as they are: train it further from them.
    """
    network = OnlineTSM if online else TSM
    net = network(num_classes=num_classes, dropout=dropout, width_per_group=width_per_group, depths=depths)
    load_weights(net, weights, head="fc", renames=RESNET_NAMES)
    return net
