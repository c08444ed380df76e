from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.metrics import TLP, TOF, Lpips, WarpingError, ssim, tlp, tof, warping_error
from videxp.models.restoration.spynet import SPyNet


def texture(*, frames: int = 4, seed: int = 0) -> Tensor:
    """A random texture that moves 2 pixels to the right and 1 down from frame to frame: [1,T,3,16,20]."""
    still = torch.rand(3, 16, 20, generator=torch.Generator().manual_seed(seed))
    return torch.stack([still.roll((t, 2 * t), dims=(1, 2)) for t in range(frames)])[None]


def motion(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
    """The whole-pixel shift from a to b, found by trying."""
    shifts = [(x, y) for x in (-2, -1, 0, 1, 2) for y in (-1, 0, 1)]
    errors = [(a_NCHW.roll((y, x), dims=(2, 3)) - b_NCHW).abs().mean((1, 2, 3)) for x, y in shifts]
    best_N = torch.stack(errors).argmin(0)
    return torch.tensor(shifts, dtype=a_NCHW.dtype)[best_N][:, :, None, None].expand(-1, -1, *a_NCHW.shape[-2:])


def test_steady_motion_has_no_warping_error_and_flicker_has_its_square():
    video = texture(frames=4).clamp(0.2, 0.8)
    assert (video[:, 1:] - video[:, :-1]).square().mean() > 0.01  # negative control: a plain difference sees motion
    assert warping_error(video, motion)[0].tolist() == pytest.approx([0, 0, 0], abs=1e-10)
    flicker = video.clone()
    flicker[:, 2] += 0.1
    assert warping_error(flicker, motion, reference_BTCHW=video)[0].tolist() == pytest.approx([0, 0.01, 0.01])


def test_warping_error_leaves_out_what_is_seen_in_one_frame_only():
    video = texture(frames=2)
    video[0, 1, :, 0] = 0.5  # the row that came in from above
    video[0, 1, :, :, :2] = 0.5  # and the columns from the left
    assert warping_error(video, motion)[0, 0] == pytest.approx(0, abs=1e-10)

    def still(a: Tensor, b: Tensor) -> Tensor:
        return torch.zeros(len(a), 2, 16, 20)

    assert warping_error(video, still)[0, 0] > 0.05  # negative control: the wrong flow


def test_pairs_without_a_common_pixel_are_compared_all_the_same():
    def away(a: Tensor, b: Tensor) -> Tensor:
        return torch.full((len(a), 2, 16, 20), 100.0)

    assert warping_error(texture(frames=2), away).isfinite().all()


def test_tof_is_the_distance_of_the_motions_in_pixels():
    target, still = texture(frames=3), texture(frames=1).expand(-1, 3, -1, -1, -1)
    assert tof(target, target, motion).tolist() == [[0, 0]]
    assert tof(still, target, motion)[0].tolist() == pytest.approx([5**0.5, 5**0.5])  # (2, 1) pixels


def test_tlp_is_the_distance_of_the_changes():
    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))

    steps = torch.tensor([0.0, 0.1, 0.4]).view(1, 3, 1, 1, 1).expand(1, 3, 3, 4, 4)  # changes of 0.1 and 0.3
    evenly = torch.tensor([0.0, 0.2, 0.4]).view(1, 3, 1, 1, 1).expand(1, 3, 3, 4, 4)
    assert tlp(steps, evenly, distance)[0].tolist() == pytest.approx([0.1, 0.1])


def test_per_frame_metrics_do_not_see_flicker():
    """Why there are temporal ones: frames that jump to and fro score as those that drift."""
    target = texture(frames=1).expand(-1, 4, -1, -1, -1) * 0.5 + 0.25
    sign = torch.tensor([1.0, -1, 1, -1]).view(1, 4, 1, 1, 1)
    noise = 0.05 * torch.rand(1, 1, 3, 16, 20, generator=torch.Generator().manual_seed(2))
    flickering, biased = target + sign * noise, target + noise
    assert ssim(flickering, target).mean() == pytest.approx(ssim(biased, target).mean().item(), abs=0.02)
    flickers, steady = (warping_error(video, motion, reference_BTCHW=target).mean() for video in (flickering, biased))
    assert flickers > 1e-3
    assert steady < 1e-9


def test_clips_of_one_frame_are_refused():
    with pytest.raises(BadRequest, match="compare adjacent frames, but clips have one"):
        tof(texture(frames=1), texture(frames=1), motion)


class Motion(nn.Module):
    """`motion`, and how many pairs it has been shown at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[int] = []

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        self.pairs.append(len(a))
        return motion(a, b)


def test_a_configs_metrics_are_the_functions_a_pair_at_a_time():
    target = texture(frames=6)
    output = (target + 0.1 * torch.rand(target.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    flow = Motion()
    assert torch.equal(TOF(flow=flow)(output, target), tof(output, target, motion))
    expected = warping_error(output, motion, reference_BTCHW=target)
    assert torch.allclose(WarpingError(flow=flow)(output, target), expected)
    assert expected.shape == (1, 5) and set(flow.pairs) == {1}
    tof(output, target, flow)
    assert max(flow.pairs) == 5  # negative control: the function takes all pairs, and their memory, at once
    with pytest.raises(BadRequest, match="compare adjacent frames, but clips have one"):
        TOF(flow=flow)(output[:, :1], target[:, :1])


def test_a_flow_without_weights_is_refused_and_one_with_them_is_named(tmp_path: Path):
    with pytest.raises(BadRequest, match="flow: SPyNet without weights measures nothing: set its weights"):
        WarpingError(flow=SPyNet(levels=1, width=2))
    path = tmp_path / "spynet.pth"
    torch.save(SPyNet(levels=1, width=2).state_dict(), path)
    assert TOF(flow=SPyNet(levels=1, width=2, weights=str(path))).protocol == "tOF by SPyNet (spynet.pth), pixels"


def test_tlp_of_a_config_is_the_function_with_lpips(alex: Path):
    generator = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 1, 3, 3, 40, 40, generator=generator).unbind()
    judge = TLP(weights=str(alex))
    assert torch.allclose(judge(output, target), tlp(output, target, Lpips(weights=str(alex))), atol=1e-7)
    assert judge.protocol == "tLP (not times 100) of LPIPS 0.1 of alexnet (alexnet.pth)"
