import pytest
import torch
from torch import Tensor

from videxp.errors import BadRequest
from videxp.metrics import ssim, tlp, tof, warping_error


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
