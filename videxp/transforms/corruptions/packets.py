"""What a network does to a clip that is sent over it as H.264: lost packets, flipped bits (`video/transmission.py`).

FFmpeg's `noise` filter damages a share of the bytes, so a small file stays whole where a large one is destroyed. Here
the damage is stated for each second of video. Legend: clips are uint8 [T,H,W,C].
"""

import numpy as np

from videxp.transforms.corruptions.codec import SOURCE_CRF
from videxp.video.transmission import flip_bits, lose, receive, send


def hits(rng: np.random.Generator, *, per_second: float, seconds: float) -> int:
    """How often a clip of so many seconds is hit: a Poisson number, whatever the clip's size in pixels or bytes."""
    return int(rng.poisson(per_second * seconds))


def packet_loss(clip: np.ndarray, rng: np.random.Generator, *, fps: float, per_second: float) -> np.ndarray:
    """Packets are lost. per_second: how many are to be expected for each second of video."""
    sent = send(clip, fps=fps, crf=SOURCE_CRF)
    return receive(lose(sent, rng, count=hits(rng, per_second=per_second, seconds=len(clip) / fps)))


def bit_errors(clip: np.ndarray, rng: np.random.Generator, *, fps: float, per_second: float) -> np.ndarray:
    """Bits are flipped. per_second: how many are to be expected for each second of video."""
    sent = send(clip, fps=fps, crf=SOURCE_CRF)
    return receive(flip_bits(sent, rng, count=hits(rng, per_second=per_second, seconds=len(clip) / fps)))


def noise_filter(clip: np.ndarray, rng: np.random.Generator, *, fps: float, amount: int) -> np.ndarray:
    """As FFmpeg's `noise` filter: one byte in `amount` is hit: in small clips seldom any."""
    sent = send(clip, fps=fps, crf=SOURCE_CRF)
    return receive(flip_bits(sent, rng, count=int(rng.poisson(sent.num_bytes / amount))))
