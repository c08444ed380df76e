"""What every classifier does, on a shrunk version with real numbers: [B,T,C,H,W] in, [B,num_classes] out, trainable."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from tests.models.zoo import CLASSIFIERS, MODELS, OPTIONAL, build_tiny, cases

NAMES = cases(CLASSIFIERS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def tiny(name: str, **arguments: object) -> nn.Module:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    return build_tiny(name, **arguments)


def clip(name: str, *, batch_size: int = 2) -> Tensor:
    frames, size = MODELS[name].tiny_clip
    return torch.randn(batch_size, frames, 3, size, size)


def without_zeros(net: nn.Module) -> nn.Module:
    """Weights that start at zero (the last norm of a residual block) let no gradient through; nor do dropped blocks."""
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.uniform_(parameter, 0.5, 1)
    for module in net.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0
    return net


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter_and_every_frame(name: str):
    net, video = without_zeros(tiny(name)), clip(name).requires_grad_()
    logits = net(video)
    assert logits.shape == (2, 5)
    (logits * torch.randn(2, 5)).sum().backward()
    unreached = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert [key for key in unreached if not key.startswith(MODELS[name].without_effect)] == []
    assert video.grad is not None and video.grad.isfinite().all()
    assert video.grad.abs().amax(dim=(0, 2, 3, 4)).gt(0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_view_of_channels_last_memory_gives_the_same_logits(name: str):
    net, video = without_zeros(tiny(name)).eval(), clip(name)
    view = video.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)  # what the device transform hands over
    assert view.shape == video.shape and not view.is_contiguous()
    with torch.no_grad():
        torch.testing.assert_close(net(view), net(video), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_frames_matters_to_all_but_the_per_frame_networks(name: str):
    net, video, other = without_zeros(tiny(name)).double().eval(), clip(name).double(), clip(name).double()
    with torch.no_grad():
        change = (net(video.flip(1)) - net(video)).abs().max() / (net(other) - net(video)).abs().max()
    assert change > 1e-3 if MODELS[name].sees_order else change < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_one_clip_gets_the_same_logits_alone_as_in_a_batch(name: str):
    net, video = without_zeros(tiny(name)).eval(), clip(name, batch_size=3)
    with torch.no_grad():
        torch.testing.assert_close(net(video[1:2]), net(video)[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted({"swin3d_t", "vivit_b", "uniformer_s", "mvit_v2_s"}))
def test_the_same_seed_gives_the_same_network(name: str):
    first = build_tiny(name).state_dict()
    torch.manual_seed(0)
    second = build_tiny(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_missing_optional_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch):
    from videxp.core.errors import NotInstalled
    from videxp.models.classification.huggingface import videomae_b

    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(NotInstalled, match=r"pip install 'videxp\[transformers\]'"):
        videomae_b()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("r3d_18", {"depths": (2, 2)}),
        ("swin3d_t", {"width": 100}),
        ("s3d", {"depths": (3, 5, 2)}),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused_with_its_value(name: str, arguments: dict[str, object]):
    with pytest.raises(ValueError, match=r"depths=\[2, 2\]|width=100|depths=\[3, 5, 2\]"):
        build_tiny(name, **arguments)
