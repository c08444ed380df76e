from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.losses import Perceptual

LAYERS = {"conv1_2": 0.1, "conv2_2": 1.0}  # layers 2 and 7


def vgg19(*, layers: int) -> nn.Sequential:
    """The first of torchvision's layers, with random weights, without building its classifier."""
    with torch.device("meta"):
        features = torchvision.models.vgg19().features[:layers]
    features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in features.parameters():
        nn.init.normal_(parameter, std=0.05, generator=generator)
    return features


def save(features: nn.Sequential, path: Path) -> str:
    torch.save({f"features.{key}": value for key, value in features.state_dict().items()}, path)
    return str(path)


def frames(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


def before_relu(features: nn.Sequential, frames_NCHW: Tensor, *, keep: bool) -> list[Tensor]:
    """Activations of layers 2 and 7; `keep`: copied before the next layer, a ReLU in place, overwrites them."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x, found = (frames_NCHW - mean[:, None, None]) / std[:, None, None], []
    for number, layer in enumerate(features):
        x = layer(x)
        if number in (2, 7):
            found.append(x.clone() if keep else x)
    return found


def test_it_is_the_distance_of_torchvisions_activations_before_the_relu(tmp_path):
    features = vgg19(layers=9)
    output, target = frames(1, 2, 3, 16, 20)

    def expected(*, keep: bool) -> float:
        pairs = zip((0.1, 1.0), *(before_relu(features, video.flatten(0, 1), keep=keep) for video in (output, target)))
        return sum(weight * (a - b).abs().mean().item() for weight, a, b in pairs)

    value = Perceptual(weights=save(features, tmp_path / "vgg19.pth"), layers=LAYERS)(output, target).item()
    assert value == pytest.approx(expected(keep=True), rel=1e-5)
    assert value != pytest.approx(expected(keep=False), rel=1e-2)  # negative control


def test_the_default_layers_are_realbasicvsrs(tmp_path):
    perceptual = Perceptual(weights=save(vgg19(layers=35), tmp_path / "vgg19.pth"))
    assert perceptual.layer_weights == {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}
    output, target = frames(1, 1, 3, 16, 16)
    assert perceptual(output, target) > 0
    assert perceptual(target, target) == 0


def test_the_gradient_reaches_the_output_and_nothing_else(tmp_path):
    perceptual = Perceptual(weights=save(vgg19(layers=8), tmp_path / "vgg19.pth"), layers=LAYERS)
    assert perceptual.state_dict() == {} and list(perceptual.parameters()) == []
    output, target = frames(1, 1, 3, 16, 16)
    perceptual(output.requires_grad_(), target.requires_grad_()).backward()
    assert output.grad is not None and output.grad.abs().sum() > 0
    assert target.grad is None


def test_what_it_cannot_use_is_refused_with_the_remedy(tmp_path):
    path = save(vgg19(layers=3), tmp_path / "vgg19.pth")
    with pytest.raises(
        BadRequest, match=r"weights of vgg19 are needed.*\nFetch https://.*vgg19.*\.pth and give its path"
    ):
        Perceptual()
    with pytest.raises(BadRequest, match=r"doesn't fit vgg19: features.5.weight is missing\nGive torchvision's"):
        Perceptual(weights=path, layers=LAYERS)
    with pytest.raises(BadRequest, match="layers: conv6_1: VGG-19 has conv1_1"):
        Perceptual(weights=path, layers={"conv1_2": 1.0, "conv6_1": 1.0})
