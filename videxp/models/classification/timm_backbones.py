"""TSN and TSM on image networks of the optional package `timm`, built from their names: nothing is downloaded.

    tsn_timm   Wang et al. 2016, "Temporal Segment Networks", section 3.1 (average consensus)
    tsm_timm   Lin et al. 2019, "TSM: Temporal Shift Module", section 3 (residual shift) and table 2 (MobileNetV2)

Keys beneath `network.` are timm's, so its ImageNet checkpoints load by name, from .safetensors or .bin.
"""

from typing import Annotated, Any, cast

from torch import Tensor, nn

from videxp.core.errors import BadRequest, NotInstalled
from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.classification.tsn import shift_in_time
from videxp.models.weights import load_weights

_MOBILENET_V2 = "mobilenetv2_100"


class AveragedFrames(nn.Module):
    """`network` on each frame, logits averaged over frames."""

    @property
    def feature_map(self) -> FeatureMap:
        """timm's own last one."""
        return FeatureMap(f"network.{cast(Any, self.network).feature_info[-1]['module']}", "(b t) d h w")

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return self.network(video.flatten(0, 1)).unflatten(0, video.shape[:2]).mean(dim=1)


class ShiftedFrames(AveragedFrames):
    """AveragedFrames in which the first layer of each of `branches` sees a quarter of the channels moved one frame.

    The shift is a hook on that layer, so that names of parameters stay the network's; the shortcut is not shifted.
    """

    def __init__(self, network: nn.Module, branches: list[nn.Module]) -> None:
        super().__init__(network)
        self.num_frames = 1
        for layer in branches:
            layer.register_forward_pre_hook(self._shift)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        self.num_frames = video.shape[1]
        return super().forward(video)

    def _shift(self, layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return shift_in_time(inputs[0].unflatten(0, (-1, self.num_frames))).flatten(0, 1)


def residual_branches(network: nn.Module) -> list[nn.Module]:
    """The first layer of every residual branch: `conv1` of ResNets' blocks, `conv_pw` of MobileNets' with a shortcut.

    Both as in the authors' code: all blocks of a ResNet, of MobileNetV2 those that expand and have a shortcut.
    """
    found = []
    for block in network.modules():
        first = getattr(block, "conv1", None)
        if first is not None and hasattr(block, "downsample"):
            found.append(first)
        elif getattr(block, "has_skip", False) and hasattr(block, "conv_dw") and hasattr(block, "conv_pwl"):
            found.append(block.conv_pw)
    return found


def _create(backbone: str, *, num_classes: int, dropout: float) -> Any:
    try:
        import timm
    except ImportError as error:
        raise NotInstalled("timm", extra="timm") from error
    if not timm.is_model(backbone):
        similar = timm.list_models(f"*{backbone.partition('_')[0]}*")[:3]
        raise BadRequest(
            f"backbone={backbone}: timm {timm.__version__} has no such network\n"
            f"Choose one of timm.list_models(), such as {', '.join(similar or [_MOBILENET_V2, 'resnet50'])}"
        )
    return timm.create_model(backbone, pretrained=False, num_classes=num_classes, drop_rate=dropout)


@accepts()
def tsn_timm(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    backbone: str = _MOBILENET_V2,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.4,
) -> nn.Module:
    """TSN on any image network of timm that takes the clip's size: `backbone` is its name there."""
    network = _create(backbone, num_classes=num_classes, dropout=dropout)
    load_weights(network, weights, head=network.pretrained_cfg["classifier"])
    return AveragedFrames(network)


@accepts()
def tsm_timm(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    backbone: str = _MOBILENET_V2,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
) -> nn.Module:
    """TSM on a residual convolutional network of timm. Published with MobileNetV2, 8 frames at 224x224.

    Raises `BadRequest` where `backbone` has no residual branches of the kinds in `residual_branches`.
    """
    network = _create(backbone, num_classes=num_classes, dropout=dropout)
    branches = residual_branches(network)
    if not branches:
        raise BadRequest(
            f"backbone={backbone}: has no residual convolutions to shift\n"
            "Take a ResNet, MobileNet or EfficientNet of timm, or model=tsn_timm"
        )
    load_weights(network, weights, head=network.pretrained_cfg["classifier"])
    return ShiftedFrames(network, branches)
