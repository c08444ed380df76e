"""Long videos in windows of frames, in constant memory, and the answers put together again.

Windows reach over their neighbors, so that every frame that counts has its surroundings.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


def windows(items: Iterable[Item], *, length: int, overlap: int) -> Iterator[tuple[list[Item], range]]:
    """(a window of items, which of its places count), such that every item counts once and none is kept for longer.

    length=5, overlap=1, 9 items -> [0 1 2 3 4] for 0-3, [3 4 5 6 7] for 4-6, [4 5 6 7 8] for 7-8: all equally long.
    """
    held: deque[Item] = deque(maxlen=length)
    waiting = 0  # the last of those held, which no window has counted yet
    for item in items:
        if len(held) == length and waiting >= length - overlap:  # more are coming, so the last ones can wait
            yield list(held), range(length - waiting, length - overlap)
            waiting = overlap
        held.append(item)
        waiting += 1
        if not overlap and waiting == length:  # nothing that comes is of any use to them
            yield list(held), range(length)
            waiting = 0
    if waiting:
        yield list(held), range(len(held) - waiting, len(held))


def padded_windows(items: Iterable[Item], *, length: int, margin: int) -> Iterator[tuple[list[Item], range]]:
    """The same with windows that all begin `length - 2 * margin` items apart and count but for a margin at either end;
    the first item is repeated before the video, the last one after it.

    length=5, margin=1, 4 items -> [0 0 1 2 3] for 0-2, [2 3 3 3 3] for 3.
    """
    hop = length - 2 * margin
    held: list[Item] = []
    for item in items:
        held = held or [item] * margin
        held.append(item)
        if len(held) == length:
            yield held, range(margin, margin + hop)
            held = held[hop:]
    while len(held) > margin:
        yield held + held[-1:] * (length - len(held)), range(margin, min(margin + hop, len(held)))
        held = held[hop:]


def windows_of_each(items: Iterable[Item], *, length: int, place: int) -> Iterator[list[Item]]:
    """A window for each item, in which it stands at `place`; the first item is repeated before the video, the last one
    after it.

    length=3, place=2, 3 items -> [0 0 0] [0 0 1] [0 1 2]
    """
    held: deque[Item] = deque(maxlen=length)
    for item in items:
        if not held:
            held.extend([item] * place)
        held.append(item)
        if len(held) == length:
            yield list(held)
    for _ in range(length - 1 - place if held else 0):
        held.append(held[-1])
        if len(held) == length:
            yield list(held)


def read_ahead(items: Iterable[Item], *, count: int) -> Iterator[Item]:
    """The same items, taken by another thread up to `2 * count` ahead; it raises what they raise."""
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(lambda: list(islice(source, count)))
        while group := coming.result():
            coming = pool.submit(lambda: list(islice(source, count)))
            yield from group


def answer_frames(
    answer: Callable[[Tensor], Tensor],
    frames: Iterable[Tensor],
    *,
    length: int,
    margin: int,
    windows_at_once: int = 1,
) -> Iterator[Tensor]:
    """An answer to each frame of a video of any length, by `padded_windows`; at most `windows_at_once` are held.

    answer: [N,length,...], the windows' frames, N <= windows_at_once -> [N,length,...].
    """
    cut = padded_windows(frames, length=length, margin=margin)
    while group := list(islice(cut, windows_at_once)):
        answers = answer(torch.stack([torch.stack(window) for window, _ in group]))
        for of_window, (_, places) in zip(answers, group, strict=True):
            yield from of_window[places.start : places.stop]
