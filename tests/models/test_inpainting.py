"""Networks and fills that inpaint: counts and keys, what they look at, and what they must get exactly right."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.models.zoo import build
from videxp.core.errors import BadRequest
from videxp.models.restoration.blended_fills import BlendedFills
from videxp.models.restoration.fills import (
    CopyNearestVisible,
    FlowCopy,
    GlobalShift,
    MeanFill,
    SpatialFill,
    TemporalMedianVisible,
)
from videxp.models.restoration.spynet import SPyNet
from videxp.models.restoration.sttn import STTN, TPatchGAN, attend, from_patches, into_patches
from videxp.models.summary import count_parameters

FILLS = (MeanFill(), SpatialFill(), CopyNearestVisible(), TemporalMedianVisible(), FlowCopy(flow=GlobalShift()))


def tiny_sttn(**arguments: object) -> STTN:
    torch.manual_seed(0)
    return STTN(**{"channels": 8, "blocks": 1, "patches": [1, 2], **arguments}).eval()


def blended() -> BlendedFills:
    torch.manual_seed(0)
    network = BlendedFills(channels=2).eval()
    nn.init.normal_(network.last.weight, 0, 0.1)
    return network


def clip(*, frames: int = 5, height: int = 26, width: int = 38, seed: int = 0) -> Tensor:
    """Smooth noise [1,T,3,H,W]."""
    noise = torch.rand(frames, 3, height + 4, width + 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.avg_pool2d(noise, 5, stride=1)[None]


def moving_hole(video: Tensor, *, step: int = 4) -> Tensor:
    """[1,T,1,H,W]: a box of 8 x 6 pixels."""
    mask = torch.zeros_like(video[:, :, :1])
    for t in range(video.shape[1]):
        mask[:, t, :, 6:14, 4 + step * t : 10 + step * t] = 1
    return mask


def test_sttn_has_the_published_counts_part_by_part():
    with torch.device("meta"):
        network, judge = build("sttn"), TPatchGAN()
    assert count_parameters(network) == 16_556_163
    assert [count_parameters(part) for part in (network.encoder, network.decoder)] == [407_744, 407_491]
    assert [count_parameters(block) for block in network.transformer] == [1_967_616] * 8
    assert count_parameters(judge) == 17_832_256


def public_names(network: STTN) -> dict[str, Tensor]:
    """As the authors' classes name their layers."""
    names = {f"encoder.{i}" for i in (0, 2, 4, 6)} | {"decoder.0.conv", "decoder.2", "decoder.4.conv", "decoder.6"}
    for i in range(len(network.transformer)):
        attention = ("query_embedding", "key_embedding", "value_embedding", "output_linear.0")
        names |= {f"transformer.{i}.attention.{part}" for part in attention}
        names |= {f"transformer.{i}.feed_forward.conv.{j}" for j in (0, 2)}
    state = network.state_dict()
    assert {key.rpartition(".")[0] for key in state} == names
    return state


def test_the_authors_file_loads_and_then_nothing_is_kept_from_attention(tmp_path: Path):
    network = tiny_sttn()
    torch.save({"netG": public_names(network)}, tmp_path / "sttn.pth")
    torch.manual_seed(1)
    loaded = STTN(channels=8, blocks=1, patches=[1, 2], weights=str(tmp_path / "sttn.pth"))
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in loaded.state_dict().items())
    assert network.transformer[0].attention.mask_attention and not loaded.transformer[0].attention.mask_attention
    forced = STTN(channels=8, blocks=1, patches=[1, 2], weights=str(tmp_path / "sttn.pth"), mask_attention=True)
    assert forced.transformer[0].attention.mask_attention
    judge = TPatchGAN(width=2)
    state = {key: torch.rand_like(value) for key, value in judge.state_dict().items()}
    public = {
        key.replace(".parametrizations.weight.original", ".weight_orig").replace(
            ".parametrizations.weight.0._", ".weight_"
        ): value
        for key, value in state.items()
    }
    assert {"conv.0.weight_orig", "conv.0.weight_u", "conv.0.weight_v", "conv.10.weight"} <= public.keys()
    torch.save({"netD": public}, tmp_path / "judge.pth")
    again = TPatchGAN(width=2, weights=str(tmp_path / "judge.pth")).state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.items())


def test_patches_at_the_papers_size_are_the_papers_and_come_back_as_they_were():
    features = torch.rand(2, 3, 4, 60, 108)
    for grid, (width, height) in zip((1, 3, 6, 12), ((108, 60), (36, 20), (18, 10), (9, 5))):
        patches = into_patches(features, grid)
        assert patches.shape == (2, 3 * grid * grid, 4 * height * width)
        first = features[1, 2, :, height * (grid - 1) :, :width]  # the last frame's lower left corner
        assert torch.equal(patches[1, 3 * grid * grid - grid].view(4, height, width), first)
        assert torch.equal(from_patches(patches, like=features, grid=grid), features)


def test_attention_leaves_out_hidden_patches_where_the_stock_way_does_not():
    torch.manual_seed(0)
    query, key, value = torch.rand(3, 1, 6, 4)
    allowed = torch.tensor([[[True, True, False, True, False, True]]])
    seen = [0, 1, 3, 5]
    expected = (query @ key[:, seen].transpose(1, 2) / 2).softmax(-1) @ value[:, seen]
    torch.testing.assert_close(attend(query, key, value, allowed), expected)
    scores = query @ key.transpose(1, 2) / 2
    scores.masked_fill(~allowed, -1e9)  # as in the authors' code, which drops the result
    torch.testing.assert_close(scores.softmax(-1) @ value, attend(query, key, value, None))
    nothing_seen = torch.ones(1, 2, 1, 16, 16)
    assert tiny_sttn()(torch.rand(1, 2, 3, 16, 16), nothing_seen).isfinite().all()


def test_each_clip_is_judged_by_itself():
    torch.manual_seed(0)
    judge, video = TPatchGAN(width=2).eval(), torch.rand(3, 4, 3, 64, 64)
    logits = judge(video)["logits"]
    assert logits.shape[0] == 3
    torch.testing.assert_close(judge(video[1:2])["logits"], logits[1:2])
    other = video.clone()
    other[0] = torch.rand_like(other[0])
    assert torch.equal(judge(other)["logits"][1:], logits[1:])
    one_clip = judge.conv((2 * video - 1).flatten(0, 1).transpose(0, 1)[None])  # as in the authors' code
    another = judge.conv((2 * other - 1).flatten(0, 1).transpose(0, 1)[None])
    assert (one_clip != another)[:, :, 4].any()  # a frame of the second clip, and only the first was changed


@pytest.mark.parametrize("fill", [*FILLS, tiny_sttn(), blended()], ids=lambda fill: type(fill).__name__)
def test_nothing_hidden_is_looked_at_and_nothing_seen_is_changed(fill: nn.Module):
    video = clip()
    mask = moving_hole(video)
    with torch.no_grad():
        output = fill(video, mask)
        hidden = mask.expand_as(video) == 1
        assert torch.equal(output[~hidden], video[~hidden])
        for other in (torch.rand_like(video), torch.full_like(video, torch.nan)):
            changed = torch.where(hidden, other, video)
            assert (changed != video).any() and torch.equal(fill(changed, mask), output)
        nothing = fill(video, torch.zeros_like(mask))
        assert torch.equal(nothing, video)
        everything = fill(video, torch.ones_like(mask))
    assert output.isfinite().all() and everything.isfinite().all()


def test_on_a_still_camera_what_is_seen_once_comes_back_exactly():
    still = clip(frames=1).expand(1, 6, -1, -1, -1).clone()
    mask = moving_hole(still)
    for fill in (TemporalMedianVisible(), CopyNearestVisible()):
        assert torch.equal(fill(still, mask), still)
    torch.testing.assert_close(FlowCopy(flow=Still())(still, mask), still)
    assert (SpatialFill()(still, mask) - still).abs().max() > 0.05


def test_the_nearest_frame_is_copied_and_the_earlier_one_of_two():
    video = torch.arange(1.0, 6).view(1, 5, 1, 1, 1).expand(1, 5, 3, 8, 8) / 8
    mask = torch.zeros(1, 5, 1, 8, 8)
    mask[:, 1:4, :, 3, 3] = 1
    filled = CopyNearestVisible()(video, mask)[0, :, 0, 3, 3]
    assert (8 * filled).tolist() == [1, 1, 1, 5, 5]
    assert (8 * TemporalMedianVisible()(video, mask)[0, 2, 0, 3, 3]).item() == 1  # the lower of 1 and 5


class Still(nn.Module):
    def forward(self, frame: Tensor, other: Tensor) -> Tensor:
        return torch.zeros_like(frame[:, :2])


def panned(*, frames: int = 6) -> Tensor:
    wide = clip(frames=1, height=40, width=60)[0, 0]
    return torch.stack([wide[:, t : t + 30, 2 * t : 2 * t + 44] for t in range(frames)])[None]


def test_copying_along_the_flow_is_exact_where_the_camera_pans_and_copying_in_place_is_not():
    video = panned()
    mask = torch.zeros(1, 6, 1, 30, 44)
    mask[..., 10:18, 20:26] = 1  # a logo: it stays, what is behind it goes by

    class TrueFlow(nn.Module):
        def forward(self, frame: Tensor, other: Tensor) -> Tensor:
            ahead = torch.equal(frame[0, :, 2:3, 3:4], other[0, :, 1:2, 1:2])
            return torch.tensor([-2.0, -1.0] if ahead else [2.0, 1.0]).view(1, 2, 1, 1).expand(len(frame), 2, 30, 44)

    copied = FlowCopy(flow=TrueFlow())(video, mask)
    assert (copied - video).abs().max() < 1e-5
    assert (FlowCopy(flow=GlobalShift())(video, mask) - video).abs().max() < 0.1
    assert (CopyNearestVisible()(video, mask) - video).abs().max() > 0.12
    with pytest.raises(BadRequest, match="SPyNet without weights leads nowhere"):
        FlowCopy(flow=SPyNet())


def test_the_shift_of_a_pan_is_found_to_a_part_of_a_pixel():
    video = panned()[0]
    assert (GlobalShift()(video[1:2], video[3:4])[0, :, 0, 0] - torch.tensor([-4.0, -2.0])).abs().max() < 0.2
    assert GlobalShift()(video[:1], video[:1]).abs().max() < 1e-6


def test_a_smooth_fill_continues_a_ramp_and_a_mean_is_that_of_the_surroundings():
    ramp = torch.linspace(0, 1, 33).view(1, 1, 1, 1, 33).expand(1, 1, 3, 33, 33)
    mask = torch.zeros(1, 1, 1, 33, 33)
    mask[..., 10:20, 12:20] = 1
    assert (SpatialFill()(ramp, mask) - ramp).abs().max() < 0.05
    blank = torch.full((1, 1, 3, 9, 9), 0.25)
    blank[..., 0, :] = 1.0
    hole = torch.zeros(1, 1, 1, 9, 9)
    hole[..., 4, 4] = 1
    assert MeanFill(margin=2)(blank, hole)[0, 0, 0, 4, 4] == pytest.approx(0.25)
    assert MeanFill(margin=4)(blank, hole)[0, 0, 0, 4, 4] == pytest.approx((9 + 71 * 0.25) / 80)
    assert MeanFill()(blank, torch.ones_like(hole)).unique().tolist() == [0.5]


def test_a_fresh_blend_believes_its_last_fill_most_and_one_of_single_frames_sees_no_others():
    video = clip()
    mask = moving_hole(video)
    network = BlendedFills(channels=2)
    fills = [SpatialFill(), CopyNearestVisible(), FlowCopy(flow=GlobalShift())]
    expected = sum(share * fill(video, mask) for share, fill in zip((0.2, 0.2, 0.6), fills))
    torch.testing.assert_close(network(video, mask), expected)
    alone = BlendedFills(fills={"mean": MeanFill(), "spatial": SpatialFill()}, channels=2, frames=1)
    assert alone.radius == 0 and network.radius is None
    with pytest.raises(BadRequest, match=r"model.fills.median: Conv2d is none of videxp.models.restoration.fills"):
        BlendedFills(fills={"median": nn.Conv2d(3, 3, 1)})
    with pytest.raises(BadRequest, match="channels=10 is no multiple of 4"):
        STTN(channels=10)
