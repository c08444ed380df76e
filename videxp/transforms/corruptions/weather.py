"""Weather, drawn once for a clip: fog hangs, rain and snow fall.

Yi et al. 2021 (rain), Hendrycks & Dietterich 2019 (fog, snow). Lengths are in pixels of frames of 224.

Legend: clips are uint8 [T,H,W,C].
"""

import numpy as np

from videxp.transforms.corruptions.blur import enlarged, smear
from videxp.transforms.corruptions.color import scale_contrast
from videxp.transforms.corruptions.corruption import as_float, as_uint8, in_pieces

_DROP = 220 / 255  # how white a drop is
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def fog(clip: np.ndarray, rng: np.random.Generator, *, density: float, decay: float) -> np.ndarray:
    """(x + density f) m / (m + density), f a plasma fractal in [0,1], the same in all frames, and m the frame's
    greatest value."""
    height, width = clip.shape[1:3]
    size = 1 << (max(height, width) - 1).bit_length()
    layer = density * plasma(size, decay=decay, rng=rng)[:height, :width, None]
    return _behind(clip, layer.astype(np.float32), density=np.float32(density))


@in_pieces
def _behind(clip: np.ndarray, layer: np.ndarray, *, density: np.float32) -> np.ndarray:
    values = as_float(clip)
    greatest = values.max(axis=(1, 2, 3), keepdims=True)
    return as_uint8((values + layer) * greatest / (greatest + density))


def plasma(size: int, *, decay: float, rng: np.random.Generator) -> np.ndarray:
    """Heights by the diamond-square algorithm, whose ends meet: float64 [size,size] in [0,1], size a power of two.

    decay: by how much less each halving of the step moves heights. The more, the smoother.
    """
    heights = np.zeros((size, size))
    step, wobble = size, 100.0

    def wobbled(total: np.ndarray) -> np.ndarray:
        return total / 4 + wobble * rng.uniform(-wobble, wobble, total.shape)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        below = corners + np.roll(corners, -1, axis=0)
        heights[half::step, half::step] = middles = wobbled(below + np.roll(below, -1, axis=1))
        heights[::step, half::step] = wobbled(
            middles + np.roll(middles, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
        )
        heights[half::step, ::step] = wobbled(
            middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
        )
        step, wobble = half, wobble / decay
    heights -= heights.min()
    return heights / max(heights.max(), 1e-12)


def rain(clip: np.ndarray, rng: np.random.Generator, *, area: int, length: int, contrast: float) -> np.ndarray:
    """A drop for each `area` pixels, `length` long; then the contrast is multiplied.

    The drops of a clip fall by their own length from frame to frame: what an open shutter sees of one is its way. (In
    the paper's script each frame has drops of its own.)
    """
    streaks = rain_streaks(clip.shape[1:3], area=area, length=length, rng=rng) * np.float32(_DROP)
    return np.stack([_wet(frame, np.roll(streaks, length * time, axis=0), contrast) for time, frame in enumerate(clip)])


def _wet(frame: np.ndarray, mask: np.ndarray, contrast: float) -> np.ndarray:
    """uint8 [H,W,C] behind drops, float [H,W]."""
    values, mask = as_float(frame[None]), mask[None, :, :, None]
    wet = values + mask * (1 - values) * (1 - values.mean())
    wet = mask * _mean_of_neighbors(wet) + (1 - mask) * values
    return as_uint8(scale_contrast(wet, contrast))[0]


def rain_streaks(size: tuple[int, ...], *, area: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [H,W], 1 where a drop is seen: lines that lean a pixel to the left on their way down."""
    height, width = size
    count = height * width // area
    top = rng.integers(0, max(1, height - length), size=count)[:, None]
    left = rng.integers(0, width, size=count)[:, None]
    along = np.arange(length + 1)
    streaks = np.zeros((height, width), dtype=np.float32)
    streaks[(top + along) % height, (left - (2 * along > length)) % width] = 1
    return streaks


def _mean_of_neighbors(values: np.ndarray) -> np.ndarray:
    """3 x 3, mirrored at the border."""
    sides = ((0, 0), (1, 1), (1, 1), (0, 0))
    padded = np.pad(values, sides, mode="reflect" if min(values.shape[1:3]) > 1 else "edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9


def snow(
    clip: np.ndarray,
    rng: np.random.Generator,
    *,
    mean: float,
    sigma: float,
    zoom: float,
    threshold: float,
    radius: int,
    blur: float,
    kept: float,
) -> np.ndarray:
    """Flakes from the enlarged peaks of noise N(mean, sigma), smeared downwards, and again turned round; and the
    picture whiter. The flakes of a clip fall by `radius` pixels from frame to frame."""
    frames, height, width, _ = clip.shape
    starts = radius * np.arange(frames)[::-1]  # of what is seen of a field as high as the flakes fall
    field = rng.normal(mean, sigma, (1, height + starts[0], width, 1)).astype(np.float32)
    flakes = enlarged(field, zoom)
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    angle = float(np.deg2rad(rng.uniform(-135, -45)))
    flakes = smear(flakes, radius=radius, sigma=blur, angle=angle)[0]
    both = flakes + np.rot90(flakes, k=2)
    return np.stack(
        [_snowed(frame, both[start : start + height], kept=kept) for frame, start in zip(clip, starts.tolist())]
    )


def _snowed(frame: np.ndarray, flakes: np.ndarray, *, kept: float) -> np.ndarray:
    """uint8 [H,W,C] with flakes, float [H,W,1]."""
    values = as_float(frame)
    whiter = np.maximum(values, (values * _GREY).sum(axis=-1, keepdims=True) * 1.5 + 0.5)
    return as_uint8(kept * values + (1 - kept) * whiter + flakes)
