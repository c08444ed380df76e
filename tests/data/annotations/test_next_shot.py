"""Training clips made of two shots: what is read, where, and that it depends on (seed, epoch, index) alone."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.annotations.layout import Stated
from tests.films import module
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass
from videxp.data.annotations.next_shot import NextShot
from videxp.data.annotations.transitions import Transitions, targets
from videxp.data.loading.clips import ClipChoice
from videxp.data.loading.dataset import ClipDataset
from videxp.data.manifest import Split
from videxp.video import write_video

LENGTHS = {"train/shots/a.mkv": 40, "train/shots/b.mkv": 30, "train/shots/c.mkv": 12, "val/shots/d.mkv": 40}
T = 16


def level(film: int, frame: int) -> int:
    """The gray of a frame, which tells both."""
    return 60 * film + frame


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shots")
    for film, (path, length) in enumerate(LENGTHS.items()):
        file = place / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        frames = np.array([level(film, frame) for frame in range(length)], dtype=np.uint8)
        clip_THWC = np.broadcast_to(frames[:, None, None, None], (length, 8, 8, 3))
        write_video(file, np.ascontiguousarray(clip_THWC), fps=10.0, codec="ffv1", pixel_format="bgr0")
    return place


def dataset(place: Path, texts: dict[str, str] | None = None, *, split: Split = "train", **changes: Any) -> ClipDataset:
    layout = Stated(Transitions(), {"": "", **(texts or {})}) if texts else FolderPerClass()
    data = module(place, layout, num_frames=T, short="clamp")
    data.prepare()
    choice = ClipChoice(T, short="clamp", clips=None if split == "train" else 1)
    annotations = [NextShot(**{"min_frames": 1, **changes})]
    return ClipDataset(data.manifest, split=split, choice=choice, seed=5, annotations=annotations)


def rows_of(sample: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: value[0] for name, value in sample["next_shot"].rows.items()}


def films_and_frames(clip_THWC: torch.Tensor) -> list[tuple[int, int]]:
    grays = clip_THWC[:, 0, 0, 0].tolist()
    return [(gray // 60, gray % 60) for gray in grays]


@pytest.mark.slow
@pytest.mark.parametrize("hard_cuts", [0.0, 0.5, 1.0])
def test_each_frame_has_the_shots_that_its_shares_say_and_the_target_says_where_they_meet(
    place: Path, hard_cuts: float
):
    shots, kinds, boundaries = dataset(place, hard_cuts=hard_cuts, mixed_frames=(2, 6)), set(), set()
    for epoch in range(40):
        for index in range(len(shots)):
            rows = rows_of(shots[epoch, index])
            first, following = films_and_frames(rows["first"]), films_and_frames(rows["following"])
            of_first, of_following = rows["shares"].tolist()
            assert {film for film, _ in first} == {index} and len({film for film, _ in following} - {index}) == 1
            mixed = [t for t in range(T) if 0 < of_first[t] < 1]
            boundary = max((t for t in range(T) if of_first[t] >= of_following[t]), default=0)
            kinds.add(len(mixed))
            boundaries.add(int(rows["target"][:, 0].argmax()))
            assert rows["target"][:, 1].nonzero().flatten().tolist() == (mixed or [boundary])
            moving = [t for t in range(1, T) if of_first[t] > 0]
            assert all(first[t][1] == first[t - 1][1] + 1 for t in moving), "the first shot moves as long as it is seen"
            seen = [t for t in range(T) if of_following[t] > 0]
            length = len(range(40 if following[0][0] == 0 else 30 if following[0][0] == 1 else 12))
            if len(seen) <= length:
                assert all(following[b][1] == following[a][1] + 1 for a, b in itertools.pairwise(seen))
    assert (0 in kinds) == (hard_cuts > 0) and (kinds != {0}) == (hard_cuts < 1)
    assert len(boundaries) > T - 3


def test_a_sample_is_a_function_of_seed_epoch_and_index(place: Path):
    def read(order: list[tuple[int, int]], **changes: Any) -> dict[tuple[int, int], dict[str, torch.Tensor]]:
        shots = dataset(place, **changes)
        return {key: rows_of(shots[key]) for key in order}

    keys = [(epoch, index) for epoch in range(3) for index in range(3)]
    once, backwards, other = read(keys), read(keys[::-1]), read(keys, seed=1)
    assert all(torch.equal(once[key][name], backwards[key][name]) for key in keys for name in once[key])
    assert any(not torch.equal(once[key]["target"], other[key]["target"]) for key in keys)


@pytest.mark.slow
def test_a_films_own_shots_are_joined_and_its_transitions_are_not_taken_for_shots(place: Path):
    """Film a has a cut after frame 19: no clip that is made of it shows frames from both sides but in `real` ones."""
    stated = dict.fromkeys(LENGTHS, "none") | {"train/shots/a.mkv": Transitions.pack([(19, 20)])}
    made = dataset(place, stated, real=0.0)
    for epoch in range(30):
        for index in range(len(made)):
            rows = rows_of(made[epoch, index])
            for name in ("first", "following"):
                frames = {frame for film, frame in films_and_frames(rows[name]) if film == 0}
                assert not ({19, 20} <= frames)
    real = dataset(place, stated, real=1.0)
    for epoch in range(30):
        rows = rows_of(real[epoch, 0])
        shown = films_and_frames(rows["following"])
        assert {film for film, _ in shown} == {0} and rows["shares"][1, 1:].sum() + rows["shares"][0, 1:].sum() == T - 1
        cut = [frame for _, frame in shown].index(19)
        assert rows["target"].tolist() == targets([(cut, cut + 1)], num_frames=T).tolist()


def test_a_film_that_is_evaluated_is_left_whole_where_its_transitions_are_stated(place: Path):
    stated = dict.fromkeys(LENGTHS, "none")
    assert "next_shot" not in dataset(place, stated, split="val")[0, 0]
    with pytest.raises(BadRequest, match="there is one video, and none that could follow it"):
        dataset(place, split="val")[0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mixed_frames": [2, 31]}, r"mixed_frames=\[2, 31\] must be two even numbers, from 2: \[2, 30\]"),
        ({"mixed_frames": [0, 30]}, "must be two even numbers"),
        ({"fades": 0.6, "wipes": 0.6}, "fades=0.6 and wipes=0.6 are more than all gradual transitions"),
    ],
)
def test_wrong_settings_are_named(arguments: dict[str, Any], message: str):
    with pytest.raises(BadRequest, match=message):
        NextShot(**arguments)
