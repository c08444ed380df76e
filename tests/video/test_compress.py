"""What compression leaves of frames: the same number, size and order, by a real encoder, in memory."""

import numpy as np
import pytest

from videxp.core.errors import BadRequest, VidexpError
from videxp.video import compress


def moving_square(height: int, width: int, *, num_frames: int = 5) -> np.ndarray:
    frames = np.full((num_frames, height, width, 3), 60, np.uint8)
    for t in range(num_frames):
        frames[t, 8:16, 4 * t : 4 * t + 8] = (220, 120, 40)
    return frames


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libvpx"])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (31, 47)])
def test_frames_come_back_in_order_and_size(codec: str, height: int, width: int) -> None:
    frames = moving_square(height, width)
    out = compress(frames, codec=codec, bit_rate=400_000)
    assert out.shape == frames.shape and out.dtype == np.uint8
    assert np.abs(out.astype(int) - frames).mean() < 6
    assert all(abs(int((picture[12, :, 0] > 140).argmax()) - 4 * t) <= 1 for t, picture in enumerate(out))
    assert np.array_equal(out, compress(frames, codec=codec, bit_rate=400_000))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_fewer_bits_lose_more(codec: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8)
    much, little = (compress(frames, codec=codec, bit_rate=bits, fps=1).astype(int) for bits in (100_000, 1_000))
    assert 0 < np.abs(much - frames).mean() < np.abs(little - frames).mean()


def test_an_unknown_codec_and_a_rate_that_it_refuses_are_named() -> None:
    frames = moving_square(32, 48)
    with pytest.raises(VidexpError, match="codec 'libx264' with bit_rate=90"):
        compress(frames, codec="libx264", bit_rate=90)
    with pytest.raises(BadRequest, match="codec 'nonesuch' cannot be written here"):
        compress(frames, codec="nonesuch", bit_rate=1000)
