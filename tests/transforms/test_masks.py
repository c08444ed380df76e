"""Masks that are drawn: sizes, speeds and borders, from one generator alone."""

import numpy as np
import pytest

from videxp.core.errors import BadRequest
from videxp.transforms import Blobs, MixedMasks, Rectangle, Strokes
from videxp.transforms.masks import draw_blob, wander

CLIP = np.empty((12, 60, 108, 3), np.uint8)


def drawn(kind: object, number: int) -> np.ndarray:
    mask = kind(CLIP, np.random.default_rng(number))
    assert mask.shape == (12, 60, 108, 1) and mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1}
    return mask[..., 0]


def bounds(mask_HW: np.ndarray) -> tuple[int, int, int, int]:
    """top, left, height, width of what is hidden."""
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    return rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def test_blobs_are_between_a_third_and_all_of_the_frame_and_half_of_them_wander_slowly():
    moving, kinds = 0, Blobs()
    for number in range(40):
        mask = drawn(kinds, number)
        boxes = np.array([bounds(frame) for frame in mask])
        assert (boxes[:, 2:] == boxes[0, 2:]).all()  # of one size, wholly within the frame
        assert 20 <= boxes[0, 2] <= 60 and 36 <= boxes[0, 3] <= 108
        steps = np.diff(boxes[:, :2], axis=0)
        assert np.hypot(*steps.T).max(initial=0) <= 3 + 2**0.5  # of whole pixels
        moving += bool(steps.any())
    assert 10 <= moving <= 30
    assert (drawn(kinds, 3) == drawn(kinds, 3)).all() and (drawn(kinds, 3) != drawn(kinds, 4)).any()


def test_a_blob_is_one_piece_that_touches_all_sides_and_is_no_box():
    shares = []
    for number in range(20):
        blob = draw_blob((40, 50), corners=7, rng=np.random.default_rng(number))
        assert bounds(blob) == (0, 0, 40, 50)
        shares.append(blob.mean())
    assert 0.2 < np.mean(shares) < 0.8


def test_what_wanders_stays_within_its_room_and_bounces():
    places = wander(np.array([0, 5]), np.array([4, 6]), num_frames=500, max_speed=3, rng=np.random.default_rng(0))
    assert places.min(0).tolist() == [0, 0] and places.max(0).tolist() == [4, 6]
    assert len(np.unique(places, axis=0)) > 15  # it does not stick to a border


def test_strokes_and_rectangles_and_one_of_several():
    strokes = [drawn(Strokes(stationary=stationary), 1) for stationary in (1.0, 0.0)]
    assert (strokes[0] == strokes[0][0]).all() and (strokes[1] != strokes[1][0]).any()
    assert all(0.02 < mask.mean() < 0.8 for mask in strokes)
    logo = drawn(Rectangle(x=0.5, y=0.25, width=0.25, height=0.5), 0)
    expected = np.zeros((60, 108))
    expected[15:45, 54:81] = 1
    assert (logo == expected).all()
    both = MixedMasks(masks={"logo": Rectangle(x=0, y=0, width=0.1, height=0.1), "strokes": Strokes()})
    sizes = {int(drawn(both, number)[0].sum()) for number in range(8)}
    assert 6 * 11 in sizes and len(sizes) > 2
    assert str(both).startswith("hole: a rectangle at 0, 0") and "brush strokes" in str(both)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blobs(size=[0.5, 0.2]), "size="),
        (lambda: Blobs(corners=[2, 3]), "corners="),
        (lambda: Strokes(width=[0.3, 0.1]), "width="),
        (lambda: Rectangle(x=0.9, y=0, width=0.2, height=0.1), "leaves the frame"),
        (lambda: MixedMasks(masks={}), "none given"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message: str):
    with pytest.raises(BadRequest, match=message):
        make()
