"""Structured pruning: whole channels go, the network is smaller for real, and its config alone builds it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.deploy.compressing.pruning import prune_network
from videxp.models.classification.recurrent import ConvLSTM
from videxp.models.classification.small import FrameCNN, SmallCNN3D
from videxp.models.pruning import cut_to
from videxp.models.restoration.srresnet import SRResNet
from videxp.models.summary import count_parameters, gmacs_of_call
from videxp.tasks.building import build_task

CLIP = torch.rand(1, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """In evaluation mode, with running statistics that are not those of a new norm."""
    torch.manual_seed(0)
    network = make()
    for norm in network.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    return network.eval()


class Residual(nn.Module):
    """A sum, a depthwise convolution, a concatenation, an unused layer, features that are flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 8, 3, padding=1)
        self.inner = nn.Conv3d(8, 8, 1)
        self.norm = nn.BatchNorm3d(8)
        self.each = nn.Conv3d(8, 8, 3, padding=1, groups=8)
        self.branch = nn.Conv3d(8, 6, 1)
        self.unused = nn.Conv3d(8, 4, 1)
        self.head = nn.Linear((8 + 6) * 4, 5)

    def forward(self, video: Tensor) -> Tensor:
        x = self.stem(video.transpose(1, 2)).relu()
        x = x + self.each(self.norm(self.inner(x)).relu())
        both = torch.cat([x, self.branch(x)], dim=1)
        return self.head(nn.functional.adaptive_avg_pool3d(both, (1, 2, 2)).flatten(1))


class Zeros(Residual):
    """Channels 1, 4 and 6 of the sum, and 2 and 3 of the branch, are zero."""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            for layer in (self.stem, self.inner, self.each):
                layer.weight[[1, 4, 6]] = 0
                layer.bias[[1, 4, 6]] = 0
            self.branch.weight[[2, 3]] = 0
            self.branch.bias[[2, 3]] = 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        pytest.param(lambda: SmallCNN3D(num_classes=5, width=4), (CLIP,), id="cnn3d_small"),
        pytest.param(lambda: FrameCNN(num_classes=5, width=4), (CLIP,), id="frame_cnn"),
        pytest.param(lambda: SRResNet(scale=2, channels=8, blocks=2), (CLIP,), id="srresnet"),
        pytest.param(Residual, (CLIP,), id="residual"),
    ],
)
def test_half_of_the_channels_are_about_a_quarter_of_the_work(make: Callable[[], nn.Module], inputs: Any) -> None:
    network = seeded(make)
    pruned = prune_network(network, inputs, share=0.5)
    assert pruned.channels["removed"] / pruned.channels["of"] == pytest.approx(0.5, abs=0.02)
    on_meta = [one.to("meta") for one in inputs]
    assert gmacs_of_call(pruned.network, *on_meta) < 0.55 * gmacs_of_call(network, *on_meta)
    assert count_parameters(pruned.network) < 0.6 * count_parameters(network)
    assert pruned.network(*inputs).shape == network(*inputs).shape
    again = make()
    cut_to(again, pruned.widths)
    again.load_state_dict(pruned.network.state_dict())
    assert torch.equal(again.eval()(*inputs), pruned.network(*inputs))


def test_channels_that_are_zero_go_first_and_change_no_answer() -> None:
    """torch's own pruning, the stock way, leaves as many weights and as much work."""
    network = seeded(Zeros)
    with torch.no_grad():
        for values in (network.norm.running_mean, network.norm.weight, network.norm.bias):
            values[[1, 4, 6]] = 0
    stock = seeded(Zeros)
    nn.utils.prune.ln_structured(stock.stem, "weight", amount=0.3, n=2, dim=0)
    nn.utils.prune.remove(stock.stem, "weight")
    assert gmacs_of_call(stock, CLIP.to("meta")) == gmacs_of_call(network, CLIP.to("meta"))

    pruned = prune_network(network, (CLIP,), share=0.375).network  # 3 of 8, 2 of 6
    assert pruned.stem.weight.shape[0] == pruned.each.groups == 5 and pruned.branch.weight.shape[:2] == (4, 5)
    assert pruned.head.in_features == (5 + 4) * 4 and pruned.unused.weight.shape == network.unused.weight.shape
    assert torch.equal(pruned.stem.weight, network.stem.weight[[0, 2, 3, 5, 7]])
    np.testing.assert_allclose(pruned(CLIP).detach().numpy(), network(CLIP).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_least_channel_by_the_norm_of_its_weights_goes() -> None:
    network = seeded(lambda: SmallCNN3D(num_classes=5, width=4))
    with torch.no_grad():
        network.features.stem[0].weight[2] *= 1e-3
        network.features.stem[1].weight[2] *= 1e-3
        network.features.down1[0].weight[:, 2] *= 1e-3
    pruned = prune_network(network, (CLIP,), share=0.25).network
    assert torch.equal(pruned.features.stem[0].weight, network.features.stem[0].weight[[0, 1, 3]])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0])
def test_all_or_nothing_is_no_share(share: float) -> None:
    with pytest.raises(BadRequest, match=r"--prune .*: a share of the channels between 0 and 1, such as 0\.3"):
        prune_network(SmallCNN3D(width=4), (CLIP,), share=share)


def test_what_stands_in_the_way_is_named_with_its_line() -> None:
    network = ConvLSTM(num_classes=5, in_channels=3, patch=4, states=[4, 4], kernel=3, dropout=0.0).eval()
    with pytest.raises(BadRequest) as error:
        prune_network(network, (CLIP,), share=0.5)
    assert "ConvLSTM: no channel can go; in the way stand\n" in str(error.value)
    assert "\nchunk at recurrent.py, line " in str(error.value)
    assert "gates.chunk(4, dim=1)" in str(error.value)


class Numbered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 1), nn.Linear(8, 2)

    def forward(self, video: Tensor) -> Tensor:
        return self.last(self.first(video[:, 0]).mean((2, 3)).view(-1, 8))


def test_a_number_of_channels_in_the_code_is_no_silent_error() -> None:
    with pytest.raises(BadRequest, match="Numbered has widths written in its code: shape"):
        prune_network(Numbered().eval(), (CLIP,), share=0.5)


@pytest.mark.parametrize(
    ("width", "message"),
    [
        ("features.stem.0.out_channels=9", "not from 1 to 4, which it is without"),
        ("features.stem.0.groups=1", "SmallCNN3D has no such width"),
        ("features.nowhere.out_channels=1", "SmallCNN3D has no such width"),
    ],
)
def test_widths_that_a_network_does_not_have_are_refused(width: str, message: str) -> None:
    with pytest.raises(BadRequest, match=f"pruning.widths: {width}: {message}"):
        cut_to(SmallCNN3D(width=4), [width])


def test_a_config_alone_builds_the_pruned_network() -> None:
    pruned = prune_network(seeded(lambda: SmallCNN3D(num_classes=2, width=4)), (CLIP,), share=0.5)
    part = {"_target_": "videxp.tasks.schedules.Constant"}
    cfg = OmegaConf.create(
        {
            "model": {"_target_": "videxp.models.classification.small.SmallCNN3D", "width": 4},
            "task": {"_target_": "videxp.tasks.Classification", "monitor": "val/accuracy"},
            "dataset": {"num_frames": 4, "size": 16},
            "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1},
            "scheduler": part,
            "pruning": {"widths": pruned.widths, "weights": "gone.safetensors"},
        }
    )
    task = build_task(cfg, classes=["run", "walk"], fresh=False)
    task.network.load_state_dict(pruned.network.state_dict())
    assert torch.equal(task.network.eval()(CLIP), pruned.network(CLIP))
    with pytest.raises(BadRequest, match=r"weights=gone.safetensors: no such file"):
        build_task(cfg, classes=["run", "walk"])
