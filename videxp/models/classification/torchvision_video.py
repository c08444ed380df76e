"""torchvision's video networks behind videxp's input: [B,T,C,H,W] in, logits [B,num_classes] out.

State-dict keys are torchvision's own, without a prefix, so its published Kinetics-400 checkpoints load by name:
`weights=KINETICS400_V1` (a member of `torchvision.models.video.*_Weights`) or the URL fetches them; a path is read.
Its Swin Transformers for pictures (`swin_t-704ceda3.pth` and so on) start the video ones, inflated: `inflation.py`.
The three ResNets and S3D are put together from torchvision's blocks, because its own classes have no width.

    r3d_18 mc3_18 r2plus1d_18   Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions", table 1
    s3d                         Xie et al. 2018, "Rethinking Spatiotemporal Feature Learning"
    mvit_v1_b                   Fan et al. 2021, "Multiscale Vision Transformers", table 2
    mvit_v2_s                   Li et al. 2022, "MViTv2: Improved Multiscale Vision Transformers", table 1
    swin3d_t swin3d_s swin3d_b  Liu et al. 2022, "Video Swin Transformer", section 3.3
"""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Annotated, Any, Literal

import torchvision.models.video as tv
from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.models.video.mvit import MSBlockConfig
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D, Conv3DNoTemporal, Conv3DSimple

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.classification.s3d import S3D
from videxp.models.layers.inflation import swin_in_time
from videxp.models.layers.stages import require_four_stages
from videxp.models.weights import load_weights


def published(name: str) -> dict[str, str]:
    """torchvision's names of the published weights of its network `name`, and their URLs."""
    return {key: member.url for key, member in get_model_weights(name).__members__.items()}


class VideoResNet(nn.Module):
    """An 18-layer ResNet over space and time; `convs` names the kind of convolution of each of the four stages."""

    feature_map = FeatureMap("layer4")

    def __init__(
        self, *, stem: nn.Sequential, convs: Sequence[Any], num_classes: int, width: int, depths: Sequence[int]
    ) -> None:
        super().__init__()
        require_four_stages(depths, name="depths")
        self.stem = stem
        widths = [width * 2**stage for stage in range(len(depths))]
        self.layer1 = _resnet_stage(convs[0], width, widths[0], depth=depths[0], stride=1)
        self.layer2 = _resnet_stage(convs[1], widths[0], widths[1], depth=depths[1], stride=2)
        self.layer3 = _resnet_stage(convs[2], widths[1], widths[2], depth=depths[2], stride=2)
        self.layer4 = _resnet_stage(convs[3], widths[2], widths[3], depth=depths[3], stride=2)
        self.fc = nn.Linear(widths[3], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        features = self.stem(video.transpose(1, 2))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        return self.fc(features.mean(dim=(2, 3, 4)))


def _resnet_stage(conv: Any, d_in: int, d_out: int, *, depth: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1:
        projection = nn.Conv3d(d_in, d_out, kernel_size=1, stride=conv.get_downsample_stride(stride), bias=False)
        shortcut = nn.Sequential(projection, nn.BatchNorm3d(d_out))
    first = BasicBlock(d_in, d_out, conv, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(d_out, d_out, conv) for _ in range(depth - 1)))


def _conv_norm_relu(d_in: int, d_out: int, *, kernel: tuple[int, int, int], space_stride: int) -> list[nn.Module]:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    conv = nn.Conv3d(d_in, d_out, kernel, stride=(1, space_stride, space_stride), padding=padding, bias=False)
    return [conv, nn.BatchNorm3d(d_out), nn.ReLU(inplace=True)]


def _plain_stem(width: int) -> nn.Sequential:
    return nn.Sequential(*_conv_norm_relu(3, width, kernel=(3, 7, 7), space_stride=2))


@accepts()
def r3d_18(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    width: Annotated[int, Ge(1)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (2, 2, 2, 2),
) -> nn.Module:
    """R3D-18: 3x3x3 convolutions throughout. Published at 16x112x112."""
    convs = [Conv3DSimple] * 4
    net = VideoResNet(stem=_plain_stem(width), convs=convs, num_classes=num_classes, width=width, depths=depths)
    load_weights(net, weights, head="fc", published=published("r3d_18"))
    return net


@accepts()
def mc3_18(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    width: Annotated[int, Ge(1)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (2, 2, 2, 2),
) -> nn.Module:
    """MC3-18: 3x3x3 convolutions in the first stage, per-frame 3x3 after it. Published at 16x112x112."""
    convs = [Conv3DSimple] + [Conv3DNoTemporal] * 3
    net = VideoResNet(stem=_plain_stem(width), convs=convs, num_classes=num_classes, width=width, depths=depths)
    load_weights(net, weights, head="fc", published=published("mc3_18"))
    return net


@accepts()
def r2plus1d_18(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    width: Annotated[int, Ge(2)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (2, 2, 2, 2),
) -> nn.Module:
    """R(2+1)D-18: each 3x3x3 split into 1x3x3 and 3x1x1 of the same total size. Published at 16x112x112."""
    d_mid = 45 * width // 64  # 45 at the published width
    space = _conv_norm_relu(3, d_mid, kernel=(1, 7, 7), space_stride=2)
    time = _conv_norm_relu(d_mid, width, kernel=(3, 1, 1), space_stride=1)
    stem = nn.Sequential(*space, *time)
    net = VideoResNet(stem=stem, convs=[Conv2Plus1D] * 4, num_classes=num_classes, width=width, depths=depths)
    load_weights(net, weights, head="fc", published=published("r2plus1d_18"))
    return net


@accepts(min_frames=5, min_size=17)
def s3d(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.2,
    width: Annotated[int, Ge(4)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (2, 5, 2),
) -> nn.Module:
    """S3D (separable Inception). Published at 64x224x224; torchvision's GMACs are for 16 frames. `depths`: how many of
    the published blocks each of the three stages has."""
    net = S3D(num_classes=num_classes, dropout=dropout, width=width, depths=depths)
    load_weights(net, weights, head="classifier.1", published=published("s3d"))
    return net


_MVIT_PATCH = (2, 4, 4)


class MViT(tv.MViT):
    """torchvision's MViT for [B,T,C,H,W]."""

    @property
    def feature_map(self) -> FeatureMap:
        """What the last block attends over: after it the class token alone is read."""
        last = len(self.blocks) - 1
        return FeatureMap(f"blocks.{last}.norm1", "b (1 t h w) d", stride=self._stride(last))

    @property
    def box_features(self) -> FeatureMap:
        return FeatureMap("norm", "b (1 t h w) d", stride=self._stride(len(self.blocks)))

    def _stride(self, blocks: int) -> tuple[int, int, int]:
        """After so many of the blocks."""
        strides = [block.pool_skip.pool.stride for block in self.blocks[:blocks] if block.pool_skip is not None]
        t, h, w = (prod(along) for along in zip(_MVIT_PATCH, *strides))
        return t, h, w

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return super().forward(video.transpose(1, 2))


def _mvit_blocks(*, widen: Literal["before", "within"], width: int, depths: Sequence[int]) -> list[MSBlockConfig]:
    """A stage halves the queries' size and doubles the features: v1 in the MLP before it, v2 in its own attention."""
    stages = [stage for stage, depth in enumerate(depths) for _ in range(depth)]
    blocks = []
    for i, stage in enumerate(stages):
        previous, following = stages[max(i - 1, 0)], stages[min(i + 1, len(stages) - 1)]
        first_of_stage = stage != previous
        query_stride = [1, 2, 2] if first_of_stage else [1, 1, 1]
        pool_query = widen == "within" or first_of_stage  # v1 pools queries only where they shrink
        key_stride = 2 ** max(len(depths) - 1 - stage, 0)
        blocks.append(
            MSBlockConfig(
                num_heads=2**stage,
                input_channels=width * 2 ** (previous if widen == "within" else stage),
                output_channels=width * 2 ** (stage if widen == "within" else following),
                kernel_q=[3, 3, 3] if pool_query else [],
                kernel_kv=[3, 3, 3],
                stride_q=query_stride if pool_query else [],
                stride_kv=[1, key_stride, key_stride],
            )
        )
    return blocks


@accepts(min_frames=2, frames_multiple=2, min_size=4, size_multiple=4)
def mvit_v1_b(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    num_frames: Annotated[int, Ge(2)] = 16,
    size: Annotated[int, Ge(4)] = 224,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    stochastic_depth: Annotated[float, Interval(ge=0, lt=1)] = 0.2,
    width: Annotated[int, Ge(1)] = 96,
    depths: Sequence[Annotated[int, Ge(1)]] = (1, 2, 11, 2),
) -> nn.Module:
    """MViT-B 16x4. Positions are embedded for `num_frames` and `size`; heads are 1, 2, 4, 8, each `width` wide."""
    net = MViT(
        spatial_size=(size, size),
        temporal_size=num_frames,
        block_setting=_mvit_blocks(widen="before", width=width, depths=depths),
        residual_pool=False,
        residual_with_cls_embed=False,
        rel_pos_embed=False,
        proj_after_attn=False,
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth,
        num_classes=num_classes,
    )
    load_weights(net, weights, head="head.1", published=published("mvit_v1_b"))
    return net


@accepts(min_frames=2, frames_multiple=2, min_size=32, size_multiple=4)
def mvit_v2_s(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    num_frames: Annotated[int, Ge(2)] = 16,
    size: Annotated[int, Ge(32)] = 224,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    stochastic_depth: Annotated[float, Interval(ge=0, lt=1)] = 0.2,
    width: Annotated[int, Ge(1)] = 96,
    depths: Sequence[Annotated[int, Ge(1)]] = (1, 2, 11, 2),
) -> nn.Module:
    """MViTv2-S 16x4: decomposed relative positions and residual pooling. Made for `num_frames` and `size`."""
    net = MViT(
        spatial_size=(size, size),
        temporal_size=num_frames,
        block_setting=_mvit_blocks(widen="within", width=width, depths=depths),
        residual_pool=True,
        residual_with_cls_embed=False,
        rel_pos_embed=True,
        proj_after_attn=True,
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth,
        num_classes=num_classes,
    )
    load_weights(net, weights, head="head.1", published=published("mvit_v2_s"))
    return net


class SwinTransformer3d(tv.SwinTransformer3d):
    """torchvision's Video Swin Transformer for [B,T,C,H,W]; frames and size are padded up to patches and windows."""

    feature_map = FeatureMap("norm", "b t h w d")

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return super().forward(video.transpose(1, 2))


_PUBLISHED_SWINS: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): "swin3d_t",
    (96, (2, 2, 18, 2)): "swin3d_s",
    (128, (2, 2, 18, 2)): "swin3d_b",
}
"""torchvision's names by width and depths."""


@accepts()
def swin3d(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    stochastic_depth: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
    width: Annotated[int, Ge(1)] = 96,
    depths: Sequence[Annotated[int, Ge(1)]] = (2, 2, 6, 2),
    heads: Annotated[int, Ge(1)] = 3,
) -> nn.Module:
    """Video Swin-T. Published at 32x224x224; `heads` of the first stage, twice as many in each next, divide `width`."""
    if width % heads:
        raise ValueError(f"width={width} is not a multiple of heads={heads}")
    net = SwinTransformer3d(
        patch_size=[2, 4, 4],
        embed_dim=width,
        depths=list(depths),
        num_heads=[heads * 2**stage for stage in range(len(depths))],
        window_size=[8, 7, 7],
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth,
        num_classes=num_classes,
    )
    convert = partial(swin_in_time, own=net.state_dict())
    name = _PUBLISHED_SWINS.get((width, tuple(depths)))
    load_weights(net, weights, head="head", published=published(name) if name else {}, convert=convert)
    return net
