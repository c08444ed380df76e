"""Image networks with weights of no use, in files as torchvision's own."""

import torch
import torchvision
from torch import nn


def random_features(name: str) -> nn.Sequential:
    """torchvision's layers with weights of a size that keeps the activations alive, without building its classifier."""
    with torch.device("meta"):
        features = torchvision.models.get_model(name, weights=None).features
    features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in features.parameters():
        fan_in = parameter[0].numel()
        nn.init.normal_(parameter, std=(2 / fan_in) ** 0.5 if fan_in > 1 else 0.1, generator=generator)
    return features
