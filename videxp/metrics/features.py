"""Networks whose features judge generated video. Legend: N clips, T frames, C = 3, H, W, D features, K classes.

Every one is called with clips, uint8 or float in [0,1] [N,T,C,H,W], and returns float32 [N,D] (or [N*T,D], where it
looks at single frames). It stays in evaluation mode and in float32, also within a task that trains under autocast: a
figure must not depend on the precision that was trained in. Nothing is downloaded: weights come from a path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge
from videxp.core.tensor_files import read_tensors, weights_hash

Transform = Callable[[Tensor], Tensor]
"""uint8 or float in [0,1] [N,T,C,H,W] -> what a network takes, [N',T,C,H,W]: N' = N, or V N for V adjacent views."""


class FeatureNetwork(nn.Module):
    """A frozen network. A subclass says in `compute` how it is called; `name` becomes part of the metric's name.

    weights: SHA-256 of its weights or file. input_text: what is done to a clip's pixels, for the protocol's line.
    """

    def __init__(self, network: nn.Module, *, name: str, weights: str, input_text: str) -> None:
        super().__init__()
        self.network = network.eval()
        for parameter in network.parameters():  # a ScriptModule has no requires_grad_ of its own
            parameter.requires_grad_(False)
        self.name, self.weights, self.input_text = name, weights, input_text

    def __str__(self) -> str:
        return f"{self.name} (weights sha256:{self.weights[:12]}; {self.input_text})"

    def train(self, mode: bool = True) -> "FeatureNetwork":
        return super().train(False)

    @torch.no_grad()
    def forward(self, video_NTCHW: Tensor) -> Tensor:
        with torch.autocast(video_NTCHW.device.type, enabled=False):
            return self.compute(video_NTCHW)

    def compute(self, video_NTCHW: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class PixelInput:
    """A `Transform`: to `size` x `size` (None: as they come), bilinear; then (x - mean) / std with x in [0,255]."""

    size: int | None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    antialias: bool = True

    def __call__(self, video_NTCHW: Tensor) -> Tensor:
        video = video_NTCHW.float() if video_NTCHW.dtype == torch.uint8 else video_NTCHW.float() * 255
        if self.size is not None and video.shape[-2:] != (self.size, self.size):
            shape = (*video.shape[:-2], self.size, self.size)
            video = F.interpolate(
                video.flatten(0, 1), size=shape[-2:], mode="bilinear", align_corners=False, antialias=self.antialias
            ).reshape(shape)
        mean, std = (torch.tensor(x, device=video.device)[:, None, None] for x in (self.mean, self.std))
        return (video - mean) / std

    def __str__(self) -> str:
        edges = "antialiased" if self.antialias else "not antialiased"
        size = "as it comes" if self.size is None else f"{self.size}x{self.size} bilinear, {edges}"
        return f"{size}, (x - {_plain(self.mean)}) / {_plain(self.std)}"


def through_batch(transform: Callable[[dict[str, Any]], dict[str, Any]]) -> Transform:
    """A data module's transform (uint8 [N,T,H,W,C] in a batch) as a `Transform`; float clips are rounded to 8 bits."""

    def apply(video_NTCHW: Tensor) -> Tensor:
        return transform({"clip": eight_bit(video_NTCHW).permute(0, 1, 3, 4, 2).contiguous()})["video"]

    return apply


def eight_bit(video: Tensor) -> Tensor:
    """Float in [0,1], clipped and rounded -> uint8, as a file would hold it; uint8 stays as it is."""
    return video if video.dtype == torch.uint8 else (video.float().clamp(0, 1) * 255).round().to(torch.uint8)


class ClassifierFeatures(FeatureNetwork):
    """A classifier's features (what its last layer is given), or its logits; the mean over a clip's views.

    network: float [N,T,C,H,W], as `transform` makes it -> logits [N,K]; per="frame": float [N*T,C,H,W] -> [N*T,K].
    Where the last layer is applied at several positions, its inputs are averaged over them: a linear layer commutes
    with the mean.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        transform: Transform,
        input_text: str,
        output: Literal["features", "logits"] = "features",
        per: Literal["clip", "frame"] = "clip",
    ) -> None:
        super().__init__(network, name=name, weights=weights_hash(network.state_dict()), input_text=input_text)
        self.transform, self.output, self.per = transform, output, per

    def compute(self, video_NTCHW: Tensor) -> Tensor:
        given = self.transform(video_NTCHW)
        if self.per == "frame":
            return self._outputs(given.flatten(0, 1))
        return self._outputs(given).unflatten(0, (len(video_NTCHW), -1)).mean(1)

    def _outputs(self, given: Tensor) -> Tensor:
        return self.network(given) if self.output == "logits" else last_layer_input(self.network, given)


def last_layer_input(network: nn.Module, given: Tensor) -> Tensor:
    """What the linear (or convolutional) layer that runs last is given for `given` [N,...]: [N,D].

    Raises BadRequest for a network without such a layer.
    """
    last: list[tuple[nn.Module, Tensor]] = []

    def remember(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        last[:] = [(module, inputs[0])]

    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Conv3d)]
    hooks = [layer.register_forward_pre_hook(remember) for layer in layers]
    try:
        network(given)
    finally:
        for hook in hooks:
            hook.remove()
    if not last:
        raise BadRequest(f"{type(network).__name__} has no linear layer whose input could be its features")
    module, x = last[0]
    if not isinstance(module, nn.Linear):  # [M,D,...] -> [M,positions,D]
        x = x.flatten(2).transpose(1, 2)
    return x.reshape(len(given), -1, x.shape[-1]).float().mean(1)


def torchvision_features(
    architecture: str, *, weights: str, output: Literal["features", "logits"] = "features"
) -> ClassifierFeatures:
    """torchvision's video network, or its image network frame by frame (its name then ends in `_frames`).

    weights: path of torchvision's own state dict. Clips are resized to the square that the network was made for and
    normalized as it was trained. Raises BadRequest for an unknown name and for weights that are not that network's.
    """
    import torchvision
    from torchvision import models

    of_clips = architecture in models.list_models(torchvision.models.video)
    if not of_clips and architecture not in models.list_models(torchvision.models):
        raise BadRequest(f"{architecture}: torchvision has no such classifier: r3d_18, s3d, resnet50, inception_v3 ...")
    inception = architecture in ("inception_v3", "googlenet")
    with torch.device("meta"):  # the values come from the file, so none are drawn
        # Their published weights were trained with another normalization, which torchvision does within the network.
        options = {"init_weights": False, "transform_input": True} if inception else {}
        network = models.get_model(architecture, weights=None, **options)
    try:
        network.load_state_dict(read_tensors(weights), assign=True)
    except RuntimeError as error:
        first = " ".join(str(error).split(":", 1)[-1].split())[:160]
        raise BadRequest(f"weights={weights} doesn't fit torchvision's {architecture}: {first}") from error
    preset: Any = models.get_model_weights(architecture).DEFAULT.transforms()
    mean, std = (tuple(round(255 * float(x), 3) for x in values) for values in (preset.mean, preset.std))
    pixels = PixelInput(preset.crop_size[0], mean, std)
    return ClassifierFeatures(
        network,
        name=architecture if of_clips else f"{architecture}_frames",
        transform=(lambda video: pixels(video).transpose(1, 2)) if of_clips else pixels,
        input_text=str(pixels),
        output=output,
        per="clip" if of_clips else "frame",
    )


def random_features(*, width: Annotated[int, Ge(1)] = 16, size: Annotated[int, Ge(8)] = 32) -> FeatureNetwork:
    """A 3-D convolutional network that nobody trained, the same everywhere: needs no file, sees texture and motion.

    D = 7 * width: how strongly each filter of its three layers answers at most, in a clip. (Of moving digits, the
    distance of clips that stand still is 5 times that of two halves of the real ones, of blurred ones 11 times; with
    means in place of maxima 4 times both.) Good to follow a training by; between papers it says nothing.
    """
    draw = torch.Generator().manual_seed(0)
    layers = nn.ModuleList()
    for d_in, d_out in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        stride = 2 if len(layers) else (1, 2, 2)
        layer = nn.utils.skip_init(nn.Conv3d, d_in, d_out, 3, stride=stride, padding=1)  # draws nothing by itself
        with torch.no_grad():  # He et al. 2015, from a generator of its own
            torch.nn.init.normal_(layer.weight, 0, (2 / layer.weight[0].numel()) ** 0.5, generator=draw)
            assert layer.bias is not None
            torch.nn.init.normal_(layer.bias, 0, 0.1, generator=draw)
        layers.append(layer)
    return _RandomFeatures(layers, PixelInput(size, (127.5,), (64.0,)))


class _RandomFeatures(FeatureNetwork):
    def __init__(self, layers: nn.ModuleList, pixels: PixelInput) -> None:
        weights = weights_hash(layers.state_dict())
        super().__init__(layers, name="random_conv3d", weights=weights, input_text=f"{pixels}; maxima")
        self.pixels = pixels

    def compute(self, video_NTCHW: Tensor) -> Tensor:
        x, strongest = self.pixels(video_NTCHW).transpose(1, 2), []
        for layer in self.network.children():
            x = F.relu(layer(x))
            strongest.append(x.amax(dim=(2, 3, 4)))
        return torch.cat(strongest, dim=1)


def _plain(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
