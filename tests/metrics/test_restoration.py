import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torchmetrics_ssim

from videxp.core.errors import BadRequest
from videxp.metrics import ClipMean, QualityProtocol, clip_rows, frame_scores, psnr, ssim
from videxp.metrics import restoration as module
from videxp.metrics.restoration import steadiness

PLAIN = QualityProtocol(round=False)


def noisy_pair(*shape: int, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(shape, generator=generator)
    return (target + noise * torch.randn(shape, generator=generator)).clamp(0, 1), target


def scikit(output_CHW: Tensor, target_CHW: Tensor, protocol: QualityProtocol) -> tuple[float, float]:
    """PSNR and SSIM of one frame by scikit-image."""
    pair = [frame.permute(1, 2, 0).numpy() for frame in (output_CHW, target_CHW)]
    if protocol.round:
        pair = [np.round(frame * 255).astype(np.uint8) for frame in pair]
    else:
        pair = [frame.astype(np.float64) * 255 for frame in pair]
    if protocol.channel == "y":
        pair = [rgb2ycbcr(frame / 255.0)[..., :1] for frame in pair]
    cut = slice(protocol.border, -protocol.border or None)
    a, b = (frame[cut, cut].astype(float) for frame in pair)
    similarity = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2
    )
    return peak_signal_noise_ratio(a, b, data_range=255), similarity


@pytest.mark.parametrize("channel", ["rgb", "y"])
@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("rounded", [True, False])
def test_frames_score_what_scikit_image_gives_them(channel, border, rounded):
    protocol = QualityProtocol(channel=channel, border=border, round=rounded)
    output, target = noisy_pair(1, 2, 3, 87, 40)  # more rows than are taken at a time
    scores = frame_scores(output, target, protocol=protocol)
    for t in range(2):
        expected = scikit(output[0, t], target[0, t], protocol)
        assert (scores["psnr"][0, t].item(), scores["ssim"][0, t].item()) == pytest.approx(expected, abs=1e-9)


def test_torchmetrics_gives_other_values():
    """Negative control: its SSIM has other borders, and its PSNR pools the squared errors of a whole batch."""
    output, target = noisy_pair(2, 3, 29, 40)
    output[1] = (target[1] + output[1]) / 2
    assert (
        torchmetrics_ssim(output, target, data_range=1.0) - ssim(output, target, protocol=PLAIN).mean()
    ).abs() > 1e-4
    assert (torchmetrics_psnr(output, target, data_range=1.0) - psnr(output, target, protocol=PLAIN).mean()).abs() > 0.1


def test_in_float32_the_variances_of_bright_flat_frames_drown():
    output, target = (0.9 + 0.001 * frame for frame in noisy_pair(1, 3, 32, 32))
    exact = scikit(output[0], target[0], PLAIN)[1]
    single = module.ssim_map(output * 255, target * 255).mean().item()
    assert abs(single - exact) > 1e-8  # negative control
    assert ssim(output, target, protocol=PLAIN).item() == pytest.approx(exact, abs=1e-12)


def test_luma_runs_from_16_to_235():
    colors = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])[:, :, None, None]
    assert module.rgb_to_y(colors).flatten().tolist() == pytest.approx([16, 235, 81.481, 144.553, 40.966], abs=1e-3)


def test_rounding_takes_the_frames_as_they_would_be_saved():
    target = torch.full((1, 3, 16, 16), 100 / 255)
    nearly = target + 0.4 / 255
    assert psnr(nearly, target).item() == math.inf
    assert psnr(nearly, target, protocol=PLAIN).item() == pytest.approx(20 * math.log10(255 / 0.4), abs=1e-3)
    assert psnr(target + 9.0, target).item() == pytest.approx(20 * math.log10(255 / 155))  # shown as white


def test_half_precision_is_compared_in_full():
    output, target = noisy_pair(1, 3, 16, 16)
    assert psnr(output.bfloat16(), target).item() == pytest.approx(psnr(output.bfloat16().float(), target).item())


def test_a_frame_that_equals_its_target_does_not_swallow_the_mean():
    target = torch.rand(1, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    output = target.clone()
    output[0, 1] = (target[0, 1] * 255 + 1) / 255  # one level off: 48.13 dB
    output.clamp_(0, 1)
    assert psnr(output, target).mean().item() == math.inf  # negative control
    scores = frame_scores(output, target)
    assert scores["psnr"][0].tolist() == pytest.approx([100, 48.13], abs=0.05)
    assert clip_rows(scores, torch.tensor([7]))[0]["identical_frames"] == 1


def test_a_diverged_network_shows():
    target = torch.rand(1, 1, 3, 16, 16)
    assert frame_scores(target * math.nan, target)["psnr"].isnan().all()


def test_values_do_not_depend_on_how_many_frames_are_taken_at_a_time(monkeypatch):
    output, target = noisy_pair(2, 3, 3, 16, 18)
    at_once = frame_scores(output, target)
    monkeypatch.setattr(module, "_VALUES_AT_A_TIME", 1)
    one_by_one = frame_scores(output, target)
    for name, value in at_once.items():
        assert value.shape == (2, 3)
        assert torch.equal(value, one_by_one[name])


def test_shapes_that_would_be_broadcast_are_refused():
    one, three = torch.rand(1, 3, 16, 16), torch.rand(3, 3, 16, 16)
    assert (one - three).square().mean() > 0  # negative control: torch compares them
    for score in (psnr, ssim):
        with pytest.raises(ValueError, match=r"\[1, 3, 16, 16\] cannot be compared with a target of \[3, 3, 16, 16\]"):
            score(one, three)


@pytest.mark.parametrize(
    ("size", "protocol", "message"),
    [
        ((3, 10, 40), QualityProtocol(), "SSIM needs frames of 11 x 11 or more within the border, not 10 x 40"),
        ((3, 8, 40), QualityProtocol(border=4), "border=4 leaves nothing of frames of 8 x 40"),
        ((1, 40, 40), QualityProtocol(channel="y"), "takes RGB frames, not frames of 1 channels"),
    ],
)
def test_frames_that_the_protocol_cannot_take_are_refused(size, protocol, message):
    with pytest.raises(BadRequest, match=message):
        frame_scores(torch.rand(1, 1, *size), torch.rand(1, 1, *size), protocol=protocol)


def test_the_protocol_says_how_it_compares():
    assert str(QualityProtocol()) == "PSNR/SSIM on RGB, border 0, 8-bit, per frame, then clip, then set"
    text = str(QualityProtocol(channel="y", border=8, round=False))
    assert text == "PSNR/SSIM on Y (BT.601), border 8, not rounded, per frame, then clip, then set"


# ---- frames -> clips -> set -----------------------------------------------------------------------------------------

SHORT, LONG = torch.tensor([[30.0]]), torch.tensor([[20.0, 20.0, 20.0], [22.0, 22.0, 25.0]])  # clip means 30; 20, 23


def updated(*values: Tensor) -> ClipMean:
    metric = ClipMean()
    for value in values:
        metric.update(value)
    return metric


def test_a_long_clip_counts_no_more_than_a_short_one():
    over_frames = MeanMetric()
    over_frames.update(torch.cat([SHORT.flatten(), LONG.flatten()]))
    assert over_frames.compute().item() == pytest.approx(159 / 7)  # negative control
    assert updated(SHORT, LONG).compute().item() == pytest.approx((30 + 20 + 23) / 3)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_without_a_clip_there_is_no_mean():
    assert updated().compute().isnan()


def test_ranks_of_unequal_length_add_up_to_one_process():
    ranks = [updated(SHORT), updated(LONG)]
    mean_of_ranks = (ranks[0].compute() + ranks[1].compute()) / 2
    assert mean_of_ranks.item() == pytest.approx(25.75)  # negative control
    states = {name: iter([[getattr(rank, name) for rank in ranks]]) for name in ("total", "clips")}
    gathered = {id(ranks[0].total): "total", id(ranks[0].clips): "clips"}
    ranks[0].sync(
        dist_sync_fn=lambda tensor, group: next(states[gathered[id(tensor)]]), distributed_available=lambda: True
    )
    assert ranks[0].total / ranks[0].clips == pytest.approx((30 + 20 + 23) / 3)


def test_the_metric_adds_no_keys_to_a_checkpoint():
    assert updated(LONG).state_dict() == {}


def test_rows_hold_each_clips_means_and_the_worst_come_first():
    rows = clip_rows({"psnr": LONG, "ssim": LONG / 100}, torch.tensor([4, 9]))
    assert rows == [
        {"index": 4, "frames": 3, "psnr": 20.0, "ssim": 0.2, "identical_frames": 0},
        {"index": 9, "frames": 3, "psnr": 23.0, "ssim": 0.23, "identical_frames": 0},
    ]


def test_a_constant_error_does_not_flicker_and_one_that_comes_and_goes_does():
    target = torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.5
    constant, blinking = target + 10 / 255, target.clone()
    blinking[:, 1::2] += 10 / 255
    for output, levels, spread in ((constant, 0, False), (blinking, 10, True)):
        psnr_BT = frame_scores(output, target)["psnr"]
        found = steadiness(psnr_BT, output, target)
        assert found["flicker"].shape == (2, 3) and found["psnr_std"].shape == (2, 1)
        assert found["flicker"].numpy() == pytest.approx(levels, abs=1e-3)
        assert found["psnr_std"][:, 0].numpy() == pytest.approx(np.std(psnr_BT.numpy(), axis=1))
        assert bool((found["psnr_std"] > 1).all()) == spread
    assert all(value.shape == (2, 0) for value in steadiness(psnr_BT[:, :1], output[:, :1], target[:, :1]).values())
