"""Frozen image networks whose activations judge a picture (LPIPS, perceptual losses). Weights come from a file."""

from typing import Literal

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.tensor_files import read_tensors

Backbone = Literal["alexnet", "squeezenet1_1", "vgg16", "vgg19"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def torchvision_features(name: Backbone, weights: str | None, *, layers: int) -> nn.Sequential:
    """The first `layers` layers of torchvision's `name`.features, frozen, with the ImageNet weights of a file.

    weights: path (or URL) of torchvision's own state dict of the whole network. Raises `BadRequest` if it is None (the
    message says where the file is to be had), unreadable, or another network's.
    """
    from torchvision import models

    if weights is None:
        url = models.get_model_weights(name).DEFAULT.url
        raise BadRequest(
            f"weights: null: torchvision's ImageNet weights of {name} are needed, and nothing is downloaded unasked\n"
            f"Fetch {url} and give its path"
        )
    with torch.device("meta"):  # the values come from the file, so none are drawn
        features = models.get_model(name, weights=None).features[:layers]
    tensors = read_tensors(weights)
    state = {key: tensors.get(f"features.{key}", tensors.get(key)) for key in features.state_dict()}
    unfit = [key for key, value in features.state_dict().items() if _shape(state[key]) != value.shape]
    if unfit:
        key = unfit[0]
        raise BadRequest(
            f"weights={weights} doesn't fit {name}: features.{key} is {_shape(state[key]) or 'missing'}\n"
            f"Give torchvision's state dict of {name}"
        )
    features.load_state_dict(state, assign=True)
    for layer in features.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # it would overwrite the activation before it, which may be the one that is asked for
    return features.eval().requires_grad_(False)


def activations(features: nn.Sequential, x: Tensor, layers: tuple[int, ...]) -> list[Tensor]:
    """The outputs of those of `features`' layers, for x [N,3,H,W]."""
    found = []
    for number, layer in enumerate(features):
        x = layer(x)
        if number in layers:
            found.append(x)
    return found


def _shape(tensor: Tensor | None) -> torch.Size | None:
    return None if tensor is None else tensor.shape
