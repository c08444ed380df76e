"""VideoMAE, TimeSformer, V-JEPA 2 from the optional package `transformers`, from configuration: nothing is downloaded.

    videomae_b     Tong et al. 2022, "VideoMAE: Masked Autoencoders are Data-Efficient Learners", table 12 (fine-tuning)
    timesformer_b  Bertasius et al. 2021, "Is Space-Time Attention All You Need for Video Understanding?", section 4
    vjepa2_l       Assran et al. 2025, "V-JEPA 2", section 5 (the encoder with an attentive probe)

Keys beneath `network.` are the hub's, so its fine-tuned checkpoints load by name, from .safetensors or .bin
(for example `model.safetensors` of MCG-NJU/videomae-base-finetuned-kinetics).
"""

from types import ModuleType
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from videxp.core.errors import NotInstalled
from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import AttentionStage, FeatureMap
from videxp.models.weights import load_weights


class Logits(nn.Module):
    """A `transformers` video classifier that returns its logits alone. feature_map, box_features, attention: how
    its tokens lie."""

    def __init__(
        self,
        network: nn.Module,
        *,
        feature_map: FeatureMap,
        box_features: FeatureMap | None = None,
        attention: tuple[AttentionStage, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.feature_map = feature_map
        self.box_features = box_features
        self.attention = attention

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return self.network(pixel_values=video).logits


class VJEPALogits(Logits):
    """V-JEPA 2's classifier without the predictor, which only its pre-training needs."""

    def __init__(self, network: Any, *, feature_map: FeatureMap) -> None:
        super().__init__(network, feature_map=feature_map)
        network.vjepa2.predictor = None

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return self.network(pixel_values_videos=video).logits


def _transformers() -> ModuleType:
    try:
        import transformers
    except ImportError as error:
        raise NotInstalled("transformers", extra="transformers") from error
    return transformers


@accepts(min_frames=2, frames_multiple=2, min_size=16, size_multiple=16)
def videomae_b(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    num_frames: Annotated[int, Ge(2)] = 16,
    size: Annotated[int, Ge(16)] = 224,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    width: Annotated[int, Ge(1)] = 768,
    heads: Annotated[int, Ge(1)] = 12,
    depth: Annotated[int, Ge(1)] = 12,
) -> nn.Module:
    """VideoMAE ViT-B, the fine-tuned classifier. Published at 16x224x224; made for `num_frames` and `size`."""
    library = _transformers()
    config = library.VideoMAEConfig(
        num_labels=num_classes,
        num_frames=num_frames,
        image_size=size,
        hidden_size=width,
        num_attention_heads=heads,
        num_hidden_layers=depth,
        intermediate_size=4 * width,
        hidden_dropout_prob=dropout,
    )
    tokens, stride = "b (t h w)", (2, 16, 16)  # no class token; all are averaged
    net = Logits(
        library.VideoMAEForVideoClassification(config),
        feature_map=FeatureMap(f"network.videomae.encoder.layer.{depth - 1}.layernorm_before", f"{tokens} d", stride),
        box_features=FeatureMap(f"network.videomae.encoder.layer.{depth - 1}", f"{tokens} d", stride),
        attention=(AttentionStage("network.videomae.encoder", (tokens,), readout="mean", stride=stride),),
    )
    load_weights(net.network, weights, head="classifier")
    return net


@accepts(min_size=16, size_multiple=16)
def timesformer_b(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    num_frames: Annotated[int, Ge(1)] = 8,
    size: Annotated[int, Ge(16)] = 224,
    attention: Literal["divided_space_time", "joint_space_time", "space_only"] = "divided_space_time",
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    width: Annotated[int, Ge(1)] = 768,
    heads: Annotated[int, Ge(1)] = 12,
    depth: Annotated[int, Ge(1)] = 12,
) -> nn.Module:
    """TimeSformer ViT-B. Published at 8x224x224, stride 32; made for `num_frames` and `size`."""
    library = _transformers()
    config = library.TimesformerConfig(
        num_labels=num_classes,
        num_frames=num_frames,
        image_size=size,
        attention_type=attention,
        hidden_size=width,
        num_attention_heads=heads,
        num_hidden_layers=depth,
        intermediate_size=4 * width,
        hidden_dropout_prob=dropout,
    )
    of_frames, jointly, stride = "(b t) (1 h w)", "b (1 h w t)", (1, 16, 16)  # jointly, time runs fastest
    is_joint, is_alone = attention == "joint_space_time", attention == "space_only"
    axes = {"divided_space_time": ("(b h w) t", of_frames), "joint_space_time": (jointly,), "space_only": ()}[attention]
    net = Logits(
        library.TimesformerForVideoClassification(config),
        feature_map=FeatureMap(
            f"network.timesformer.encoder.layer.{depth - 1}.layernorm_before",
            f"{jointly if is_joint else of_frames} d",
            stride,
        ),
        box_features=FeatureMap("network.timesformer.layernorm", f"{of_frames if is_alone else jointly} d", stride),
        attention=(AttentionStage("network.timesformer.encoder", axes, "class", stride),) if axes else (),
    )
    load_weights(net.network, weights, head="classifier")
    return net


@accepts(frames_multiple=2, min_size=16, size_multiple=16)
def vjepa2_l(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    num_frames: Annotated[int, Ge(2)] = 16,
    size: Annotated[int, Ge(16)] = 256,
    width: Annotated[int, Ge(1)] = 1024,
    heads: Annotated[int, Ge(1)] = 16,
    depth: Annotated[int, Ge(1)] = 24,
    pooler_depth: Annotated[int, Ge(1)] = 3,
) -> nn.Module:
    """V-JEPA 2 ViT-L with its attentive probe. Published at 16x256x256; made for `num_frames` and `size`."""
    library = _transformers()
    config = library.VJEPA2Config(
        num_labels=num_classes,
        frames_per_clip=num_frames,
        crop_size=size,
        hidden_size=width,
        num_attention_heads=heads,
        num_hidden_layers=depth,
        num_pooler_layers=pooler_depth,
    )
    net = VJEPALogits(
        library.VJEPA2ForVideoClassification(config),
        feature_map=FeatureMap("network.vjepa2.encoder.layernorm", "b (t h w) d", (2, 16, 16)),
    )
    load_weights(net.network, weights, head="classifier", renames=[(r"^vjepa2\.predictor\..*", "")])
    return net
