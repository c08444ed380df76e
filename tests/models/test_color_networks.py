"""Networks and baselines of color: public figures, the identity, colors that stay over time, lightness that is kept."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color
from skimage.exposure import match_histograms
from torch import nn

from tests.models.restorers import build_tiny, clip
from videxp.core.errors import BadRequest
from videxp.losses.color import LutMonotonicity, LutSmoothness
from videxp.metrics import DeltaE2000
from videxp.models.restoration.color_matching import ColorByLightness, HistogramMatch, Reinhard
from videxp.models.restoration.lab_unet_gru import ExemplarUNetGRU, LabUNetGRU
from videxp.models.restoration.lut3d import Lut3D
from videxp.models.restoration.zero_dce import ZeroDCE
from videxp.transforms import Greyed
from videxp.transforms.lab import lab_to_rgb_of_same_lightness, rgb_to_lab
from videxp.video import write_video

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
GOLDEN = SHARED / "golden"
BIKES = SHARED / "clips" / "bikes.mp4"


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the public tables' picture is not checked: they are not there")
def test_the_public_tables_give_the_public_picture():
    net = Lut3D(weights=str(GOLDEN / "lut3d_srgb.safetensors")).eval()
    picture = np.array(Image.open(GOLDEN / "lut3d_input_a1629.jpg"))
    video = torch.from_numpy(picture).permute(2, 0, 1)[None, None].float() / 255
    with torch.inference_mode():
        output, parts = net.forward_with_intermediates(video)
    assert parts["weights"].flatten().tolist() == pytest.approx([1.9081262, -0.3463061, -0.9284924], abs=1e-5)
    assert output.mean((0, 1, 3, 4)).tolist() == pytest.approx([0.37693, 0.59961, 0.28396], abs=1e-5)
    assert output.min().item() == pytest.approx(-0.1297, abs=1e-4)
    assert output.max().item() == pytest.approx(1.0815, abs=1e-4)
    assert LutSmoothness()(parts["luts"][:1], parts["luts"][:1]).item() == pytest.approx(7.47e-4, rel=1e-3)
    assert LutMonotonicity()(parts["luts"][:1], parts["luts"][:1]).item() == pytest.approx(3.8e-7, rel=2e-2)


def steady(radius: int, cut_threshold: float = 0.1) -> Lut3D:
    torch.manual_seed(0)
    return Lut3D(luts=2, size=5, channels=2, radius=radius, cut_threshold=cut_threshold).eval()


def flickering(num_frames: int) -> torch.Tensor:
    """A still picture whose brightness goes up and down a little: [1,T,3,24,32]."""
    light = 1 + 0.06 * torch.tensor([1.0, -1.0]).repeat(num_frames)[:num_frames]
    return clip(1, 1, 3, 24, 32) * 0.8 * light[:, None, None, None]


def test_weights_of_tables_are_smooth_over_time_and_those_of_single_frames_are_not():
    video = flickering(9)
    with torch.no_grad():
        single, smooth = (steady(radius).weights_of(video).diff(dim=1).abs().max() for radius in (0, 4))
    assert single > 4 * smooth > 0


def test_weights_know_nothing_of_another_shot():
    shots = torch.cat([flickering(4), 1 - 0.5 * flickering(5)], dim=1)
    assert (shots[:, 4] - shots[:, 3]).abs().mean() > 0.1
    with torch.no_grad():
        net = steady(4)
        each = torch.cat([net.weights_of(shots[:, :4]), net.weights_of(shots[:, 4:])], dim=1)
        torch.testing.assert_close(net.weights_of(shots), each)
        assert (steady(4, cut_threshold=1.1).weights_of(shots) - each).abs().max() > 1e-3  # as if there were no cut


@pytest.mark.slow
@pytest.mark.skipif(not BIKES.is_file(), reason="cuts of a real film are not checked: it is not there")
def test_cuts_of_a_real_film_are_found_and_motion_is_no_cut():
    from videxp.video import open_video

    with open_video(BIKES) as reader:
        frames = reader.frames(range(20, 200))
    video = frames[:, ::4, ::4].permute(0, 3, 1, 2)[None].float() / 255
    shares = Lut3D()._means(video)[0]
    apart = [20 + t for t in range(1, len(shares)) if shares[t, t - 1] == 0]
    assert apart == [30, 76, 137, 187]


def test_public_names_of_both_projects_load(tmp_path: Path):
    net = ZeroDCE()
    for rename in (lambda key: f"e_{key}", lambda key: f"dce_net.{key}"):
        state = {rename(key): torch.full_like(value, 0.25) for key, value in net.state_dict().items()}
        torch.save({"model_state_dict": state}, tmp_path / "a.pth")
        assert all(
            bool((value == 0.25).all()) for value in ZeroDCE(weights=str(tmp_path / "a.pth")).state_dict().values()
        )


def test_curves_are_those_of_the_paper_with_the_public_sign():
    net = ZeroDCE(channels=2, iterations=3).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        assert torch.equal(net(clip(1, 2, 3, 8, 8)), clip(1, 2, 3, 8, 8))  # curves of 0 change nothing
        net.conv7.bias.fill_(-1.0)
        x = clip(1, 1, 3, 4, 4)
        expected = x
        for _ in range(3):
            expected = expected + np.tanh(1.0) * expected * (1 - expected)
        torch.testing.assert_close(net(x), expected)
        assert (net(x) >= x).all()


@pytest.mark.parametrize("size", [(40, 56), (300, 280)])  # the latter is seen at 256 pixels
def test_color_is_added_and_lightness_is_kept(size: tuple[int, int]):
    net = build_tiny("lab_unet_gru")
    net.unet.head.bias.data = torch.tensor([0.3, -0.6])
    grey = clip(1, 2, 1, *size).expand(-1, -1, 3, -1, -1)
    with torch.no_grad():
        output = net(grey)
    before, after = (color.rgb2lab(video.movedim(2, -1).double().numpy()) for video in (grey, output))
    assert np.abs(after[..., 0] - before[..., 0]).max() < 1e-2
    assert np.abs(after[..., 1:]).max() > 20
    assert np.abs(before[..., 1:]).max() < 1e-2


def test_a_fresh_colorizer_gives_grey_and_looks_at_no_color():
    torch.manual_seed(0)
    net = LabUNetGRU(channels=2).eval()
    video = clip(1, 2, 3, 16, 16)
    with torch.no_grad():
        lab = rgb_to_lab(net(video).movedim(2, -1))
    assert lab[..., 1:].abs().max() < 0.05
    torch.testing.assert_close(lab[..., 0], rgb_to_lab(video.movedim(2, -1))[..., 0], atol=1e-3, rtol=0)


def disks(num_frames: int) -> torch.Tensor:
    """A red and a blue disk on green, each with a pattern of its own, that change places: [1,T,3,64,96]."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
    red, green, blue = (torch.tensor(hue)[:, None, None] for hue in ((0.8, 0.2, 0.2), (0.2, 0.6, 0.3), (0.2, 0.3, 0.9)))
    frames = []
    for t in range(num_frames):
        frame = green.expand(3, 64, 96)
        for middle, hue, wave in ((24 + 12 * t, red, columns // 4), (72 - 12 * t, blue, rows // 8)):
            inside = (rows - 32) ** 2 + (columns - middle) ** 2 < 18**2
            frame = torch.where(inside, hue * (0.8 + 0.2 * (wave % 2)), frame)
        frames.append(frame)
    return torch.stack(frames)[None]


def test_colors_of_an_exemplar_go_where_the_picture_looks_alike():
    video = disks(5)
    made = Greyed()(video)
    torch.manual_seed(0)
    with torch.no_grad():
        matched = ExemplarUNetGRU().eval()(made.video, made.condition)
    lab = rgb_to_lab(video.movedim(2, -1))
    copied = torch.cat([lab[..., :1], lab[:, :1, ..., 1:].expand(-1, 5, -1, -1, -1)], dim=-1)
    stock = lab_to_rgb_of_same_lightness(copied).movedim(-1, 2)  # the first frame's colors, left where they were
    by_lightness = ColorByLightness()(made.video, made.condition)
    errors = [DeltaE2000()(clip, video)[0, -1].item() for clip in (matched, stock, made.video, by_lightness)]
    assert errors[0] < 0.5 * min(errors[1:3])  # though nothing is trained yet
    assert errors[3] < errors[2]


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reddish video of 4 frames, kept bit by bit."""
    rng = np.random.default_rng(0)
    frames = (rng.integers(0, 256, (4, 16, 24, 3)) * [1.0, 0.6, 0.4]).astype(np.uint8)
    path = tmp_path_factory.mktemp("look") / "look.mkv"
    write_video(path, frames, fps=25, codec="ffv1", pixel_format="bgr0")
    np.save(path.with_suffix(".npy"), frames)
    return path


def test_histograms_are_matched_as_scikit_image_does(look: Path):
    video = (clip(1, 2, 3, 12, 10) * 200).round() / 255
    ours = HistogramMatch(looks=[str(look)])(video)[0]
    wanted = np.load(look.with_suffix(".npy")).reshape(-1, 1, 3)
    given = (video[0] * 255).byte().permute(0, 2, 3, 1).reshape(-1, 1, 3).numpy()
    expected = match_histograms(given, wanted, channel_axis=-1)
    got = (ours * 255).permute(0, 2, 3, 1).reshape(-1, 1, 3).numpy()
    assert np.abs(got - expected).max() <= 1.0  # which keeps whole levels
    assert np.abs(np.floor(got + 1e-3) - np.floor(expected)).mean() < 0.01


def test_reinhards_clip_has_the_moments_of_the_look(look: Path):
    video = 0.3 + 0.2 * clip(1, 2, 3, 12, 10)
    lab = color.rgb2lab(Reinhard(looks=[str(look)])(video)[0].double().permute(0, 2, 3, 1).numpy())
    wanted = color.rgb2lab(np.load(look.with_suffix(".npy")))
    np.testing.assert_allclose(lab.mean((0, 1, 2)), wanted.mean((0, 1, 2)), atol=3)
    assert abs(color.rgb2lab(video[0].permute(0, 2, 3, 1).numpy()).mean((0, 1, 2)) - wanted.mean((0, 1, 2))).max() > 10
    with pytest.raises(BadRequest, match="looks: none given"):
        Reinhard(looks=[])


def test_instance_normalization_hides_how_bright_a_frame_is():
    video = torch.rand(1, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    changed = {}
    for normalize in (True, False):
        torch.manual_seed(0)
        net = Lut3D(channels=2, size=5, dropout=0.0, normalize=normalize).double().eval()
        for layer in net.classifier.model:
            if isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.bias)
            if isinstance(layer, nn.InstanceNorm2d):
                layer.eps = 1e-12
        with torch.no_grad():
            changed[normalize] = float(
                (net.weights_of(video.double()) - net.weights_of(video.double() / 4)).abs().max()
            )
    assert changed[True] < 1e-6
    assert changed[False] > 1e-4
