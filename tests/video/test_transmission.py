"""A clip over a network: what is lost, what is flipped, and what a real decoder makes of the rest."""

from dataclasses import replace

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from tests.transforms.corruption_psnr import psnr
from tests.video.stock_encoding import as_stock_encodes
from videxp.transforms.corruptions.packets import bit_errors, hits, packet_loss
from videxp.video.transmission import SLICE_BYTES, Slice, flip_bits, lose, receive, send

FPS = 24.0


def film(*, frames: int = 12, side: int = 48) -> np.ndarray:
    """A texture that moves, with noise that no frame shares with another."""
    rng = np.random.default_rng(1)
    t, y, x = np.mgrid[:frames, :side, :side]
    waves = 120 + 60 * np.sin((x + 3 * t) / 5) + 30 * np.cos(y / 3 + t / 2)
    return np.clip(waves[..., None] + rng.normal(0, 12, (frames, side, side, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_what_arrives_whole_is_the_encoded_clip_frame_by_frame() -> None:
    clip = film(side=47)
    sent = send(clip, fps=FPS)
    seen = receive(sent)
    assert seen.shape == clip.shape and 24 < psnr(seen, clip) < 40
    assert all(np.argmax([psnr(frame, other) for other in clip]) == number for number, frame in enumerate(seen))
    assert [one.number for one in sent.slices] != sorted(one.number for one in sent.slices)  # B-frames


def test_packets_fit_into_a_network_s() -> None:
    sent = send(film(side=128), fps=FPS)
    sizes = [len(one.data) for one in sent.slices]
    assert max(sizes) <= SLICE_BYTES and len(sizes) > 12 and sum(sizes) == sent.num_bytes


def test_as_many_packets_are_lost_as_asked_for(rng: np.random.Generator) -> None:
    sent = send(film(side=128), fps=FPS)
    arrived = lose(sent, rng, count=5)
    assert len(arrived.slices) == len(sent.slices) - 5 and set(arrived.slices) <= set(sent.slices)
    assert not lose(sent, rng, count=10_000).slices


def test_as_many_bits_are_flipped_as_asked_for_wherever_they_lie(rng: np.random.Generator) -> None:
    sent = send(film(), fps=FPS)
    before = np.frombuffer(b"".join(one.data for one in sent.slices), np.uint8)
    places = []
    for _ in range(300):
        flipped = flip_bits(sent, rng, count=4)
        changed = before ^ np.frombuffer(b"".join(one.data for one in flipped.slices), np.uint8)
        assert np.unpackbits(changed).sum() in (2, 4)  # 2: one bit was hit twice
        places += np.flatnonzero(changed).tolist()
    counts, _ = np.histogram(places, bins=4, range=(0, len(before)))
    assert counts / len(places) == pytest.approx([0.25] * 4, abs=0.05)


def test_a_lost_frame_to_which_none_refers_costs_itself_alone() -> None:
    sent = send(film(), fps=FPS)
    whole = receive(sent)
    last = sent.slices[-1].number  # in decoding order
    damaged = receive(replace(sent, slices=sent.slices[:-1]))
    differing = [number for number in range(12) if not np.array_equal(damaged[number], whole[number])]
    assert differing == [last]
    assert np.array_equal(damaged[last], damaged[last - 1])


def test_a_clip_of_which_nothing_arrives_is_black(rng: np.random.Generator) -> None:
    sent = lose(send(film(), fps=FPS), rng, count=1000)
    assert receive(sent).shape == (12, 48, 48, 3) and not receive(sent).any()


def test_frames_of_another_size_which_damage_can_say_are_not_shown() -> None:
    """A flipped bit makes a parameter set of a slice: here the frames become higher, and narrower."""
    clip = film()
    other = send(film(side=96)[:, :, :32], fps=FPS)
    sets = Slice(other.slices[0].number, other.parameter_sets.removeprefix(b"\0\0\0\1"))
    seen = receive(replace(send(clip, fps=FPS), slices=(sets, *other.slices)))
    assert seen.shape == clip.shape and not seen.any()


def test_damage_comes_out_the_same_each_time() -> None:
    """A decoder that conceals errors must not do so with whatever lies in its memory."""
    sent = send(film(), fps=FPS)
    for damage in (lose, flip_bits):
        for seed in range(4):
            damaged = damage(sent, np.random.default_rng(seed), count=3)
            first = receive(damaged)
            scattered = [np.random.default_rng(seed).random(9000 * i + 1) for i in range(30)]
            assert np.array_equal(receive(damaged), first) and scattered


def bytes_hit_by_ffmpeg(clip: np.ndarray, *, amount: int) -> int:
    """How many bytes FFmpeg's `noise` filter changes of a clip's H.264."""
    with av.open(as_stock_encodes(clip, rate=24, crf="23")) as source:
        noise, hit = BitStreamFilterContext(f"noise=amount={amount}", source.streams.video[0]), 0
        for packet in source.demux(video=0):
            if not packet.size:
                continue
            clean = np.frombuffer(bytes(packet), np.uint8)
            for damaged in noise.filter(packet):
                hit += int((np.frombuffer(bytes(damaged), np.uint8) != clean).sum())
        return hit


@pytest.mark.slow
def test_damage_is_stated_for_a_second_of_video_and_not_for_a_file_s_size(rng: np.random.Generator) -> None:
    """FFmpeg's filter counts bytes: at the amounts of a published benchmark a small clip stays whole, and one of
    the same length, but larger, is hit."""
    small, large = film(side=48), film(side=256)
    assert [bytes_hit_by_ffmpeg(small, amount=amount) for amount in (100_000, 10_000)] == [0, 0]
    assert bytes_hit_by_ffmpeg(large, amount=10_000) >= 3
    assert np.mean([hits(rng, per_second=4, seconds=0.5) for _ in range(2000)]) == pytest.approx(2, abs=0.1)
    larger = film(side=80)
    for corrupt in (packet_loss, bit_errors):
        for seed in range(6):
            is_hit = hits(np.random.default_rng(seed), per_second=2, seconds=0.5) > 0
            changed = [
                not np.array_equal(
                    corrupt(clip, np.random.default_rng(seed), fps=FPS, per_second=2), receive(send(clip, fps=FPS))
                )
                for clip in (small, larger)
            ]
            assert changed == [is_hit, is_hit], (corrupt, seed)
