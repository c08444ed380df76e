"""The form that finds a film's shots: the same answers as the network that it is made of."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.zoo import MODELS, build
from videxp.data.layouts.sample_clips import package_folder
from videxp.models.scenes.inference import FrameConv, InferenceForm, Memory, inference_form
from videxp.video import open_video

DILATED = ["autoshot", "transnet_small", "transnetv2"]


def trained(name: str, **arguments: object) -> nn.Module:
    """Random weights, and batch norms that all differ."""
    torch.manual_seed(0)
    network = build(name, **arguments).eval()
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm3d)):
        for values in (norm.weight, norm.running_var):
            nn.init.uniform_(values, 0.5, 1.5)
        for values in (norm.bias, norm.running_mean):
            nn.init.normal_(values, std=0.3)
    return network


@pytest.fixture(scope="module")
def real_frames() -> Tensor:
    """A cut between two shots: float [2,16,3,27,48] in [0,1]."""
    folder = package_folder()
    if folder is None:
        pytest.skip("that real frames get the same answers is not checked: pip install 'videxp[samples]'")
    shots = []
    for name in ("bikes.mp4", "bigbuckbunny.mp4"):
        with open_video(folder / name) as film:
            frames = film.frames(range(0, 32, 2)).permute(0, 3, 1, 2).float() / 255
        shots.append(F.interpolate(frames, (27, 48), mode="area"))
    bikes, bunny = shots
    return torch.stack([torch.cat([bikes[:9], bunny[:7]]), torch.cat([bunny[3:], bikes[:3]])])


@pytest.mark.slow
@pytest.mark.parametrize("name", DILATED)
def test_real_frames_get_the_networks_answers(name: str, real_frames: Tensor) -> None:
    network = trained(name)
    with torch.inference_mode():
        form = inference_form(network)
        assert isinstance(form, InferenceForm)
        for found, expected in zip(form(real_frames), network(real_frames), strict=True):
            assert expected.std() > 0.01
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", DILATED)
def test_the_network_stays_as_it_is(name: str) -> None:
    network = trained(name, **MODELS[name].tiny)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    video = torch.rand(1, 5, 3, 27, 48)
    with torch.inference_mode():
        form = inference_form(network)
        torch.testing.assert_close(form(video), network(video), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(("height", "width", "frames"), [(27, 48, 5), (13, 24, 3), (6, 12, 30), (3, 5, 2), (8, 4, 1)])
def test_a_convolution_by_tiles_is_the_plain_one(height: int, width: int, frames: int) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(6, 5, 3, 3), torch.randn(frames, height, width, 5)
    expected = F.conv2d(x.permute(0, 3, 1, 2).double(), weight.double(), padding=1).permute(0, 2, 3, 1)
    for parts in (1, 3):
        found = torch.cat(list(FrameConv(weight, parts=parts)(x, Memory())), dim=-1)[:, :height, :width]
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", DILATED)
def test_nothing_of_a_window_is_seen_in_another_whatever_the_number_of_threads(name: str) -> None:
    """They are worked out in the same memory, by as many threads as torch has, which is the same afterwards."""
    torch.manual_seed(0)
    windows = torch.rand(5, 12, 3, 27, 48)
    threads = torch.get_num_threads()
    with torch.inference_mode():
        form = inference_form(trained(name, **MODELS[name].tiny))
        alone = [form(window) for window in windows.split(1)]
        short = form(windows[:1, :7])  # needs less of that memory
        again = form(windows)
    for found, expected in zip(again, map(torch.cat, zip(*alone)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert short.one_hot.shape == (1, 7) and torch.get_num_threads() == threads


def test_a_network_without_a_faster_form_answers_itself() -> None:
    content = build("content_difference").eval()
    assert inference_form(content) is content
    half = trained("transnetv2", **MODELS["transnetv2"].tiny).bfloat16()
    assert inference_form(half) is half


def test_a_network_that_is_being_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="batch norms"):
        inference_form(build("transnetv2", **MODELS["transnetv2"].tiny).train())
