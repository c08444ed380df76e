"""Clips without color, dark or graded otherwise: alike over a clip, reproducible, and what their names say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import color

from videxp.core.errors import BadRequest
from videxp.transforms import Darkened, Graded, Greyed
from videxp.transforms.lut import apply_lut, identity_lut, read_cube, write_cube


def clips(count: int = 2) -> torch.Tensor:
    """A picture of 8-bit noise for each clip, the same in its three frames: float [N,3,3,16,16]."""
    levels = torch.randint(0, 256, (count, 1, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    return levels.expand(-1, 3, -1, -1, -1) / 255


def rngs(count: int = 2) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def test_grey_keeps_the_lightness_or_the_luma_within_a_level():
    clip = clips()
    made = Greyed()(clip)
    assert made.target is clip and torch.equal(made.condition[:, 2], clip[:, 0])
    assert torch.equal(made.video[:, :, 0], made.video[:, :, 1]) and torch.equal(
        made.video[:, :, 0], made.video[:, :, 2]
    )
    given, left = (color.rgb2lab(v.movedim(2, -1).double().numpy())[..., 0] for v in (clip, made.video))
    assert np.abs(given - left).max() < 0.3  # half a level at the darkest
    luma = Greyed(by="luma")(clip).video[0, 0, 0] * 255
    by_hand = np.tensordot([0.299, 0.587, 0.114], clip[0, 0].double().numpy() * 255, 1)
    assert np.abs(luma.numpy() - by_hand).max() < 0.55
    assert "lightness" in str(Greyed()) and "luma" in str(Greyed(by="luma"))


def test_what_is_dark_is_so_by_the_drawn_exposure_and_gamma():
    clip = clips()
    made = Darkened(exposure=0.5, gamma=2.0, noise=0)(clip, rngs())
    torch.testing.assert_close(made.video, ((0.5 * clip) ** 2 * 255).round() / 255)
    noisy = Darkened(exposure=1, gamma=1, noise=5)(0 * clip + 0.5, rngs()).video
    assert noisy.std().item() * 255 == pytest.approx(5, rel=0.05)
    assert not torch.equal(noisy[0, 0], noisy[0, 1])  # other noise in each frame
    assert str(Darkened(noise=3)) == "darkened: exposure 0.3 to 0.8, gamma 1.2 to 2, noise of 3 levels, clipped"


@pytest.mark.parametrize("degradation", [Darkened(noise=0), Graded(strength=1.0)], ids=str)
def test_each_clip_has_its_own_look_in_all_its_frames_whatever_batch_it_is_in(degradation: torch.nn.Module):
    clip = clips(1).expand(3, -1, -1, -1, -1)
    video = degradation(clip, rngs(3)).video
    assert torch.equal(video[:, 0], video[:, 2])
    assert not torch.equal(video[0], video[1])
    assert torch.equal(degradation(clip[1:2], rngs(3)[1:2]).video, video[1:2])
    assert torch.equal(video, (video * 255).round() / 255) and video.min() >= 0 and video.max() <= 1


def test_no_strength_is_no_grade():
    torch.testing.assert_close(Graded(strength=0.0)(clips(), rngs()).video, clips(), atol=1e-6, rtol=0)


def test_the_identity_table_changes_no_8_bit_value():
    levels = torch.cartesian_prod(*[torch.arange(0, 256, 5)] * 3).float() / 255
    frame = levels.T.reshape(1, 3, 52, -1)
    for size in (2, 17, 33):
        same = apply_lut(frame, identity_lut(size))
        assert torch.equal((same * 255).round(), (frame * 255).round())


def test_a_table_comes_back_from_its_file_and_makes_the_look_it_is_for(tmp_path: Path):
    lut = identity_lut(5).flip(0) * 0.5  # red and blue change places, half as bright
    write_cube(tmp_path / "a.cube", lut)
    lines = (tmp_path / "a.cube").read_text().splitlines()
    assert lines[1] == "LUT_3D_SIZE 5" and lines[3] == "0.0000000 0.0000000 0.1250000"  # after black, the first red
    assert torch.equal(read_cube(tmp_path / "a.cube"), lut)
    graded = Graded(cube=str(tmp_path / "a.cube"))
    video = graded(clips(), rngs()).video
    torch.testing.assert_close(video, (clips().flip(2) * 0.5 * 255).round() / 255, atol=1.01 / 255, rtol=0)
    assert str(graded) == f"graded by {tmp_path / 'a.cube'}"


def test_a_table_is_what_ffmpeg_makes_of_it(tmp_path: Path):
    """Its filter rounds and interpolates in tetrahedra unless it is told otherwise."""
    import av

    lut = identity_lut(9) ** torch.tensor([0.7, 1.0, 1.6])[:, None, None, None]
    write_cube(tmp_path / "a.cube", lut)
    picture = (clips()[0, 0] * 255).byte().permute(1, 2, 0).contiguous().numpy()
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format="rgb24", time_base=1)
    filtered = graph.add("lut3d", f"file={tmp_path / 'a.cube'}:interp=trilinear")
    sink = graph.add("buffersink")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    graph.push(av.VideoFrame.from_ndarray(picture, format="rgb24"))
    theirs = graph.pull().to_ndarray(format="rgb24").astype(int)
    ours = (apply_lut(clips()[0, :1], lut)[0] * 255).permute(1, 2, 0).numpy()
    assert np.abs(theirs - ours).max() <= 1.01


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n", "line 1: 'LUT_1D_SIZE 2' belongs to no 3D table"),
        ("LUT_3D_SIZE 2\n0 0 0\n", "LUT_3D_SIZE 2 and 1 colors"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 2 2 2\n", "only tables of colors in"),
    ],
)
def test_other_tables_are_refused_in_a_line(text: str, said: str, tmp_path: Path):
    (tmp_path / "a.cube").write_text(text)
    with pytest.raises(BadRequest, match=said):
        Graded(cube=str(tmp_path / "a.cube"))


def test_a_range_that_is_none_is_refused():
    with pytest.raises(BadRequest, match=r"gamma=\[2, 1\]: a number of at least 0"):
        Darkened(gamma=[2, 1])
