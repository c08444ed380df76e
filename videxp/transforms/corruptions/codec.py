"""What compression leaves: of each frame (JPEG, pixelate), and of the clip through a real video encoder.

Hendrycks & Dietterich 2019 (ImageNet-C); Yi et al. 2021. Legend: clips are uint8 [T,H,W,C].
"""

import io

import numpy as np
from PIL import Image

from videxp.video.encoder import bit_rate_at, compress

SOURCE_CRF = 23  # what an ordinary file is taken to be encoded at; x264's own default


def jpeg(clip: np.ndarray, rng: np.random.Generator, *, quality: int) -> np.ndarray:
    """Each frame through JPEG as Pillow writes it, with half the resolution of color."""
    return np.stack([_through_jpeg(frame, quality) for frame in clip])


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, format="JPEG", quality=quality)
    return np.asarray(Image.open(file))


def pixelate(clip: np.ndarray, rng: np.random.Generator, *, factor: float) -> np.ndarray:
    """Each frame `factor` times as large by the mean, and back by the nearest pixel."""
    height, width = clip.shape[1:3]
    small = max(1, int(width * factor)), max(1, int(height * factor))
    made = [Image.fromarray(frame).resize(small, Image.Resampling.BOX) for frame in clip]
    return np.stack([np.asarray(one.resize((width, height), Image.Resampling.NEAREST)) for one in made])


def h264_crf(clip: np.ndarray, rng: np.random.Generator, *, fps: float, crf: int) -> np.ndarray:
    """Through x264 at a constant rate factor."""
    return compress(clip, codec="libx264", crf=crf, fps=fps)


def h265_crf(clip: np.ndarray, rng: np.random.Generator, *, fps: float, crf: int) -> np.ndarray:
    """Through x265 at a constant rate factor."""
    return compress(clip, codec="libx265", crf=crf, fps=fps)


def h264_abr(clip: np.ndarray, rng: np.random.Generator, *, fps: float, divided_by: int) -> np.ndarray:
    """Through x264 at a part of the bit rate that the clip has at `SOURCE_CRF`.

    Yi et al. divide their files' own; frames that have been read, cut and resized have none.
    """
    return _at_part_of_rate(clip, codec="libx264", fps=fps, divided_by=divided_by)


def h265_abr(clip: np.ndarray, rng: np.random.Generator, *, fps: float, divided_by: int) -> np.ndarray:
    """The same through x265: a part of what H.264 takes."""
    return _at_part_of_rate(clip, codec="libx265", fps=fps, divided_by=divided_by)


def _at_part_of_rate(clip: np.ndarray, *, codec: str, fps: float, divided_by: int) -> np.ndarray:
    bit_rate = max(1000, bit_rate_at(clip, crf=SOURCE_CRF, fps=fps) // divided_by)
    return compress(clip, codec=codec, bit_rate=bit_rate, peak_bit_rate=bit_rate, fps=fps)
