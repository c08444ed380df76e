"""MOTA, IDF1 and HOTA beside TrackEval, and on the public sequences whose figures are known."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videxp.core.boxes import box_iou, paired_iou
from videxp.core.errors import VidexpError
from videxp.metrics.tracking import TrackingCounts, Tracks, count_tracking

GOLDEN = {
    "TUD-Campus": {
        **{"mota": 0.526462, "idf1": 0.557659, "motp": 1 - 0.277201},
        **{"hota": 0.391397, "deta": 0.418047, "assa": 0.369121, "loca": 0.770052},
        **{"false_alarms": 13, "misses": 150, "switches": 7, "fragments": 7, "mostly_tracked": 1, "mostly_lost": 1},
    },
    "TUD-Stadtmitte": {
        **{"mota": 0.564014, "idf1": 0.644619, "motp": 1 - 0.345904},
        **{"hota": 0.397849, "deta": 0.392268, "assa": 0.408841, "loca": 0.737521},
        **{"false_alarms": 45, "misses": 452, "switches": 7, "fragments": 6, "mostly_tracked": 5, "mostly_lost": 1},
    },
}


def sequence(name: str, kind: str) -> Tracks:
    folder = find_spec("motmetrics")
    if folder is None or folder.origin is None:
        pytest.skip("the published figures of TUD-Campus and TUD-Stadtmitte are not checked: pip install motmetrics")
    rows = np.loadtxt(Path(folder.origin).parent / "data" / name / f"{kind}.txt", delimiter=",")
    return Tracks(
        rows[:, 0].astype(int), rows[:, 1].astype(int), np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])
    )


def test_the_published_figures_of_two_sequences_and_of_both_together():
    total = TrackingCounts()
    for name, golden in GOLDEN.items():
        counts = count_tracking(sequence(name, "gt"), sequence(name, "test"))
        figures = counts.figures()
        assert {key: figures[key] for key in golden} == pytest.approx(golden, abs=1e-6)
        total += counts
    figures = total.figures()
    assert (figures["mota"], figures["idf1"]) == pytest.approx((0.555116, 0.624296), abs=1e-6)


def random_tracks(rng: np.random.Generator, *, frames: int, tracks: int) -> tuple[Tracks, Tracks]:
    """Things that wander, and a tracker's idea of them: shifted, with gaps, swaps and inventions."""
    true: list[list[float]] = []
    seen: list[list[float]] = []
    place_N2 = rng.uniform(0, 80, (tracks, 2))
    names = np.arange(tracks)
    for frame in range(frames):
        place_N2 += rng.normal(0, 3, place_N2.shape)
        if rng.random() < 0.3:
            names = rng.permutation(names)
        for thing, (x, y) in enumerate(place_N2):
            if rng.random() < 0.9:
                true.append([frame, thing, x, y, x + 20, y + 30])
            if rng.random() < 0.8:
                dx, dy = rng.normal(0, 3, 2)
                seen.append([frame, names[thing], x + dx, y + dy, x + dx + 20, y + dy + 30])
        if rng.random() < 0.3:
            seen.append([frame, tracks + frame, 200, 200, 220, 230])
    return as_tracks(true), as_tracks(seen)


def as_tracks(rows: list[list[float]]) -> Tracks:
    table = np.array(rows, dtype=float).reshape(-1, 6)
    return Tracks(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])


def references(true: Tracks, seen: Tracks) -> dict[str, float]:
    trackeval = pytest.importorskip("trackeval", reason="TrackEval's figures are not compared: pip install trackeval")
    numbers = [np.unique(one.track_M, return_inverse=True)[1].reshape(-1) for one in (true, seen)]
    frames = range(int(max(true.frame_M.max(), seen.frame_M.max())) + 1)
    data: dict[str, Any] = {
        "num_gt_ids": int(numbers[0].max()) + 1,
        "num_tracker_ids": int(numbers[1].max()) + 1,
        "num_gt_dets": len(true.frame_M),
        "num_tracker_dets": len(seen.frame_M),
        "num_timesteps": len(frames),
        "gt_ids": [numbers[0][true.frame_M == frame] for frame in frames],
        "tracker_ids": [numbers[1][seen.frame_M == frame] for frame in frames],
        "similarity_scores": [
            box_iou(true.xyxy_M4[true.frame_M == frame], seen.xyxy_M4[seen.frame_M == frame]) for frame in frames
        ],
    }
    quiet = {"PRINT_CONFIG": False}
    clear = trackeval.metrics.CLEAR(quiet).eval_sequence(data)
    hota = trackeval.metrics.HOTA(quiet).eval_sequence(data)
    identity = trackeval.metrics.Identity(quiet).eval_sequence(data)
    return {
        **{"mota": clear["MOTA"], "motp": clear["MOTP"], "switches": clear["IDSW"], "fragments": clear["Frag"]},
        **{"mostly_tracked": clear["MT"], "mostly_lost": clear["ML"], "idf1": identity["IDF1"]},
        **{name.lower(): float(hota[name].mean()) for name in ("HOTA", "DetA", "AssA", "LocA")},
    }


@pytest.mark.parametrize("seed", range(4))
def test_random_sequences_have_trackevals_figures(seed: int):
    true, seen = random_tracks(np.random.default_rng(seed), frames=25, tracks=2 + seed)
    reference = references(true, seen)
    figures = count_tracking(true, seen).figures()
    assert {name: figures[name] for name in reference} == pytest.approx(reference, abs=1e-9)


def test_a_perfect_tracker_has_one_everywhere_and_a_swap_costs_identity_alone():
    true, _ = random_tracks(np.random.default_rng(7), frames=20, tracks=3)
    perfect = count_tracking(true, true).figures()
    assert [perfect[name] for name in ("mota", "motp", "idf1", "hota", "deta", "assa", "loca")] == [1.0] * 7
    swap = np.array([1, 0, 2])
    swapped_M = np.where(true.frame_M < 10, true.track_M, swap[true.track_M])
    swapped = count_tracking(true, Tracks(true.frame_M, swapped_M, true.xyxy_M4)).figures()
    assert swapped["deta"] == swapped["loca"] == 1.0 and swapped["switches"] == 2
    assert swapped["idf1"] < 0.9 and swapped["assa"] < 0.9 and swapped["mota"] < 1


def test_nothing_found_and_nothing_there():
    nothing = as_tracks([])
    something = as_tracks([[0, 1, 0, 0, 5, 5], [1, 1, 0, 0, 5, 5]])
    missed = count_tracking(something, nothing).figures()
    assert missed["misses"] == 2 and missed["mota"] == missed["idf1"] == missed["hota"] == 0
    invented = count_tracking(nothing, something).figures()
    assert invented["false_alarms"] == 2 and invented["idf1"] == 0 and "mota" not in invented
    assert "hota" not in count_tracking(nothing, nothing).figures()
    with pytest.raises(VidexpError, match="track 1 has 2 boxes on frame 0"):
        as_tracks([[0, 1, 0, 0, 5, 5], [0, 1, 6, 6, 9, 9]])


def test_boxes_that_do_not_meet_have_no_overlap():
    one, far, half = [0.0, 0, 10, 10], [20.0, 20, 30, 30], [5.0, 0, 15, 10]
    np.testing.assert_allclose(box_iou(np.array([one]), np.array([one, far, half])), [[1, 0, 1 / 3]])
    assert paired_iou(np.array([[0.0, 0, 0, 0]]), np.array([[0.0, 0, 0, 0]])) == 0
