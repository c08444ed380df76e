"""Long videos go by windows: every frame counts once, with its surroundings, and few are held."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.films import moving_bar
from videxp.core.windows import answer_frames, padded_windows, read_ahead, windows


def test_windows_overlap_and_the_last_is_as_long_as_the_others():
    found = [(items, list(places)) for items, places in windows(range(9), length=5, overlap=1)]
    assert found == [([0, 1, 2, 3, 4], [0, 1, 2, 3]), ([3, 4, 5, 6, 7], [1, 2, 3]), ([4, 5, 6, 7, 8], [3, 4])]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 6, 7, 8, 30])
@pytest.mark.parametrize(("length", "overlap"), [(1, 0), (4, 0), (5, 1), (5, 2), (8, 3)])
def test_every_item_counts_once_in_order_and_has_its_surroundings(count: int, length: int, overlap: int):
    counted = []
    for items, places in windows(iter(range(count)), length=length, overlap=overlap):
        assert len(items) == min(length, count)
        for place in places:
            counted.append(items[place])
            assert min(items[place], place) >= min(items[place], overlap)  # enough before it, or the video begins
            assert len(items) - 1 - place >= min(overlap, count - 1 - items[place])
    assert counted == list(range(count))


def test_windows_hold_no_more_than_their_length():
    """The stock way, a list of all frames, grows with the video."""
    read = 0

    def frames():
        nonlocal read
        while read < 1000:
            read += 1
            yield read

    for number, (items, _) in enumerate(windows(frames(), length=10, overlap=2)):
        assert read <= 11 + 6 * number
        assert len(items) == 10


def test_padded_windows_begin_evenly_apart_and_repeat_the_ends():
    found = [(items, list(places)) for items, places in padded_windows(range(4), length=5, margin=1)]
    assert found == [([0, 0, 1, 2, 3], [1, 2, 3]), ([2, 3, 3, 3, 3], [1])]


def public_windows(frames: np.ndarray) -> np.ndarray:
    """The windows of `predict_frames` in soCzech/TransNetV2: of the whole video, padded in memory."""
    after = 25 + 50 - (len(frames) % 50 if len(frames) % 50 else 50)
    padded = np.concatenate([frames[:1].repeat(25, 0), frames, frames[-1:].repeat(after, 0)])
    return np.stack([padded[start : start + 100] for start in range(0, len(padded) - 99, 50)])


@pytest.mark.parametrize("count", [1, 24, 25, 26, 49, 50, 51, 74, 75, 76, 99, 100, 101, 125, 150, 151, 333])
def test_padded_windows_are_those_of_the_public_shot_detectors(count: int):
    found = list(padded_windows(iter(range(count)), length=100, margin=25))
    assert np.array_equal(public_windows(np.arange(count)), [items for items, _ in found])
    assert [items[place] for items, places in found for place in places] == list(range(count))


def test_there_are_no_windows_of_nothing():
    assert list(padded_windows([], length=8, margin=2)) == list(padded_windows([], length=8, margin=0)) == []


@pytest.mark.parametrize("windows_at_once", [1, 3])
@pytest.mark.parametrize("count", [1, 7, 60])
def test_frames_are_answered_as_though_all_windows_were_there_at_once(count: int, windows_at_once: int):
    frames = torch.from_numpy(moving_bar(num_frames=count))
    calls = []

    def answer(clips_NTHWC: torch.Tensor) -> torch.Tensor:
        """Depends on the whole window: each frame's mean, and the window's."""
        calls.append(len(clips_NTHWC))
        means_NT = clips_NTHWC.float().mean((2, 3, 4))
        return torch.stack([means_NT, means_NT.mean(1, keepdim=True).expand_as(means_NT)], dim=-1)

    found = torch.stack(list(answer_frames(answer, iter(frames), length=8, margin=2, windows_at_once=windows_at_once)))
    hops = -(-count // 4)
    padded = torch.cat([frames[:1].expand(2, -1, -1, -1), frames, frames[-1:].expand(6, -1, -1, -1)])
    whole = answer(torch.stack([padded[4 * i : 4 * i + 8] for i in range(hops)]))[:, 2:6].flatten(0, 1)[:count]
    torch.testing.assert_close(found, whole)
    assert max(calls[:-1]) <= windows_at_once and sum(calls[:-1]) == hops


def test_answers_come_before_the_video_has_ended_and_few_frames_are_held():
    """The stock way, as of `predict_frames`, is given the whole video at once."""
    read = 0

    def frames() -> Iterator[torch.Tensor]:
        nonlocal read
        while read < 1000:
            read += 1
            yield torch.tensor([read])

    for number, answered in enumerate(answer_frames(lambda clips: clips, frames(), length=20, margin=5)):
        assert answered.item() == number + 1
        assert read <= number + 20
    assert number == 999


def test_items_are_read_ahead_by_another_thread_not_without_end_and_its_errors_arrive():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(25):
            assert threading.current_thread() is not threading.main_thread()
            taken.append(number)
            yield number
        raise ValueError("damaged")

    ahead = read_ahead(items(), count=4)
    assert not taken  # nothing is opened before it is needed
    assert next(ahead) == 0
    end = time.monotonic() + 60
    while len(taken) < 8 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)  # it could read on
    assert taken == list(range(8))
    assert [next(ahead) for _ in range(23)] == list(range(1, 24))
    with pytest.raises(ValueError, match="damaged"):
        list(ahead)
    assert list(read_ahead(range(9), count=3)) == list(range(9))
