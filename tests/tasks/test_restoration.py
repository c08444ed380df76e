"""The restoration task by itself: what it logs, scores, steps and shows, on clips made here."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.films import Put, module
from videxp.config.checking.metric_names import logged_metrics
from videxp.core.errors import BadRequest
from videxp.data import VideoFolder
from videxp.losses import L1, L2, Charbonnier
from videxp.metrics import VFID
from videxp.metrics.features import random_features
from videxp.metrics.frechet import Moments, frechet_distance
from videxp.metrics.restoration import QualityProtocol, psnr
from videxp.models.restoration.basicvsr import BasicVSR
from videxp.models.restoration.bicubic import Bicubic
from videxp.models.restoration.tdan import TDAN
from videxp.tasks import Restoration
from videxp.tasks.comparisons import Comparison, middle, save_comparison_strips, to_uint8
from videxp.tasks.schedules import Constant
from videxp.transforms import FrameAverage, RestorationEval
from videxp.transforms.restoration import Degraded
from videxp.video import open_video


def restoration(network: nn.Module, **arguments: Any) -> Restoration:
    losses = arguments.pop("losses", {"l1": L1()})
    adam = partial(torch.optim.Adam, lr=0.1)
    return Restoration(network=network, optimizer=adam, scheduler=Constant(), losses=losses, **arguments)


def small_basicvsr() -> BasicVSR:
    return BasicVSR(channels=4, blocks=1, flow_levels=1, flow_width=2)


def batch(count: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(count, 3, 3, 32, 32, generator=generator)
    video = torch.nn.functional.interpolate(target.flatten(0, 1), size=8, mode="area").unflatten(0, (count, 3))
    return {"video": video, "target": target, "index": torch.arange(count), "epoch": torch.zeros(count)}


def test_the_loss_is_the_weighted_sum_and_several_terms_are_logged_by_name():
    clips = batch()
    one = restoration(Bicubic()).training_step(clips, 0)
    assert set(one["log"]) == {"train/loss"}
    two = restoration(Bicubic(), losses={"l1": L1(weight=2.0), "charbonnier": Charbonnier(weight=0.5)})
    result = two.training_step(clips, 0)
    assert set(result["log"]) == {"train/loss", "train/l1", "train/charbonnier"}
    log = result["log"]
    assert float(result["loss"]) == pytest.approx(2 * float(log["train/l1"]) + 0.5 * float(log["train/charbonnier"]))
    assert float(log["train/l1"]) == pytest.approx(float((Bicubic()(clips["video"]) - clips["target"]).abs().mean()))


def test_a_score_of_pairs_of_frames_is_absent_where_clips_have_one_frame():
    def drift(output: Tensor, target: Tensor) -> Tensor:
        return (output[:, 1:] - target[:, 1:]).abs().mean((2, 3, 4))

    judge = nn.Module()
    judge.forward = drift
    task, clips = restoration(Bicubic(), test_metrics={"drift": judge}), batch(3)
    still = {name: value[:, :1] if value.ndim > 2 else value for name, value in clips.items()}
    task.evaluation_step(still, "test")
    assert set(task.evaluation_metrics("test")) == {"psnr", "ssim", "psnr_gain", "loss", "psnr_input", "ssim_input"}
    assert [row["drift"] for row in task.rows] == [None] * 3
    task.evaluation_step(still, "test")
    task.evaluation_step(clips, "test")
    expected = drift(Bicubic()(clips["video"]).mul(255).round() / 255, clips["target"]).mean()
    assert float(task.evaluation_metrics("test")["drift"]) == pytest.approx(float(expected))


def test_scores_are_means_over_clips_and_bicubic_gains_nothing_over_itself():
    task, clips = restoration(Bicubic(), channel="rgb", border=2), batch(3)
    task.evaluation_step({name: value[:2] for name, value in clips.items()}, "test")
    task.evaluation_step({name: value[2:] for name, value in clips.items()}, "test")
    values = task.evaluation_metrics("test")
    expected = psnr(Bicubic()(clips["video"]), clips["target"], protocol=QualityProtocol(channel="rgb", border=2))
    assert float(values["psnr"]) == pytest.approx(float(expected.mean()), abs=1e-6)
    assert float(values["psnr_gain"]) == 0
    assert "border 2" in task.evaluation_protocol and "RGB" in task.evaluation_protocol
    assert [row["index"] for row in task.rows] == [0, 1, 2]
    assert task.rows[2]["psnr"] == pytest.approx(float(expected[2].mean()), abs=1e-5)


class Peak(nn.Module):
    """The greatest difference of each pair of frames; it has weights, as judging networks have."""

    better, protocol = "min", "the peak of two frames"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.seen: list[Tensor] = []

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.seen.append(output)
        return (output - target)[:, 1:].abs().amax((2, 3, 4))


def test_metrics_of_the_test_see_8_bit_frames_and_are_in_no_checkpoint_and_no_validation():
    peak, clips = Peak(), batch(2)
    task = restoration(small_basicvsr(), test_metrics={"peak": peak})
    assert [name for name in task.state_dict() if not name.startswith("network.")] == []
    assert all(parameter is not peak.weight for parameter in task.parameters())
    with torch.no_grad():
        task.evaluation_step(clips, "val")
        assert "peak" not in task.evaluation_metrics("val") and not peak.seen
        task.evaluation_step(clips, "test")
        output = task(clips["video"])
    seen, of_input = peak.seen
    assert not torch.equal(seen, of_input) and {"peak", "peak_input"} <= set(task.rows[0])
    assert ((seen * 255).round() - seen * 255).abs().max() < 1e-4 and seen.min() >= 0 and seen.max() <= 1
    assert (output - seen).abs().max() > 1e-4  # negative control: the network's own frames are none of 256 levels
    expected = (seen - clips["target"])[:, 1:].abs().amax((2, 3, 4)).mean(1)
    assert [row["peak"] for row in task.rows] == pytest.approx(expected.tolist())
    assert float(task.evaluation_metrics("test")["peak"]) == pytest.approx(float(expected.mean()))
    assert task.evaluation_protocol.endswith("then set; peak: the peak of two frames")
    with pytest.raises(BadRequest, match=r"task.test_metrics.psnr: a name that is taken"):
        restoration(Bicubic(), test_metrics={"psnr": Peak()})


def test_a_loss_of_cleaned_frames_is_their_distance_from_the_smaller_target_and_trains_the_cleaner():
    network = BasicVSR(channels=4, blocks=1, flow_levels=1, flow_width=2, cleaning_blocks=1)
    losses = {"l1": L1(weight=0.0), "cleaning": L1(of="cleaned")}
    task, clips = restoration(network, losses=losses).train(), batch()
    result = task.training_step(clips, 0)
    small = clips["target"].unflatten(-1, (8, 4)).unflatten(-3, (8, 4)).mean((-1, -3))  # means of 4 x 4 pixels
    expected = (network.clean(clips["video"]) - small).abs().mean().detach()
    assert float(result["log"]["train/cleaning"]) == pytest.approx(float(expected))
    result["loss"].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.cleaner.parameters())
    assert not any(parameter.grad.any() for parameter in network.head.parameters())  # that has weight 0
    task.evaluation_step(clips, "val")
    assert float(task.evaluation_metrics("val")["loss"]) == 0  # of the output alone


def test_tdans_aligned_frames_should_be_the_input_frame_in_their_middle():
    network = TDAN(channels=4, feature_blocks=1, blocks=1, deform_groups=1)
    task, clips = restoration(network, losses={"l1": L1(), "aligned": L2(of="aligned", weight=0.01)}), batch()
    aligned = network.forward_with_intermediates(clips["video"])[1]["aligned"].detach()  # [B,T,5,3,h,w]
    expected = sum((aligned[:, :, i] - clips["video"]).square().mean() for i in range(5)) / 5
    assert float(task.training_step(clips, 0)["log"]["train/aligned"]) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("network", "named"),
    [(small_basicvsr(), "BasicVSR gives no such frames, only output"), (TDAN(), "output, aligned")],
)
def test_frames_that_the_network_does_not_give_are_refused_with_those_that_it_gives(network: nn.Module, named: str):
    with pytest.raises(BadRequest, match=rf"task.losses.cleaning.of=cleaned: .*{named}$"):
        restoration(network, losses={"l1": L1(), "cleaning": L1(of="cleaned")})


def test_without_enlarging_the_gain_is_over_the_input_itself():
    class Half(nn.Module):
        scale, radius = 1, 0

        def forward(self, video: Tensor) -> Tensor:
            return video * 0.5

    task, target = restoration(Half(), channel="rgb"), torch.full((1, 2, 3, 16, 16), 0.5)
    task.evaluation_step({"video": target * 2, "target": target, "index": torch.zeros(1)}, "val")
    values = task.evaluation_metrics("val")
    assert float(values["psnr"]) == 100  # the cap: it equals its target
    assert float(values["psnr_gain"]) == pytest.approx(100 - 20 * torch.tensor(255 / 127).log10().item(), abs=0.1)


def test_the_flow_has_a_learning_rate_of_its_own():
    task = restoration(small_basicvsr(), flow_lr_scale=0.25)
    task._trainer = SimpleNamespace(estimated_stepping_batches=10, num_training_batches=5, accumulate_grad_batches=1)
    optimizer = task.configure_optimizers()["optimizer"]
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in task.network.flow.parameters()} == {0.1 * 0.25}
    assert {rates[id(p)] for p in task.network.head.parameters()} == {0.1}
    assert len(rates) == len(list(task.network.parameters()))


def test_a_frozen_flow_stays_to_the_bit_and_leaves_no_trace_in_the_optimizer():
    task = restoration(small_basicvsr(), flow_frozen_batches=2)
    optimizer = torch.optim.Adam(task.parameter_groups(), lr=0.1)
    flow = [parameter.clone() for parameter in task.network.flow.parameters()]
    for number in range(1, 4):
        task.batches_seen = number
        optimizer.zero_grad()
        task.training_step(batch(), 0)["loss"].backward()
        task.on_before_optimizer_step(optimizer)
        optimizer.step()
        moved = [not torch.equal(a, b) for a, b in zip(flow, task.network.flow.parameters())]
        assert any(moved) == (number == 3)
        held = [id(p) in {id(q) for q in optimizer.state} for p in task.network.flow.parameters()]
        assert any(held) == (number == 3)


@pytest.mark.parametrize("arguments", [{"flow_lr_scale": 0.5}, {"flow_frozen_batches": 5}], ids=str)
def test_settings_of_a_flow_that_is_not_there_are_refused(arguments: dict[str, Any]):
    with pytest.raises(BadRequest, match="Bicubic has no flow that is trained: leave them out"):
        restoration(Bicubic(), **arguments)


def test_a_comparison_shows_the_middle_pixel_for_pixel(tmp_path: Path):
    clip = torch.arange(4 * 4).view(1, 1, 4, 4).expand(3, 3, 4, 4) / 16
    assert torch.equal(middle(clip, side_pixels=2), clip[..., 1:3, 1:3])
    assert to_uint8(torch.tensor([-1.0, 0.5, 2.0])).tolist() == [0, 128, 255]
    comparison = Comparison("a clip", {"input": clip, "output": clip}, {"output": "20.00 dB"})
    path = save_comparison_strips([comparison, comparison], tmp_path / "deep/strips.png")
    assert path.stat().st_size > 1000


class Told(nn.Module):
    """Gives back what it was told, so that a test sees it."""

    scale, radius, told = 1, 0, "noise_level"

    def forward(self, video: Tensor, condition: Tensor) -> Tensor:
        return condition.expand_as(video)


class Shift(nn.Module):
    """Adds `by`, drawn in no way, to a clip; tells it."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, clip: Tensor, rngs: list[Any]) -> Degraded:
        return Degraded(clip + self.by, clip, torch.full_like(clip[:, :, :1], self.by))


class Back(nn.Module):
    def forward(self, video: Tensor) -> Tensor:
        return video - 0.1


class Same(nn.Module):
    scale, radius = 1, 0

    def forward(self, video: Tensor) -> Tensor:
        return video


def told_batch(seed: int = 0) -> dict[str, Tensor]:
    target = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 0.5
    made = Shift(0.1)(target, []).fields()
    return {**made, "index": torch.arange(2), "epoch": torch.zeros(2, dtype=torch.long)}


def test_a_network_that_is_told_something_gets_it_and_says_where_it_is_missing():
    task, clips = restoration(Told(), channel="rgb"), told_batch()
    assert torch.equal(task.answer(clips), torch.full_like(clips["video"], 0.1))
    del clips["condition"]
    with pytest.raises(BadRequest, match="Told is told a noise_level, which these data do not have"):
        task.answer(clips)
    assert task.work_of_one_clip(num_frames=2, size=16) == 0


class Shown(nn.Module):
    """Looks at the picture in color that it is shown, with a kernel of one pixel."""

    scale, told = 1, "exemplar"

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv3d(3, 3, kernel_size=1)

    def forward(self, video: Tensor, exemplar: Tensor) -> Tensor:
        return video + self.look(exemplar.transpose(1, 2)).transpose(1, 2)


def test_the_work_of_a_network_that_is_shown_a_picture_is_counted_with_its_three_colors():
    assert restoration(Shown()).work_of_one_clip(num_frames=2, size=16) == 2 * 16 * 16 * 9 / 1e9


def test_baselines_and_other_degradations_stand_beside_the_networks_figures():
    task = restoration(
        Same(), channel="rgb", baselines={"back": Back()}, test_degradations={"by_20": Shift(0.2)}, seed=3
    )
    clips = told_batch()
    task.evaluation_step(clips, "test")
    values = {name: float(value) for name, value in task.evaluation_metrics("test").items()}
    assert set(values) | {"loss"} == {*task.score_names("test"), "loss"}
    node = {"_target_": "videxp.tasks.Restoration", "baselines": {"back": {}}, "test_degradations": {"by_20": {}}}
    logged = logged_metrics(node)
    assert logged is not None and {f"test/{name}" for name in values} <= set(logged)
    assert logged["test/psnr_back"] == "max" and logged["test/psnr_std_back"] == "min"
    assert values["psnr"] == values["psnr_input"] == pytest.approx(20, abs=0.3) and values["psnr_gain"] == 0
    assert values["psnr_back"] > 50 and values["flicker_back"] == pytest.approx(0, abs=0.3)
    assert values["psnr_by_20"] == pytest.approx(14, abs=0.3) and values["psnr_gain_by_20"] == 0
    assert task.rows[1]["psnr_back"] > 50
    with torch.no_grad():
        task.evaluation_step(clips, "val")
    assert set(task.evaluation_metrics("val")) == {"psnr", "ssim", "psnr_gain", "loss"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"baselines": {"input": Back()}}, "task.baselines.input"),
        ({"baselines": {"gain": Back()}}, "task.baselines.gain"),
        ({"baselines": {"a": Back()}, "test_degradations": {"a": Shift(0.1)}}, "task.test_degradations.a"),
        ({"test_degradations": {"gain": Shift(0.1)}}, "task.test_degradations.gain"),
    ],
    ids=str,
)
def test_names_under_which_something_else_is_logged_are_refused(arguments: dict[str, Any], named: str):
    with pytest.raises(BadRequest, match=rf"{named}: a name that is taken; call it something else"):
        restoration(Told(), **arguments)


def test_vfid_is_one_figure_of_all_clips_that_no_mean_over_batches_gives():
    features = random_features(width=2)
    task = restoration(
        Same(), channel="rgb", baselines={"back": Back()}, test_metrics={"vfid": VFID(features=features)}
    )
    clips = [told_batch(seed) for seed in range(3)]
    for one in clips:
        task.evaluation_step(one, "test")
    values = task.evaluation_metrics("test")

    def distance(videos: list[Tensor]) -> float:
        seen = [(video.clamp(0, 1) * 255).round() / 255 for video in videos]
        of = [torch.cat([features(video) for video in some]) for some in (seen, [c["target"] for c in clips])]
        return frechet_distance(*(Moments.of(each) for each in of))

    expected = distance([one["video"] for one in clips])
    assert float(values["vfid"]) == pytest.approx(expected) == pytest.approx(float(values["vfid_input"]))
    assert float(values["vfid_back"]) == pytest.approx(distance([one["video"] - 0.1 for one in clips]))
    assert float(values["vfid_back"]) < 0.1 * expected
    assert len(task.rows) == 6 and not any("vfid" in name for name in task.rows[0])
    assert "vfid: VFID of whole clips, random_conv3d" in task.evaluation_protocol
    task.evaluation_step({name: value[:1] for name, value in clips[0].items()}, "test")
    assert "vfid" not in task.evaluation_metrics("test")  # a distance between sets needs two clips


def test_samples_of_averaged_frames_play_as_fast_as_the_video(put: Put, tmp_path: Path):
    put("a.mp4")  # 12 frames, 10 per second
    averaging = RestorationEval(degradation=FrameAverage(frames=3))
    options = {"size": None, "crop_size": 16, "num_frames": 12, "test_transform": averaging}
    data = module(tmp_path, VideoFolder(splits="test"), eval_transform=RestorationEval(), **options)
    data.prepare()
    _, clips = restoration(Same(), channel="rgb").save_samples(tmp_path, data, "test")
    with open_video(clips) as video:
        assert (video.num_frames, video.fps) == (4, pytest.approx(10 / 3))
