"""Denoising networks: what the papers say of them, beyond what holds for every restorer."""

from collections.abc import Iterator
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.models.public_names import Shapes, conv, joined
from tests.models.restorers import build_tiny, clip
from tests.models.zoo import build
from tests.tasks.test_restoration import restoration
from videxp.deploy.restore import Restorer
from videxp.models.restoration.bsvd import BSVD
from videxp.models.restoration.dncnn import DnCNN
from videxp.models.restoration.fastdvdnet import FastDVDnet
from videxp.models.restoration.temporal import TemporalMean, TemporalMedian
from videxp.models.restoration.udvd import UDVD
from videxp.models.summary import count_parameters

GOLDEN = Path(__file__).parents[2].parent / "shared" / "data" / "golden"


def noise(video: Tensor, sigma: float = 25 / 255) -> Tensor:
    return torch.full_like(video[:, :, :1], sigma)


def psnr(output: np.ndarray, target: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((output - target) ** 2)))


# ---- DnCNN ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="DnCNN's published PSNR is not checked: no weights, no Set12")
def test_dncnn_with_the_public_weights_gives_the_published_psnr() -> None:
    """One of Set12, the cameraman; all twelve give 30.456 dB on average."""
    net = build("dncnn", weights=str(GOLDEN / "dncnn_sigma25.safetensors")).eval()
    clean = np.asarray(Image.open(GOLDEN / "set12/01.png").convert("L"), dtype=np.float64) / 255
    noisy = clean + np.random.RandomState(0).normal(0, 25 / 255, clean.shape)
    with torch.no_grad():
        output = net(torch.from_numpy(noisy).float()[None, None, None])[0, 0, 0].double().clamp(0, 1)
    assert psnr(noisy, clean) == pytest.approx(20.21, abs=0.01)
    assert psnr(output.numpy(), clean) == pytest.approx(30.27, abs=0.01)


def test_dncnn_takes_colors_one_by_one_or_together_and_may_be_told_the_noise() -> None:
    video, other = clip(1, 2, 3, 8, 8), clip(1, 2, 3, 8, 8)
    other[:, :, 0] += 0.1
    for colors, reached in ((1, [True, False, False]), (3, [True, True, True])):
        net = build_tiny("dncnn", colors=colors)
        with torch.no_grad():
            change = (net(other) - net(video)).abs().amax((0, 1, 3, 4))
        assert (change > 0).tolist() == reached
    told = DnCNN(colors=3, channels=4, layers=3, noise_level=True).eval()
    with torch.no_grad():
        assert not torch.equal(told(video, noise(video)), told(video, noise(video, 0.2)))
    with torch.device("meta"):
        assert count_parameters(DnCNN(colors=3)) == 556_096 + 4 * 64 * 9  # two colors more, in and out


# ---- FastDVDnet -------------------------------------------------------------------------------------------------


def test_fastdvdnet_is_two_stages_over_the_five_frames_around_each() -> None:
    net, video = build_tiny("fastdvdnet"), clip(1, 6, 3, 8, 12)

    def block(stage: nn.Module, three: list[Tensor]) -> Tensor:
        levels = torch.full((1, 1, 8, 12), 0.1)
        return stage(torch.cat([part for frame in three for part in (frame, levels)], dim=1), three[1])

    with torch.no_grad():
        output = net(video)
        for t, places in ((0, [2, 1, 0, 1, 2]), (3, [1, 2, 3, 4, 5]), (5, [3, 4, 5, 4, 3])):
            five = [video[:, i] for i in places]
            first = [block(net.temp1, five[i : i + 3]) for i in range(3)]
            torch.testing.assert_close(output[:, t], block(net.temp2, first), rtol=1e-5, atol=1e-5)


def test_fastdvdnet_for_single_frames_has_the_same_size_and_sees_no_other_frame() -> None:
    over_time, alone = build_tiny("fastdvdnet"), build_tiny("fastdvdnet", over_time=False)
    assert count_parameters(alone) == count_parameters(over_time) and (over_time.radius, alone.radius) == (2, 0)
    video = clip(1, 3, 3, 8, 8)
    still = video[:, 1:2].expand(-1, 5, -1, -1, -1)
    with torch.no_grad():
        torch.testing.assert_close(alone(video)[:, 1], over_time(still)[:, 2], rtol=0, atol=1e-5)
        assert (over_time(video)[:, 1] - alone(video)[:, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["dncnn", "fastdvdnet"])
def test_a_network_that_predicts_no_noise_returns_its_input(name: str) -> None:
    net, video = build_tiny(name), clip(1, 3, 3, 7, 9)
    for key, parameter in net.named_parameters():
        if key.endswith(("outc.convblock.3.weight", "dncnn.5.weight")):
            nn.init.zeros_(parameter)
    with torch.no_grad():
        assert torch.equal(net(video), video)


# ---- BSVD -------------------------------------------------------------------------------------------------------


def test_bsvd_as_a_stream_gives_what_it_gives_for_the_whole_clip() -> None:
    net, video = build_tiny("bsvd_64"), clip(2, 20, 3, 7, 10)
    taken = 0

    def frames() -> Iterator[Tensor]:
        nonlocal taken
        for frame in torch.cat([video, noise(video, 0.1)], dim=2).unbind(1):
            taken += 1
            yield frame

    with torch.no_grad():
        whole, stream = net(video), net.stream(frames())
        streamed = [next(stream)]
        assert taken == 17  # sixteen frames late
        streamed += list(stream)
        torch.testing.assert_close(torch.stack(streamed, dim=1), whole, rtol=0, atol=1e-5)
        cut = torch.cat([net(video[:, :10]), net(video[:, 10:])], dim=1)
        assert (cut - whole).abs().max() > 1e-3  # cutting it in two is no stream


def test_a_stream_of_fewer_frames_than_its_delay_gives_all_of_them() -> None:
    for count in (1, 2, 5):
        net, video = build_tiny("bsvd_64", blind=True), clip(1, count, 3, 8, 8)
        with torch.no_grad():
            streamed = torch.stack(list(net.stream(video.unbind(1))), dim=1)
            torch.testing.assert_close(streamed, net(video), rtol=0, atol=1e-5)


def test_the_blind_bsvd_has_the_published_count_and_is_told_nothing() -> None:
    with torch.device("meta"):
        assert count_parameters(build("bsvd_64", blind=True)) == 9_815_107
    assert (BSVD(channels=4).told, BSVD(channels=4, blind=True).told) == ("noise_level", "")


def test_dncnn_restores_files_without_being_told_the_noise_unless_it_was_built_to_be() -> None:
    networks = [DnCNN(colors=3, channels=4, layers=2, noise_level=is_told) for is_told in (True, False)]
    assert [Restorer(restoration(network)).told for network in networks] == ["noise_level", ""]


# ---- UDVD -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [(7, 9), (2, 5)])
def test_an_output_of_udvd_has_exactly_no_gradient_to_its_own_pixel(size: tuple[int, int]) -> None:
    height, width = size
    video = clip(1, 4, 3, height, width).requires_grad_()
    usual, blind = build_tiny("dncnn")(video), build_tiny("udvd")(video)
    for t, y, x in ((0, 0, 0), (1, height // 2, width // 2), (2, height - 1, 0), (3, height - 1, width - 1)):
        of_usual, reached = (
            torch.autograd.grad(output[0, t, :, y, x].sum(), video, retain_graph=True)[0][0]
            for output in (usual, blind)
        )
        assert of_usual[t, :, y, x].all()
        assert not reached[:, :, y, x].any() and reached.any()


def test_udvd_sees_all_other_pixels_around_in_five_frames() -> None:
    video = clip(1, 5, 3, 9, 9).requires_grad_()
    net = build_tiny("udvd", channels=12).double()
    video = video.detach().double().requires_grad_()
    reached = torch.autograd.grad(net(video)[0, 2, :, 4, 4].sum(), video)[0][0].abs().sum(1) > 0
    unseen = (~reached).nonzero().tolist()
    assert unseen == [[t, 4, 4] for t in range(5)]


# ---- without training -------------------------------------------------------------------------------------------


def test_temporal_mean_and_median_are_numpys_over_the_frames_that_there_are() -> None:
    video = clip(2, 6, 3, 4, 5)
    for frames in (1, 3, 5):
        around = [video[:, max(0, t - frames // 2) : t + frames // 2 + 1].numpy() for t in range(6)]
        for module, summary in ((TemporalMean, np.mean), (TemporalMedian, np.median)):
            expected = np.stack([summary(window, axis=1) for window in around], axis=1)
            np.testing.assert_allclose(module(frames=frames)(video).numpy(), expected, rtol=0, atol=1e-6)
            assert module(frames=frames).radius == frames // 2
    with pytest.raises(ValueError, match="frames=4 has no middle: make it odd"):
        TemporalMedian(frames=4)


# ---- public files -----------------------------------------------------------------------------------------------


def norm(name: str, width: int) -> Shapes:
    values = {f"{name}.{key}": (width,) for key in ("weight", "bias", "running_mean", "running_var")}
    return {**values, f"{name}.num_batches_tracked": ()}


def bare(name: str, d_out: int, d_in: int, kernel: int = 3) -> Shapes:
    return {f"{name}.weight": (d_out, d_in, kernel, kernel)}


def fastdvdnet_names() -> Shapes:
    def twice(name: str, width: int) -> Shapes:
        return joined(
            bare(f"{name}.convblock.{i}", width, width) | norm(f"{name}.convblock.{i + 1}", width) for i in (0, 3)
        )

    parts = []
    for block in ("module.temp1", "module.temp2"):
        entry = f"{block}.inc.convblock"
        parts += [bare(f"{entry}.0", 90, 4), norm(f"{entry}.1", 90), bare(f"{entry}.3", 32, 90), norm(f"{entry}.4", 32)]
        for down, width in (("downc0", 32), ("downc1", 64)):
            name = f"{block}.{down}.convblock"
            parts += [bare(f"{name}.0", 2 * width, width), norm(f"{name}.1", 2 * width), twice(f"{name}.3", 2 * width)]
        for up, width in (("upc2", 128), ("upc1", 64)):
            name = f"{block}.{up}.convblock"
            parts += [twice(f"{name}.0", width), bare(f"{name}.1", 2 * width, width)]
        end = f"{block}.outc.convblock"
        parts += [bare(f"{end}.0", 32, 32), norm(f"{end}.1", 32), bare(f"{end}.3", 3, 32)]
    return joined(parts)


def bsvd_names(channels: int) -> Shapes:
    parts = []
    for i, (d_in, d_out) in enumerate(((4, channels), (channels, 3))):
        stage = f"module.base_model.nets_list.{i}"
        parts += [
            conv(f"{stage}.inc.convblock.0", channels, d_in),
            conv(f"{stage}.inc.convblock.3", channels, channels),
        ]
        for down, width in (("downc0", channels), ("downc1", 2 * channels)):
            parts += [conv(f"{stage}.{down}.convblock.0", 2 * width, width)]
            parts += [conv(f"{stage}.{down}.convblock.3.{c}.net", 2 * width, 2 * width) for c in ("c1", "c2")]
        for up, width in (("upc2", 4 * channels), ("upc1", 2 * channels)):
            parts += [conv(f"{stage}.{up}.convblock.0.{c}.net", width, width) for c in ("c1", "c2")]
            parts += [conv(f"{stage}.{up}.convblock.1", 2 * width, width)]
        parts += [
            conv(f"{stage}.outc.convblock.0", channels, channels),
            conv(f"{stage}.outc.convblock.3", d_out, channels),
        ]
    return joined(parts)


def udvd_names() -> Shapes:
    parts = []
    for name, d_in, d_out in (("denoiser_1", 9, 32), ("denoiser_2", 96, 96)):
        widths = {
            "enc1": (d_in, 48, 48, 48),
            "enc2": (48, 48, 48, 48),
            "enc3": (48, 96, 96, 48),
            "dec2": (96, 96, 96, 96, 96),
            "dec1": (96 + d_in, 96, 96, 96, d_out),
        }
        for part, path in widths.items():
            steps = enumerate(pairwise(path), start=1)
            parts += [bare(f"{name}.{part}.conv{i}.conv", after, before) for i, (before, after) in steps]
    last = {"nin_A": (384, 384), "nin_B": (96, 384), "nin_C": (9, 96)}
    return joined([*parts, *(bare(name, *shape, 1) for name, shape in last.items())])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "names", "others"),
    [(FastDVDnet, fastdvdnet_names(), 162), (BSVD, bsvd_names(64), 64), (UDVD, udvd_names(), 37)],
)
def test_the_public_files_load_by_their_own_names(
    network: type[nn.Module], names: Shapes, others: int, tmp_path: Path
) -> None:
    """Each tensor holds its number, so that none can land in another's place."""
    assert len(names) == others
    state = {name: torch.full(shape, float(i)) for i, (name, shape) in enumerate(names.items())}
    torch.save({"params": state}, tmp_path / "a.pth")
    net = network(weights=str(tmp_path / "a.pth"))
    trained = sum(prod(names[name]) for name in names if "running" not in name and "num_batches" not in name)
    assert trained == count_parameters(net)
    for name, value in net.state_dict().items():
        assert "num_batches" in name or value.unique().tolist() == [list(names).index(public(name, names))], name


def public(name: str, names: Shapes) -> str:
    return next(full for full in names if full == name or full.endswith(f".{name}"))
