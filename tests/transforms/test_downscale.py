"""The inputs of super-resolution papers, against Pillow, MATLAB's definition, and a published figure."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from videxp.transforms import BicubicDown, BlurDown
from videxp.transforms.downscale import mirror_pad

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "vid4"


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_clip(image: np.ndarray) -> torch.Tensor:
    """uint8 [H,W,C] -> float [1,1,C,H,W] in [0,1]."""
    return torch.from_numpy(image).permute(2, 0, 1)[None, None].float() / 255


def as_levels(clip: torch.Tensor) -> np.ndarray:
    """float [1,1,C,H,W] in [0,1] -> float64 [H,W,C] in [0,255]."""
    return clip[0, 0].permute(1, 2, 0).double().numpy() * 255


def matlab_axis(values: np.ndarray, scale: int) -> np.ndarray:
    """imresize(values, 1/scale, 'bicubic') along axis 0, by MATLAB's own recipe, pixel by pixel."""

    def cubic(x: float) -> float:
        x = abs(x)
        return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0

    size, out = len(values), []
    for i in range(size // scale):
        center = (i + 0.5) * scale - 0.5
        places = range(int(np.floor(center - 2 * scale)), int(np.ceil(center + 2 * scale)) + 1)
        weights = np.array([cubic((p - center) / scale) for p in places])
        mirrored = [p % (2 * size) if p % (2 * size) < size else 2 * size - 1 - p % (2 * size) for p in places]
        out.append(np.tensordot(weights / weights.sum(), values[mirrored], axes=1))
    return np.array(out)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_bicubic_is_matlabs_imresize_up_to_the_border(scale: int) -> None:
    image = picture(12 * scale, 10 * scale)
    rows = matlab_axis(image.astype(np.float64), scale)
    expected = matlab_axis(rows.swapaxes(0, 1), scale).swapaxes(0, 1).clip(0, 255)
    assert np.abs(as_levels(BicubicDown(scale=scale, round=False)(as_clip(image)).video) - expected).max() < 1e-3


def test_the_stock_bicubic_of_torch_is_another() -> None:
    """a = -0.75 and no antialias; and with antialias the border is not MATLAB's."""
    image = as_clip(picture(48, 48))
    ours = BicubicDown(scale=4, round=False)(image).video[0]
    assert (interpolate(image[0], scale_factor=0.25, mode="bicubic") - ours).abs().mean() > 0.1
    antialiased = interpolate(image[0], scale_factor=0.25, mode="bicubic", antialias=True).clamp(0, 1)
    assert (antialiased - ours)[..., 2:-2, 2:-2].abs().max() < 1e-5
    assert (antialiased - ours).abs().max() > 1e-3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_inside_the_frame_it_is_pillows(scale: int) -> None:
    image = picture(16 * scale, 20 * scale)
    ours = as_levels(BicubicDown(scale=scale, round=False)(as_clip(image)).video)
    bands = [Image.fromarray(image[..., c].astype(np.float32)) for c in range(3)]  # in float: no rounding in between
    size = (20, 16)
    pillow = np.stack([np.asarray(band.resize(size, Image.Resampling.BICUBIC)) for band in bands], axis=-1)
    assert np.abs(ours - pillow.clip(0, 255))[2:-2, 2:-2].max() < 1e-3
    rounded = as_levels(BicubicDown(scale=scale)(as_clip(image)).video)
    assert np.abs(rounded - np.rint(rounded)).max() < 1e-4
    eight_bits = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    assert np.abs(rounded - eight_bits)[2:-2, 2:-2].max() <= 2.001  # Pillow rounds after each axis
    assert np.abs(rounded - eight_bits)[2:-2, 2:-2].mean() < 0.2


@pytest.mark.parametrize("scale", [2, 4])
def test_blur_is_a_gaussian_and_then_every_scale_th_pixel_from_the_first(scale: int) -> None:
    image = picture(8 * scale, 6 * scale)
    ramp = np.arange(13) - 6
    kernel = np.exp(-0.5 * (ramp[:, None] ** 2 + ramp[None] ** 2) / 1.6**2)
    kernel /= kernel.sum()
    padded = np.pad(image.astype(np.float64), ((6, 6), (6, 6), (0, 0)), mode="reflect")
    expected = np.array(
        [
            [np.tensordot(kernel, padded[y : y + 13, x : x + 13], axes=2) for x in range(0, 6 * scale, scale)]
            for y in range(0, 8 * scale, scale)
        ]
    )
    down = BlurDown(scale=scale, round=False)(as_clip(image)).video
    assert np.abs(as_levels(down) - expected).max() < 1e-3
    levels = BlurDown(scale=scale)(as_clip(image)).video * 255
    assert (levels - levels.round()).abs().max() < 1e-4


@pytest.mark.parametrize("degradation", [BicubicDown(scale=4), BlurDown(scale=4)])
def test_tiny_frames_flat_frames_and_wrong_sizes(degradation: torch.nn.Module) -> None:
    flat = torch.full((2, 3, 3, 4, 8), 0.4)
    assert degradation(flat).video[..., 0, 0] == pytest.approx(torch.full((2, 3, 3), 0.4))
    with pytest.raises(ValueError, match="10x8 cannot be made 4 times smaller"):
        degradation(torch.zeros(1, 1, 3, 8, 10))


def test_mirrors() -> None:
    line = torch.tensor([[1.0, 2.0, 3.0]])
    assert mirror_pad(line, -1, 2).tolist() == [[2, 1, 1, 2, 3, 3, 2]]
    assert mirror_pad(line, -1, 2, border="reflect").tolist() == [[3, 2, 1, 2, 3, 2, 1]]
    assert mirror_pad(line[:, :1], -1, 3, border="reflect").tolist() == [[1] * 7]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="Vid4's inputs are not checked: the real videos are not there")
def test_the_published_bicubic_figure_of_vid4_follows_from_our_inputs() -> None:
    """City, x4, luma, no border cut, to the last digit; the enlargement is MATLAB's, written out below."""
    from videxp.video import open_video

    published = json.loads((DATA / "bicubic_x4_reference.json").read_text())["city"]
    weights = torch.tensor([65.481, 128.553, 24.966]).view(3, 1, 1)
    of_frames = []
    with open_video(DATA / "city.mkv") as reader:
        for t in range(published["frames"]):
            frame = reader.frames([t]).permute(0, 3, 1, 2)[None].float() / 255
            restored = matlab_enlarged(BicubicDown(scale=4)(frame).video[0], times=4)
            error = ((restored - frame[0]) * weights).sum(1)  # of Y, in levels of 255
            of_frames.append(float(10 * torch.log10(255**2 / error.double().square().mean())))
    assert np.mean(of_frames) == pytest.approx(published["psnr_y_unrounded"], abs=6e-5)


def matlab_enlarged(frames: torch.Tensor, *, times: int) -> torch.Tensor:
    """imresize(frame, times), to 8 bits: float [T,C,h,w] -> [T,C,H,W]."""
    for axis in (-2, -1):
        size = frames.shape[axis]
        positions = (torch.arange(size * times, dtype=torch.float64) + 0.5) / times - 0.5
        total = torch.zeros_like(frames.repeat_interleave(times, dim=axis))
        for k in range(-1, 3):
            place = positions.floor() + k
            x = (positions - place).abs()
            weight = torch.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2).float()
            shape = (-1, 1) if axis == -2 else (-1,)
            index = torch.where(place < 0, -1 - place, torch.where(place >= size, 2 * size - 1 - place, place)).long()
            total += frames.index_select(axis, index) * weight.view(shape)
        frames = total
    return (frames * 255).round().clamp(0, 255) / 255
