"""Digits that cross: their boxes lie where the decoded file shows them."""

from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from videxp.core.boxes import box_iou
from videxp.core.errors import BadRequest
from videxp.data.layouts.moving_digit_boxes import CLASSES, MovingDigitBoxes
from videxp.data.layouts.moving_digits import background, digits_of
from videxp.data.manifest import Split
from videxp.data.packed_boxes import unpack_boxes


@pytest.fixture(scope="module")
def layout() -> MovingDigitBoxes:
    return MovingDigitBoxes(train_videos=12, val_videos=2, test_videos=3)


def boxes_of(layout: MovingDigitBoxes) -> dict[str, np.ndarray]:
    """path -> [M,7]: frame, x0, y0, x1, y1, class, track."""
    return {row.path: unpack_boxes(row.field("boxes")).boxes_M7 for row in layout.rows(Path())}


def test_boxes_lie_tightly_on_what_the_decoded_file_has_over_its_ground(layout: MovingDigitBoxes, tmp_path: Path):
    for path, boxes in list(boxes_of(layout).items())[:3]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        layout.write(path, root=tmp_path)
        with av.open(str(tmp_path / path)) as file:
            video = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]).astype(float)
        ground = background(layout._rng(path, part=1), size=64)
        ink = (video - ground).max(-1) > 50  # [T,S,S]
        assert len(video) == 24 and ink.any((1, 2)).all()
        for frame, shown in enumerate(ink):
            of_frame = boxes[boxes[:, 0] == frame, 1:5]
            rows, columns = np.nonzero(shown)
            centers = np.stack([columns, rows, columns, rows], 1) + 0.5
            held = [
                (centers[:, :2] > box[:2] - 1.5).all(1) & (centers[:, 2:] < box[2:] + 1.5).all(1) for box in of_frame
            ]
            assert np.any(held, axis=0).all(), (path, frame)
            front = of_frame[-1]  # nothing hides it
            around = np.r_[centers[held[-1], :2].min(0) - 0.5, centers[held[-1], :2].max(0) + 0.5]
            if box_iou(front[None], of_frame[:-1]).max() == 0:
                assert np.abs(around - front).max() < 2.5, (path, frame)


def test_two_digits_of_each_video_meet_and_the_class_is_where_a_digit_moves(layout: MovingDigitBoxes):
    ways = {"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1)}
    met, seen = [], set()
    for boxes in boxes_of(layout).values():
        tracks = [boxes[boxes[:, 6] == track] for track in np.unique(boxes[:, 6])]
        assert len(tracks) in (2, 3) and all(len(track) == 24 for track in tracks)
        assert boxes[:, 1:5].min() >= 0 and boxes[:, 1:5].max() <= 64
        for track in tracks:
            speed_2 = np.diff(track[:, 1:3], axis=0)
            assert len(np.unique(track[:, 5])) == 1
            name = CLASSES[int(track[0, 5])]
            seen.add(name)
            along, across = speed_2 @ ways[name], speed_2 @ ways[name][::-1]
            assert (along >= 1 - 1e-6).all() and (along <= 2 + 1e-6).all() and np.abs(across).max() < 1e-6
        met.append(max(box_iou(a[None], b[None])[0, 0] for a, b in zip(tracks[0][:, 1:5], tracks[1][:, 1:5])))
    assert seen == set(CLASSES) and np.mean(np.array(met) > 0.2) > 0.8


def test_the_same_seed_makes_the_same_and_splits_share_no_digit(layout: MovingDigitBoxes):
    again = MovingDigitBoxes(train_videos=12, val_videos=2, test_videos=3)
    other = MovingDigitBoxes(train_videos=12, val_videos=2, test_videos=3, seed=1)
    row = layout.rows(Path())[0]
    assert again.rows(Path())[0] == row and other.rows(Path())[0].path != row.path
    np.testing.assert_array_equal(again.frames(row.path), layout.frames(row.path))
    for one in layout.rows(Path()):
        pictures = digits_of(cast(Split, one.split))
        assert all(np.abs(pictures - digit.picture_PP).max((1, 2)).min() == 0 for digit in layout.digits(one.path))


def test_videos_that_are_too_long_for_their_picture_are_refused_with_a_size_that_works():
    with pytest.raises(BadRequest, match=r"frames_per_video=40: .* dataset\.layout\.video_size=94"):
        MovingDigitBoxes(frames_per_video=40)
    MovingDigitBoxes(frames_per_video=40, video_size=94)
