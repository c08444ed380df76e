"""The degradation of real footage: reproducible, within its limits, and each step what it says."""

import numpy as np
import pytest
import torch

from videxp.core.errors import BadRequest
from videxp.core.randomness import Stream, generator
from videxp.transforms import Blur, Jpeg, Noise, RealWorld, Resize, VideoCompression
from videxp.transforms.blur_kernels import KINDS, blur_kernel
from videxp.transforms.frame_damage import as_uint8, chosen, filtered, resized, walk


def rng(index: int = 0) -> np.random.Generator:
    return generator(0, stream=Stream.DEGRADE, index=index)


def clip(height: int = 32, width: int = 48, num_frames: int = 3) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    frames = [np.stack([4 * x % 256, 5 * y % 256, (x * y + 20 * t) % 256], axis=-1) for t in range(num_frames)]
    return np.stack(frames).astype(np.uint8)


def chain() -> RealWorld:
    steps = [Blur(), Resize(), Noise(), Jpeg(), VideoCompression()]
    sinc = Blur(probability=0.8, kinds={"sinc": 1.0}, omega=[1.0, 3.0])
    return RealWorld(scale=4, steps=steps, compression=VideoCompression(), resize=Resize(), blur=sinc)


def test_the_chain_gives_a_clip_of_a_quarter_of_the_size_and_another_one_each_time() -> None:
    outs = [chain()(clip(), rng(index)) for index in range(3)]
    assert all(out.shape == (3, 8, 12, 3) and out.dtype == np.uint8 for out in outs)
    assert not np.array_equal(outs[0], outs[1])
    assert all(1 < np.abs(out.astype(float) - clip()[:, ::4, ::4]).mean() < 120 for out in outs)


def test_it_is_the_same_for_any_number_of_threads_and_leaves_their_number_alone() -> None:
    before = torch.get_num_threads()
    outs = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            outs.append(chain()(clip(), rng(7)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*outs)


def test_a_size_that_the_scale_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="50x32 cannot be made 4 times smaller"):
        chain()(clip(width=50), rng())


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_sums_to_one_and_keeps_flat_frames(kind: str) -> None:
    kernel = blur_kernel(kind, 9, sigma_x=2.0, sigma_y=1.0, angle=0.5, beta=1.5, omega=1.5)
    assert kernel.sum() == pytest.approx(1)
    assert np.allclose(kernel, kernel[::-1, ::-1])
    assert np.allclose(filtered(np.full((6, 7, 3), 90, np.float32), kernel), 90)


def test_kernels_are_what_their_names_say() -> None:
    values = {"sigma_x": 2.0, "sigma_y": 1.0, "angle": 0.0, "beta": 1.0, "omega": 1.5}
    iso, aniso = blur_kernel("iso", 9, **values), blur_kernel("aniso", 9, **values)
    assert np.allclose(iso, iso.T) and not np.allclose(aniso, aniso.T)
    assert np.allclose(iso, np.outer(*[np.exp(-((np.arange(9) - 4) ** 2) / 8)] * 2) / iso_sum())
    assert np.allclose(blur_kernel("generalized_iso", 9, **values), iso)  # beta 1 is the Gaussian
    assert aniso[4, 7] > aniso[7, 4]  # wide along x
    quarter = blur_kernel("aniso", 9, **values | {"angle": np.pi / 2})
    assert np.allclose(quarter, aniso.T)
    assert blur_kernel("sinc", 21, **values).min() < 0  # it rings
    with pytest.raises(BadRequest, match="unknown kind 'box': one of iso, aniso"):
        blur_kernel("box", 9, **values)


def iso_sum() -> float:
    return float(np.exp(-((np.arange(9) - 4) ** 2) / 8).sum() ** 2)


def test_a_walk_goes_by_small_steps_within_its_limits() -> None:
    path = walk((1.0, 1.5), 0.2, 200, rng())
    assert path.min() >= 1.0 and path.max() <= 1.5
    assert 0 < np.abs(np.diff(path)).max() <= 0.2
    assert walk((0, 1), 0.0, 3, rng(), start=0.25).tolist() == [0.25] * 3


def test_choices_go_by_weight() -> None:
    draws, source = [], rng()
    for _ in range(300):
        draws.append(chosen({"a": 3.0, "b": 1.0, "never": 0.0}, source))
    assert 0.65 < draws.count("a") / 300 < 0.85 and "never" not in draws


def test_resizing_keeps_even_sizes_and_is_opencvs_without_antialiasing() -> None:
    frames = list(clip().astype(np.float32))
    for index in range(6):
        sizes = {frame.shape[:2] for frame in Resize(scale=[0.2, 1.4])(frames, rng(index))}
        assert all(h % 2 == 0 and w % 2 == 0 and 6 <= h <= 44 for h, w in sizes)
    halved = resized(frames[0], (16, 24), "area")
    assert np.allclose(halved, frames[0].reshape(16, 2, 24, 2, 3).mean((1, 3)), atol=1e-3)
    with pytest.raises(BadRequest, match="unknown mode 'lanczos'"):
        Resize(modes={"lanczos": 1.0})


@pytest.mark.parametrize("gaussian_share", [1.0, 0.0])
def test_noise_has_its_strength_and_grey_noise_no_color(gaussian_share: float) -> None:
    flat = [np.full((64, 64, 3), 128, np.float32)]
    limits = {"gaussian_sigma": [9.0, 9.0], "poisson_scale": [1.0, 1.0]}
    colored, grey = (
        Noise(gaussian_share=gaussian_share, grey_probability=chance, **limits)(flat, rng())[0] - flat[0]
        for chance in (0.0, 1.0)
    )
    expected = 9.0 if gaussian_share else np.sqrt(128)  # one level of brightness: photons are the levels themselves
    assert colored.std() == pytest.approx(expected, rel=0.1)
    assert abs(colored.mean()) < 1
    assert np.allclose(grey, grey[..., :1], atol=1e-4) and not np.allclose(colored, colored[..., :1])


def test_compression_loses_more_with_fewer_bits() -> None:
    frames = list(clip().astype(np.float32))

    def error(step: object) -> float:
        return float(np.abs(as_uint8(step(frames, rng())).astype(float) - clip()).mean())

    assert 0 < error(Jpeg(quality=[95, 95])) < error(Jpeg(quality=[30, 30]))
    much, little = (VideoCompression(codecs={"libx264": 1.0}, bit_rate=[bits] * 2) for bits in (90_000, 1_000))
    assert 0 < error(much) < error(little)


def test_even_kernels_are_refused() -> None:
    with pytest.raises(BadRequest, match="kernel_sizes has 8"):
        Blur(kernel_sizes=[7, 8])
