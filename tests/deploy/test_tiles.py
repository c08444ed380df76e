from itertools import pairwise

import pytest
import torch

from videxp.deploy.tiles import joined, spans, windows


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


@pytest.mark.parametrize(
    ("length", "size", "overlap"), [(600, 256, 16), (100, 64, 8), (65, 64, 4), (50, 7, 3), (9, 4, 0)]
)
def test_tiles_cover_everything_and_neighbours_share_twice_the_overlap(length: int, size: int, overlap: int):
    places = spans(length, size=size, overlap=overlap)
    assert places[0][0] == 0 and places[-1][1] == length
    assert all(end - start <= size for start, end in places)
    assert all(a_end - b_start >= 2 * overlap for (_, a_end), (b_start, _) in pairwise(places))


def test_tiles_start_on_the_grid_of_networks_that_halve_sizes():
    assert spans(600, size=256, overlap=16) == [(0, 256), (224, 480), (448, 600)]
    assert {start % 8 for start, _ in spans(1000, size=100, overlap=7)} == {0}
    assert spans(200, size=256, overlap=16) == [(0, 200)]


def test_what_agrees_is_joined_unchanged_and_what_differs_without_an_edge():
    picture = torch.randint(0, 256, (2, 5, 60, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    places = [(0, 30), (18, 48), (36, 60)]
    same = joined((picture[:, :, a:b] for a, b in places), places, axis=2, fade=6)
    assert torch.equal(same, picture)
    values = [torch.full((1, 1, b - a, 1), 100 * i, dtype=torch.uint8) for i, (a, b) in enumerate(places)]
    cut = joined(values, places, axis=2, fade=0).flatten().int()
    faded = joined(values, places, axis=2, fade=10).flatten().int()
    assert cut.diff().max() == 100  # the negative control: a visible edge
    assert faded.diff().max() == 10 and faded.diff().min() == 0
    assert (faded[0], faded[-1]) == (0, 200)
