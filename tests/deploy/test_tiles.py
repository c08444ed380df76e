from itertools import pairwise

import pytest
import torch

from videxp.deploy.tiles import joined, spans


@pytest.mark.parametrize(
    ("length", "size", "overlap"), [(600, 256, 16), (100, 64, 8), (65, 64, 4), (50, 7, 3), (9, 4, 0)]
)
def test_tiles_cover_everything_and_neighbors_share_twice_the_overlap(length: int, size: int, overlap: int):
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
