"""Actions of given boxes on the networks of the zoo: where a box is read, and what of a network is left."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from tests.models.test_feature_maps import build as build_large
from tests.models.test_feature_maps import peaks_follow
from tests.models.zoo import MODELS, OPTIONAL, build, build_tiny, cases
from videxp.core.errors import BadRequest
from videxp.core.token_layout import FeatureMap, box_features_of
from videxp.models.detection.roi_head import RoiActions
from videxp.models.summary import count_parameters

PER_CELL = 4  # pixels
KINDS = ["c3d", "cnn2d_small", "cnn3d_small", "cnn3d_small_stream", "convlstm", "lrcn", "mvit_v2_s", "slow_r50_8x8",
         "slowfast_r50_4x16", "swin3d_t", "tsm_r50_online", "uniformer_s", "videomae_b",
         "vivit_b", "x3d_s"]  # fmt: skip
"""One of each way in which features come about and are read."""


class Pooled(nn.Module):
    """Its features are the clip's channels, averaged over cells of 4x4 pixels."""

    feature_map = FeatureMap("pool")

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d((1, PER_CELL, PER_CELL))
        self.head = nn.Linear(3, 9)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(self.pool(video.transpose(1, 2)).mean((2, 3, 4)))


def ramps(frames: int = 2, size: int = 64) -> Tensor:
    """A clip whose channels tell each pixel's x, its y, and the frame's number: [1,T,3,S,S]."""
    middle = torch.arange(size) + 0.5
    x, y = middle.expand(size, size), middle[:, None].expand(size, size)
    return torch.stack([torch.stack([x, y, torch.full_like(x, frame)]) for frame in range(frames)])[None]


def test_a_box_on_a_ramp_is_read_at_its_center() -> None:
    boxes = torch.tensor([[10.0, 20, 31, 37], [30, 5, 50, 60]])
    net = RoiActions(Pooled(), num_classes=3, num_frames=2, size=64, resolution=1).eval()
    net.head.weight.data = torch.eye(3)
    with torch.no_grad():
        answer = net(ramps(), boxes, torch.tensor([0, 0]))
        of_time = RoiActions(Pooled(), num_classes=3, num_frames=2, size=64, over_time="max").features(ramps())
    expected = torch.tensor([[20.5, 28.5, 0.5], [40, 32.5, 0.5]])  # time: the mean of frames 0 and 1
    torch.testing.assert_close(answer, expected)
    assert of_time[0].amax(2)[0, 2].unique().tolist() == [1]
    features = ramps().mean(1).unfold(2, 4, 4).unfold(3, 4, 4).mean((4, 5))
    stock = roi_align(features, [boxes], 1, spatial_scale=1 / PER_CELL)[:, :, 0, 0]  # not aligned: half a cell off
    torch.testing.assert_close(stock[:, :2], expected[:, :2] + PER_CELL / 2)


def test_of_the_cells_of_a_box_the_largest_is_read() -> None:
    net = RoiActions(Pooled(), num_classes=3, num_frames=2, size=64).eval()
    net.head.weight.data = torch.eye(3)
    with torch.no_grad():
        answer = net(ramps(), torch.tensor([[8.0, 8, 36, 50]]), torch.tensor([0]))
    torch.testing.assert_close(answer[0, :2], torch.tensor([8 + 28 * 6.5 / 7, 8 + 42 * 6.5 / 7]))  # the last of seven


def test_each_box_is_read_in_its_own_clip_and_a_clip_may_have_none() -> None:
    net = RoiActions(Pooled(), num_classes=2, num_frames=2, size=64).eval()
    video = torch.cat([ramps(), ramps() * 0, ramps() + 1])
    box = torch.tensor([[8.0, 8, 36, 50]])
    with torch.no_grad():
        both = net(video, box.repeat(2, 1), torch.tensor([2, 0]))
        alone = [net(video[n : n + 1], box, torch.tensor([0])) for n in (2, 0)]
    torch.testing.assert_close(both, torch.cat(alone))
    assert not torch.allclose(both[0], both[1])
    assert net(video, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)).shape == (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frames", "parameters"),
    [
        ("slowfast_r50_4x16", 32, 34_480_216 - 400 * 2305 + 80 * 2305),
        ("slow_r50_8x8", 8, 32_454_096 - 400 * 2049 + 80 * 2049),
    ],
)
def test_networks_for_ava_have_the_published_number_of_parameters(name: str, frames: int, parameters: int) -> None:
    with torch.device("meta"):
        backbone = build(name, output_stride=16)
    net = RoiActions(backbone, num_classes=80, num_frames=frames, size=224)
    assert count_parameters(net) == parameters and set(net.strides) == {16.0}


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(KINDS))
def test_any_classifier_answers_boxes_and_has_no_weight_that_does_nothing(name: str) -> None:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    frames, size = MODELS[name].tiny_clip
    backbone = build_tiny(name)
    before, names = count_parameters(backbone), {f"backbone.{key}" for key in backbone.state_dict()}
    net = RoiActions(backbone, num_classes=3, num_frames=frames, size=size)
    boxes = torch.tensor([[0.0, 0, size / 2, size / 2], [3, 3, size - 1, size - 2], [1, 2, 9, 8]])
    clips, owner = torch.randn(2, frames, 3, size, size), torch.tensor([0, 1, 1])
    answer = net(clips, boxes, owner)
    answer.square().sum().backward()
    assert answer.shape == (3, 3) and answer.isfinite().all()
    without = tuple(f"backbone.{start}" for start in MODELS[name].without_effect)
    idle = [name for name, p in net.named_parameters() if p.grad is None and not name.startswith(without or "-")]
    assert idle == []
    assert count_parameters(net.backbone) < before  # its classifier is gone
    assert {key for key in net.state_dict() if key.startswith("backbone.")} < names  # and the rest is called as it was
    with torch.no_grad():  # what an exporter goes over, which follows no exception through layers
        torch.testing.assert_close(net.eval().running_on()(clips, boxes, owner), net(clips, boxes, owner))


@pytest.mark.parametrize("name", cases(["mvit_v2_s", "videomae_b", "timesformer_b", "vivit_b"]))
def test_tokens_after_the_last_layer_lie_where_the_network_says(name: str) -> None:
    assert peaks_follow(build_large(name), where=box_features_of)


def test_a_dilated_stage_has_pictures_twice_as_large_and_the_same_weights() -> None:
    backbones: Any = [build_tiny("slowfast_r50_4x16", output_stride=stride) for stride in (32, 16)]
    nets = [RoiActions(one, num_classes=2, num_frames=8, size=64) for one in backbones]
    assert [net.strides for net in nets] == [[32.0, 32.0], [16.0, 16.0]]
    nets[1].load_state_dict(nets[0].state_dict())


def test_a_network_that_does_not_say_where_its_features_lie_is_refused() -> None:
    class Silent(nn.Module):
        pass

    with pytest.raises(BadRequest, match="Silent declares no feature_map"):
        RoiActions(Silent(), num_classes=2, num_frames=2, size=32)
    with pytest.raises(BadRequest, match="takes no clips of 3 frames of 32 x 32"):
        RoiActions(build_tiny("slowfast_r50_4x16"), num_classes=2, num_frames=3, size=32)
