"""The degradation of real footage: blur, resize, noise, JPEG and video compression, twice (RealBasicVSR, 2022).

It runs in the data worker, on the CPU, one clip at a time, since JPEG and video encoders do. What it draws varies from
clip to clip, and by small steps from frame to frame. Defaults are those of the paper's released configuration.

Legend: T frames, H, W pixels, C = 3. Between steps a clip is a list of frames, float32 [H,W,C] about [0,255], as their
sizes may differ; each step is called with them and a numpy generator.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.transforms.blur_kernels import blur_kernel
from videxp.transforms.frame_damage import (
    MODES,
    Frames,
    Range,
    as_uint8,
    chosen,
    filtered,
    gaussian_noise,
    one_thread,
    poisson_noise,
    resized,
    through_jpeg,
    walk,
)
from videxp.video import compress

Share = Annotated[float, Interval(ge=0, le=1)]
THIRDS = {"bilinear": 1.0, "area": 1.0, "bicubic": 1.0}
KIND_WEIGHTS = {
    **{"iso": 0.405, "aniso": 0.225, "generalized_iso": 0.108, "generalized_aniso": 0.027},
    **{"plateau_iso": 0.108, "plateau_aniso": 0.027, "sinc": 0.1},
}


class RealWorld:
    """uint8 [T,H,W,C] and a generator -> uint8 [T,H/scale,W/scale,C].

    steps: in their order. Then, in random order: `compression`; and `resize` to the final size with `blur` after it.
    """

    def __init__(
        self, *, scale: Annotated[int, Ge(1)] = 4, steps: Sequence[Any], compression: Any, resize: Any, blur: Any
    ) -> None:
        self.scale = scale
        self.steps = list(steps)
        self.compression = compression
        self.resize = resize
        self.blur = blur

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Raises ValueError if scale does not divide H and W."""
        with one_thread():
            return self._degraded(clip, rng)

    def _degraded(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = clip.shape[1:3]
        if height % self.scale or width % self.scale:
            raise ValueError(f"frames of {width}x{height} cannot be made {self.scale} times smaller")
        frames = list(clip.astype(np.float32))
        for step in self.steps:
            frames = step(frames, rng)
        if compress_first := rng.random() < 0.5:
            frames = self.compression(frames, rng)
        frames = self.resize.to(frames, (height // self.scale, width // self.scale), rng)
        frames = self.blur(frames, rng)
        return as_uint8(frames if compress_first else self.compression(frames, rng))


class Blur:
    """A kernel of a random kind and size for each clip; its parameters walk from frame to frame.

    kinds: kind -> weight; see `blur_kernels.py`. omega: None: from pi/3 (pi/5 from 13 pixels on) to pi. Angles and
    omegas in radians, sigmas in pixels.
    """

    def __init__(
        self,
        *,
        probability: Share = 1.0,
        kinds: Mapping[str, float] = KIND_WEIGHTS,
        kernel_sizes: Sequence[int] = (7, 9, 11, 13, 15, 17, 19, 21),
        sigma_x: Range = (0.2, 3.0),
        sigma_y: Range = (0.2, 3.0),
        angle: Range = (-3.1416, 3.1416),
        beta_gaussian: Range = (0.5, 4.0),
        beta_plateau: Range = (1.0, 2.0),
        omega: Range | None = None,
        sigma_step: Annotated[float, Ge(0)] = 0.02,
        angle_step: Annotated[float, Ge(0)] = 0.31416,
        beta_gaussian_step: Annotated[float, Ge(0)] = 0.05,
        beta_plateau_step: Annotated[float, Ge(0)] = 0.1,
        omega_step: Annotated[float, Ge(0)] = 0.0628,
    ) -> None:
        if even := [size for size in kernel_sizes if size % 2 == 0]:
            raise BadRequest(f"blur: kernel_sizes has {even[0]}: they are odd")
        self.probability = probability
        self.kinds = dict(kinds)
        self.kernel_sizes = list(kernel_sizes)
        self.walks = {
            "sigma_x": (sigma_x, sigma_step),
            "sigma_y": (sigma_y, sigma_step),
            "angle": (angle, angle_step),
            "beta_gaussian": (beta_gaussian, beta_gaussian_step),
            "beta_plateau": (beta_plateau, beta_plateau_step),
        }
        self.omega = omega
        self.omega_step = omega_step

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        if rng.random() >= self.probability:
            return frames
        kind, size = chosen(self.kinds, rng), int(rng.choice(self.kernel_sizes))
        omega = self.omega or (np.pi / (3 if size < 13 else 5), np.pi)
        walks = {**self.walks, "omega": (omega, self.omega_step)}
        paths = {name: walk(*limits, len(frames), rng) for name, limits in walks.items()}
        beta = paths["beta_plateau" if kind.startswith("plateau") else "beta_gaussian"]
        named = {name: paths[name] for name in ("sigma_x", "sigma_y", "angle", "omega")} | {"beta": beta}
        return [
            filtered(frame, blur_kernel(kind, size, **{name: path[t] for name, path in named.items()}))
            for t, frame in enumerate(frames)
        ]


class Resize:
    """Up, down or not at all (weights `up_down_keep`), by a factor within `scale`, which walks from frame to frame.

    Without antialiasing, as careless software does it. modes: bilinear, bicubic, area -> weight. Sizes are even.
    """

    def __init__(
        self,
        *,
        up_down_keep: Sequence[float] = (0.2, 0.7, 0.1),
        scale: Range = (0.15, 1.5),
        scale_step: Annotated[float, Ge(0)] = 0.015,
        modes: Mapping[str, float] = THIRDS,
    ) -> None:
        if unknown := set(modes) - set(MODES):
            raise BadRequest(f"resize: unknown mode {min(unknown)!r}: one of {', '.join(MODES)}")
        self.directions = dict(zip(("up", "down", "keep"), up_down_keep, strict=True))
        self.scale = scale
        self.scale_step = scale_step
        self.modes = dict(modes)

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        mode, direction = chosen(self.modes, rng), chosen(self.directions, rng)
        low, high = {"up": (1.0, self.scale[1]), "down": (self.scale[0], 1.0), "keep": (1.0, 1.0)}[direction]
        factors = walk(self.scale, self.scale_step, len(frames), rng, start=rng.uniform(low, high))
        sizes = [[max(2, 2 * int(side * factor / 2)) for side in frames[0].shape[:2]] for factor in factors]
        return [resized(frame, (height, width), mode) for frame, (height, width) in zip(frames, sizes)]

    def to(self, frames: Frames, size: tuple[int, int], rng: np.random.Generator) -> Frames:
        """All frames to one size, in a mode drawn from the same."""
        mode = chosen(self.modes, rng)
        return [resized(frame, size, mode) for frame in frames]


class Noise:
    """Gaussian (sigma in levels of 255) or Poisson (its strength, 1 as photons of that brightness would have it)."""

    def __init__(
        self,
        *,
        gaussian_share: Share = 0.5,
        gaussian_sigma: Range = (1.0, 30.0),
        gaussian_sigma_step: Annotated[float, Ge(0)] = 0.1,
        poisson_scale: Range = (0.05, 3.0),
        poisson_scale_step: Annotated[float, Ge(0)] = 0.005,
        grey_probability: Share = 0.4,
    ) -> None:
        self.gaussian_share = gaussian_share
        self.gaussian = (gaussian_sigma, gaussian_sigma_step)
        self.poisson = (poisson_scale, poisson_scale_step)
        self.grey_probability = grey_probability

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        gaussian, grey = rng.random() < self.gaussian_share, rng.random() < self.grey_probability
        strengths = walk(*(self.gaussian if gaussian else self.poisson), len(frames), rng)
        noise = gaussian_noise if gaussian else poisson_noise
        return [frame + strength * noise(frame, rng, grey=grey) for frame, strength in zip(frames, strengths)]


class Jpeg:
    """Each frame through JPEG; the quality walks from frame to frame."""

    def __init__(self, *, quality: Range = (30, 95), quality_step: Annotated[float, Ge(0)] = 3) -> None:
        self.quality = quality
        self.quality_step = quality_step

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        qualities = walk(self.quality, self.quality_step, len(frames), rng)
        return [through_jpeg(frame, quality=round(quality)) for frame, quality in zip(frames, qualities)]


class VideoCompression:
    """The clip through a real encoder, at a bit rate (per second, at one frame per second) for each clip.

    codecs: encoder -> weight (the paper's third one, "h264", is libx264, too). All frames get the first one's size.
    """

    def __init__(
        self, *, codecs: Mapping[str, float] | None = None, bit_rate: Sequence[int] = (10_000, 100_000)
    ) -> None:
        self.codecs = dict(codecs or {"libx264": 2.0, "mpeg4": 1.0})
        self.bit_rate = bit_rate

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        codec = chosen(self.codecs, rng)
        bit_rate = int(rng.integers(int(self.bit_rate[0]), int(self.bit_rate[1]) + 1))
        size = frames[0].shape[:2]
        even = as_uint8([resized(frame, size, "bilinear") for frame in frames])
        return list(compress(even, codec=codec, bit_rate=bit_rate, fps=1).astype(np.float32))
