"""What each corruption does, against its definition: numpy, scipy and scikit-image where the papers used them."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian

from videxp.transforms.corruptions import blur, camera, codec, color, noise, temporal, weather
from videxp.transforms.corruptions.corruption import rng_of
from videxp.transforms.corruptions.sheet import BAND, CELL, MARGIN, NAMES, order_of, save_contact_sheet
from videxp.transforms.corruptions.tables import PROTOCOLS, SCHIAPPA2023, VIDEXP


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def picture_clip(frames: int = 4, height: int = 40, width: int = 52) -> np.ndarray:
    """Waves of all colors that move, with grey, black and white in it."""
    t, y, x = np.mgrid[:frames, :height, :width]
    values = [127 + 127 * np.sin(x / 7 + t), 127 + 127 * np.sin(y / 5 - t / 2), 127 + 127 * np.sin((x + y) / 9 + t / 3)]
    clip = np.stack(values, axis=-1).astype(np.uint8)
    clip[:, :3, :9] = np.array([0, 255, 90])[:, None, None]
    return clip


def grey_clip(value: int, frames: int = 8, side: int = 64) -> np.ndarray:
    return np.full((frames, side, side, 3), value, np.uint8)


def numbered(frames: int) -> np.ndarray:
    return np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, 2, 2, 3)).copy()


def order(clip: np.ndarray) -> list[int]:
    assert (clip == clip[:, :1, :1, :1]).all()
    return [int(number) for number in clip[:, 0, 0, 0]]


def rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255)


# ---- noise --------------------------------------------------------------------------------------------------------


def test_noise_has_the_moments_of_its_definition(rng: np.random.Generator) -> None:
    clip = grey_clip(102)  # 0.4
    added = noise.gaussian_noise(clip, rng, sigma=0.08) / 255 - 0.4
    assert added.mean() == pytest.approx(0, abs=0.001) and added.std() == pytest.approx(0.08, rel=0.01)
    added = noise.speckle_noise(clip, rng, sigma=0.15) / 255 - 0.4
    assert added.mean() == pytest.approx(0, abs=0.001) and added.std() == pytest.approx(0.4 * 0.15, rel=0.01)
    counted = noise.shot_noise(clip, rng, photons=60) / 255  # Poisson: mean 24 photons, variance 24
    assert counted.mean() == pytest.approx(0.4, abs=0.001) and counted.std() == pytest.approx(24**0.5 / 60, rel=0.01)
    values, counts = np.unique(noise.impulse_noise(clip, rng, share=0.17), return_counts=True)
    assert values.tolist() == [0, 102, 255]
    assert counts / clip.size == pytest.approx([0.085, 0.83, 0.085], abs=0.003)


def test_noise_is_another_one_in_each_frame_and_channel(rng: np.random.Generator) -> None:
    for made in (
        noise.gaussian_noise(grey_clip(128), rng, sigma=0.18),
        noise.shot_noise(grey_clip(128), rng, photons=12),
        noise.impulse_noise(grey_clip(128), rng, share=0.27),
        noise.speckle_noise(grey_clip(128), rng, sigma=0.35),
    ):
        planes = made.transpose(0, 3, 1, 2).reshape(24, -1).astype(float)
        assert np.abs(np.corrcoef(planes) - np.eye(24)).max() < 0.06  # 4 / sqrt(4096)


# ---- blur ---------------------------------------------------------------------------------------------------------


def test_gaussian_and_defocus_blur_are_scipys(rng: np.random.Generator) -> None:
    clip = picture_clip()
    for sigma in (1, 6):
        made = blur.gaussian_blur(clip, rng, sigma=sigma)
        expected = np.stack([gaussian(frame / 255, sigma=sigma, channel_axis=-1) for frame in clip])
        assert np.abs(made - rounded(expected)).max() <= 1
    for radius, soft in ((3, 0.1), (10, 0.5)):
        kernel = blur.disk(radius, alias_blur=soft)
        made = blur.defocus_blur(clip, rng, radius=radius, alias_blur=soft)
        expected = scipy.ndimage.correlate(clip / 255, kernel[None, :, :, None], mode="mirror")
        assert np.abs(made - rounded(expected)).max() <= 1
    assert blur.disk(3, alias_blur=0.1).shape == (17, 17) and blur.disk(10, alias_blur=0.5).shape == (21, 21)
    assert (blur.disk(3, alias_blur=0.1) > 1e-9).sum() == 29  # pixels within three of the middle: the edge is sharp
    assert blur.disk(8, alias_blur=0.5).sum() == pytest.approx(1, abs=0.02)


def test_motion_blur_is_one_sided_and_along_one_line_for_the_clip() -> None:
    dot = np.zeros((2, 41, 41, 1), np.float32)
    dot[:, 20, 20] = 1
    weights = np.exp(-(np.arange(21) ** 2) / (2 * 3**2))
    weights /= weights.sum()
    for angle, along in ((0.0, np.s_[20, 20::-1]), (np.pi / 2, np.s_[20::-1, 20])):
        made = blur.smear(dot, radius=10, sigma=3, angle=angle)
        assert made[0, ..., 0][along] == pytest.approx(weights, abs=1e-6)
        assert made.sum() == pytest.approx(2) and np.array_equal(made[0], made[1])
    rng = np.random.default_rng(0)
    still = np.repeat(picture_clip()[:1], 5, axis=0)
    made = blur.motion_blur(still, rng, radius=15, sigma=8)
    assert (made == made[:1]).all()
    assert not np.array_equal(made, blur.motion_blur(still, rng, radius=15, sigma=8))  # another clip, another angle


def test_zoom_blur_is_the_mean_of_scipys_zooms(rng: np.random.Generator) -> None:
    clip = picture_clip(height=44, width=44)
    factors = np.arange(1, 1.21, 0.02)
    total = clip / 255
    for factor in factors:
        cut = int(np.ceil(44 / factor))
        top = (44 - cut) // 2
        middle = (clip / 255)[:, top : top + cut, top : top + cut]
        larger = scipy.ndimage.zoom(middle, (1, factor, factor, 1), order=1)
        trim = (larger.shape[1] - 44) // 2
        total = total + larger[:, trim : trim + 44, trim : trim + 44]
    made = blur.zoom_blur(clip, rng, top=1.21, step=0.02)
    assert len(factors) == 11 and np.abs(made - rounded(total / 12)).max() <= 1


def test_a_long_shutter_is_the_mean_of_neighboring_frames(rng: np.random.Generator) -> None:
    clip = rng.integers(0, 256, (12, 5, 6, 3), dtype=np.uint8)
    made = blur.frame_blur(clip, rng, half_window=3)
    for t in range(3, 9):  # Yi's: frames t-3 to t+2
        assert np.abs(made[t] - clip[t - 3 : t + 3].mean(axis=0)).max() <= 0.5
    assert np.abs(made[0] - clip[:3].mean(axis=0)).max() <= 0.5
    assert np.abs(made[11] - clip[8:].mean(axis=0)).max() <= 0.5


# ---- weather ------------------------------------------------------------------------------------------------------


def test_fog_is_one_field_for_the_clip(rng: np.random.Generator) -> None:
    clip = np.concatenate([grey_clip(255, 3), grey_clip(51, 3)])
    made = weather.fog(clip, rng, density=1.5, decay=2.0).astype(float) / 255
    field = made[0] * 2.5 / 1.5 - 1 / 1.5  # the definition, solved for the plasma
    assert (made[:3] == made[:1]).all() and (made[3:] == made[3:4]).all()
    assert made[3] == pytest.approx((0.2 + 1.5 * field) * 0.2 / 1.7, abs=0.004)
    assert field.max() <= 1.01 and field.min() >= -0.01
    assert not np.array_equal(made[:1] * 255, weather.fog(clip, rng, density=1.5, decay=2.0)[:1])


def test_plasma_is_smoother_the_more_it_decays(rng: np.random.Generator) -> None:
    for decay in (1.4, 2.0):
        heights = weather.plasma(64, decay=decay, rng=rng)
        assert heights.shape == (64, 64) and heights.min() == 0 and heights.max() == 1
    rough, smooth = (
        np.mean([np.abs(np.diff(weather.plasma(64, decay=decay, rng=rng))).mean() for _ in range(8)])
        for decay in (1.4, 2.0)
    )
    assert rough > 1.3 * smooth


def test_drops_of_rain_fall_by_their_length_and_are_as_many_as_the_table_says(rng: np.random.Generator) -> None:
    streaks = weather.rain_streaks((224, 224), area=770, length=30, rng=rng)
    drops = 224 * 224 // 770
    assert 0.9 * drops * 31 < streaks.sum() <= drops * 31  # some cover others
    clip = grey_clip(40, frames=4, side=224)
    made = weather.rain(clip, rng, area=770, length=30, contrast=1.0)
    wet = made[..., 0].astype(int) > 100
    for before, after in pairwise(wet):
        assert np.array_equal(np.roll(before, 30, axis=0)[40:], after[40:])
    flat = weather.rain(picture_clip(), rng, area=400, length=80, contrast=0.5)  # drops longer than the frame is high
    assert flat.std() < 0.6 * picture_clip().std()


def test_snow_falls_and_whitens(rng: np.random.Generator) -> None:
    one = PROTOCOLS["imagenet_c"].corruptions["snow"]
    made = one.corrupt(grey_clip(60, side=96), severity=3, rng=rng, fps=25.0).astype(int)
    assert (made >= 60).all() and made.max() == 255
    assert np.array_equal(made[0, :-12], made[1, 12:]) and not np.array_equal(made[0, -12:], made[1, :12])
    whiter = 0.7 * 60 + 0.3 * max(60, 60 * 1.5 + 127.5)
    assert made.min() == pytest.approx(whiter, abs=1)  # between the flakes


# ---- color --------------------------------------------------------------------------------------------------------


def test_brightness_and_saturation_are_scikit_images_hsv(rng: np.random.Generator) -> None:
    clip = picture_clip()
    hsv = rgb2hsv(clip / 255)
    for added in (0.1, 0.5):
        brighter = np.stack([hsv[..., 0], hsv[..., 1], np.clip(hsv[..., 2] + added, 0, 1)], axis=-1)
        assert np.abs(color.brightness(clip, rng, added=added) - rounded(hsv2rgb(brighter))).max() <= 1
    for scale, shift in ((0.3, 0.0), (2.0, 0.0), (20.0, 0.2)):
        changed = np.stack([hsv[..., 0], np.clip(hsv[..., 1] * scale + shift, 0, 1), hsv[..., 2]], axis=-1)
        assert np.abs(color.saturate(clip, rng, scale=scale, shift=shift) - rounded(hsv2rgb(changed))).max() <= 1


def test_contrast_is_about_the_mean_of_each_frame_and_channel(rng: np.random.Generator) -> None:
    clip = picture_clip()
    mean = clip.mean(axis=(1, 2), keepdims=True)
    assert np.abs(color.contrast(clip, rng, factor=0.4) - rounded(((clip - mean) * 0.4 + mean) / 255)).max() <= 1


def test_a_flash_lights_a_frame_and_half_as_much_the_next() -> None:
    clip = grey_clip(51, frames=20, side=4)
    made = color.flash(clip, np.random.default_rng(0), fps=25.0, per_second=0.0, strength=0.5)
    levels = made[:, 0, 0, 0].tolist()
    at = levels.index(153)  # 51 + half of 204
    assert levels == [51] * at + [153, 102] + [51] * (18 - at)


# ---- compression --------------------------------------------------------------------------------------------------


def test_jpeg_and_pixels_are_pillows(rng: np.random.Generator) -> None:
    clip = picture_clip()
    for frame, made, coarse in zip(clip, codec.jpeg(clip, rng, quality=10), codec.pixelate(clip, rng, factor=0.4)):
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=10)
        assert np.array_equal(made, np.asarray(Image.open(file)))
        small = Image.fromarray(frame).resize((int(52 * 0.4), int(40 * 0.4)), Image.Resampling.BOX)
        assert np.array_equal(coarse, np.asarray(small.resize((52, 40), Image.Resampling.NEAREST)))


# ---- camera -------------------------------------------------------------------------------------------------------


def test_a_camera_that_is_askew_is_so_in_all_frames() -> None:
    still, rng = np.repeat(picture_clip(), 3, axis=0)[:3], np.random.default_rng(2)
    for made in (camera.translate(still, rng, pixels=16), camera.static_rotate(still, rng, degrees=30)):
        assert (made == made[:1]).all() and not np.array_equal(made, still)
    moved = camera.translate(still, np.random.default_rng(4), pixels=16)
    down, right = np.random.default_rng(4).integers(0, 16, size=2)
    assert down > 0 and right > 0
    assert np.array_equal(moved[:, :-down, :-right], still[:, down:, right:])
    assert not moved[:, -down:].any() and not moved[:, :, -right:].any()
    square = picture_clip(height=40, width=40)
    turned = camera.static_rotate(square, rng, degrees=90)
    assert np.array_equal(turned, np.rot90(square, axes=(1, 2)))
    shaken = camera.rotate(still, rng, degrees=31)
    assert not np.array_equal(shaken[0], shaken[1])


# ---- time ---------------------------------------------------------------------------------------------------------


def test_sampling_holds_frames_so_that_a_clip_keeps_its_length(rng: np.random.Generator) -> None:
    clip = numbered(10)
    assert order(temporal.sampling(clip, rng, every=4)) == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]
    assert order(temporal.reverse_sampling(clip, rng, every=4)) == [8, 8, 4, 4, 4, 4, 0, 0, 0, 0]
    assert order(temporal.sampling(clip, rng, every=32)) == [0] * 10


def test_jumbles_keep_every_frame(rng: np.random.Generator) -> None:
    clip = numbered(20)
    shuffled = order(temporal.jumble(clip, rng, segment=8))
    for start, end in ((0, 8), (8, 16), (16, 20)):
        assert sorted(shuffled[start:end]) == list(range(start, end))
    assert shuffled[:8] != list(range(8))
    boxes = order(temporal.box_jumble(clip, rng, segment=8))
    assert sorted(boxes) == list(range(20)) and boxes != list(range(20))
    steps = np.diff(boxes)
    assert (steps == 1).sum() == 17  # within three segments each frame is followed by its own next


def test_freezing_holds_a_share_of_the_frames(rng: np.random.Generator) -> None:
    clip = numbered(20)
    for kept, least, count in ((0.4, 1, 8), (0.1, 1, 2), (0.05, 2, 2), (0.0, 1, 1)):
        shown = order(temporal.freeze(clip, rng, kept=kept, least=least))
        assert shown == sorted(shown) and len(set(shown)) == count
        assert all(frame <= time or time < shown[0] for time, frame in enumerate(shown))


def test_lost_frames_are_the_one_before(rng: np.random.Generator) -> None:
    clip = numbered(200)
    shown = np.array(order(temporal.frame_drop(clip, rng, share=0.2)))
    assert (shown == np.arange(200)).mean() == pytest.approx(0.8, abs=0.09)
    assert shown[0] == 0 and (np.diff(shown) >= 0).all() and (shown <= np.arange(200)).all()


def test_a_frame_rate_holds_each_frame_until_the_next_one_is_taken(rng: np.random.Generator) -> None:
    clip = numbered(12)
    assert order(temporal.frame_rate(clip, rng, fps=24.0, rate=12)) == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10]
    assert order(temporal.frame_rate(clip, rng, fps=25.0, rate=10)) == [0, 0, 0, 2, 2, 5, 5, 5, 7, 7, 10, 10]
    assert order(temporal.frame_rate(clip, rng, fps=8.0, rate=20)) == list(range(12))


def test_reversal_within_segments_and_of_all(rng: np.random.Generator) -> None:
    clip = numbered(7)
    assert order(temporal.reversal(clip, rng, segment=4)) == [3, 2, 1, 0, 6, 5, 4]
    assert order(VIDEXP.corruptions["reversal"].corrupt(clip, severity=5, rng=rng, fps=25.0)) == [6, 5, 4, 3, 2, 1, 0]


# ---- to be seen ---------------------------------------------------------------------------------------------------


def test_a_contact_sheet_shows_the_middle_frame_and_what_is_shown_when(tmp_path: Path) -> None:
    clip = picture_clip(frames=6, height=88, width=88)
    path = tmp_path / "new" / "sheet.png"
    save_contact_sheet(clip, SCHIAPPA2023, path, fps=25.0, names=["compression", "sampling"], severities=[3, 5])
    sheet = np.asarray(Image.open(path))
    step = CELL + BAND + MARGIN
    assert sheet.shape == (2 * BAND + 2 * step, NAMES + 3 * (CELL + MARGIN), 3)
    cell = sheet[2 * BAND : 2 * BAND + CELL, NAMES + CELL + MARGIN : NAMES + 2 * CELL + MARGIN]
    expected = Image.fromarray(codec.jpeg(clip, np.random.default_rng(0), quality=15)[3])
    assert np.array_equal(cell, np.asarray(expected.resize((CELL, CELL), Image.Resampling.BICUBIC)))
    sampling = SCHIAPPA2023.corruptions["sampling"]
    assert order_of(sampling, 300, severity=1, fps=25.0)[-3:].tolist() == [296, 298, 298]
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]
    assert rng_of(0, 0, "sampling", 1).random() != rng_of(0, 0, "sampling", 2).random()
