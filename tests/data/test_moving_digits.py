import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.films import module
from videxp.cli import main
from videxp.core.errors import BadRequest
from videxp.core.randomness import Stream, generator
from videxp.data import MovingDigits
from videxp.data.layouts.moving_digits import CLASSES, digits_of, trajectory

SMALL = {"train_videos": 20, "val_videos": 10, "test_videos": 10, "frames_per_video": 6}


def test_the_same_seed_draws_the_same_frames() -> None:
    def frames(seed: int) -> list[bytes]:
        layout = MovingDigits(seed=seed, **SMALL)
        return [layout.frames(row.path).tobytes() for row in layout.rows(Path())]

    assert len(set(frames(0))) == 40
    assert frames(0) == frames(0)
    assert not set(frames(0)) & set(frames(1))


@pytest.mark.slow
def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    def digest(root: Path, seed: int) -> list[str]:
        layout = MovingDigits(seed=seed, **SMALL)
        layout.make(root)
        return [hashlib.sha256((root / row.path).read_bytes()).hexdigest() for row in layout.rows(root)]

    first = digest(tmp_path / "a", 0)
    assert len(set(first)) == 40
    assert digest(tmp_path / "b", 0) == first
    assert digest(tmp_path / "c", 1) != first


def test_the_cause_of_a_label_is_where_the_digit_is_and_is_not_guessed_of_other_files() -> None:
    layout = MovingDigits(ground="black", **SMALL)
    rows = layout.rows(Path())
    for row in rows[::5]:
        bright_THW, cause_THW = layout.frames(row.path).max(-1), layout.cause(row.path)
        assert cause_THW is not None and set(np.unique(cause_THW)) == {0, 255}
        inside = cause_THW > 0
        assert bright_THW[inside].min() >= bright_THW[~inside].max()  # on black nothing else is bright
        assert (inside == (bright_THW > bright_THW.max() / 2)).mean() > 0.98
        assert inside.sum(axis=(1, 2)).min() > 20
    of_others = [other.rows(Path())[0].path for other in (MovingDigits(seed=1, **SMALL), MovingDigits(**SMALL))]
    within = [f"{layout.folder}/test/up/99999.mp4", f"{layout.folder}/test/up/mine.mp4"]
    for path in (*of_others, *within, rows[3].path.replace("/train/", "/train/x/"), "mine.mp4", "notes.txt"):
        assert layout.cause(path) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "instead"),
    [
        ("classification/moving_digits", ["classification/finetune"]),
        ("generation/moving_digits", ["generation/mocogan_ucf101", "dataset=generation_folder"]),
        ("super_resolution/sample_clips", ["super_resolution/sample_clips", "dataset=video_folder"]),
    ],
)
def test_a_folder_of_other_videos_is_refused_and_the_remedy_reads_it(
    recipe: str, instead: list[str], put: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else digits are made among one's own videos, and trained on in their place."""
    for name in ("train/a/1.mp4", "train/b/2.mp4", "test/a/3.mp4", "test/b/4.mp4"):
        put(name)
    root = f"dataset.root={tmp_path / 'root'}"
    for command in (["check", recipe], ["prepare", recipe.split("/")[1]]):
        assert main([*command, root]) == 2
        told = capsys.readouterr().err
        assert "holds other videos (test/a/3.mp4)" in told
        assert " ".join(instead[-1:]) in told
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["test", "train"]  # nothing was made there
    assert main(["check", *instead, root]) == 0
    with pytest.raises(BadRequest, match="holds other videos"):
        MovingDigits(**SMALL).make(tmp_path / "root")


def test_folders_of_other_parameters_may_lie_beside(tmp_path: Path) -> None:
    MovingDigits(seed=1, **SMALL).make(tmp_path)
    assert MovingDigits(seed=0, **SMALL).missing(tmp_path) == []


def test_no_picture_of_a_digit_is_in_two_splits() -> None:
    pictures = {split: {digit.tobytes() for digit in digits_of(split)} for split in ("train", "val", "test")}
    assert len(set.union(*pictures.values())) == sum(map(len, pictures.values())) == 1797
    assert all(len(digits) > 150 for digits in pictures.values())


def test_a_motion_is_what_its_name_says() -> None:
    def path(label: str) -> np.ndarray:
        return trajectory(generator(0, stream=Stream.GENERATE), label=label, num_frames=24)

    def step(label: str) -> tuple[int, int]:
        y, x = np.sign(np.round(path(label)[1] - path(label)[0], 9)).astype(int)
        return int(x), int(-y)

    assert {label: step(label) for label in CLASSES[:8]} == {
        "right": (1, 0), "up_right": (1, 1), "up": (0, 1), "up_left": (-1, 1),
        "left": (-1, 0), "down_left": (-1, -1), "down": (0, -1), "down_right": (1, -1),
    }  # fmt: skip
    for label, sign in (("clockwise", 1), ("counterclockwise", -1)):
        y, x = np.diff(path(label), axis=0).T
        turn = x[:-1] * y[1:] - y[:-1] * x[1:]  # > 0: to the right, y pointing down
        assert (np.sign(turn) == sign).all()
    speeds = {label: np.linalg.norm(np.diff(path(label), axis=0), axis=1).mean() for label in CLASSES}
    assert max(speeds.values()) / min(speeds.values()) < 1.02  # a chord is a little shorter than its arc


def circular_moments(video: np.ndarray) -> np.ndarray:
    """What one frame tells of where the digit is: cos and sin of x and y on the torus, mean, deviation. [T,6]"""
    bright = np.maximum(video.astype(np.float32).mean(axis=3) - 150, 0)  # [T,S,S]; backgrounds are darker
    mass = bright.sum(axis=(1, 2)) + 1e-6
    angle = 2 * np.pi * np.arange(bright.shape[1]) / bright.shape[1]
    waves = [
        (bright * wave).sum(axis=(1, 2)) / mass for f in (np.cos, np.sin) for wave in (f(angle), f(angle)[:, None])
    ]
    return np.stack([*waves, video.mean(axis=(1, 2, 3)), video.std(axis=(1, 2, 3))], axis=1)


@pytest.mark.slow
def test_one_frame_does_not_tell_the_label_but_two_do() -> None:
    """A linear reading of one frame stays at chance, 0.1; the shift between two frames gives the direction away."""
    layout = MovingDigits(train_videos=1500, val_videos=10, test_videos=500, frames_per_video=10)
    moments, labels = {}, {}
    for split in ("train", "test"):
        paths = [row for row in layout.rows(Path()) if row.split == split]
        moments[split] = np.stack([circular_moments(layout.frames(row.path)) for row in paths])  # [n,T,6]
        labels[split] = np.array([CLASSES.index("|".join(row.labels)) for row in paths])

    from sklearn.linear_model import LogisticRegression

    def accuracy(features: dict[str, np.ndarray]) -> float:
        center, scale = features["train"].mean(axis=0), features["train"].std(axis=0)
        train, test = ((features[split] - center) / scale for split in ("train", "test"))
        return LogisticRegression(max_iter=500).fit(train, labels["train"]).score(test, labels["test"])

    for t in (0, 4, 9):
        assert accuracy({split: m[:, t] for split, m in moments.items()}) < 0.155  # 4 deviations above chance
    shift = {split: np.angle(np.exp(1j * (phase(m[:, 4]) - phase(m[:, 0])))) for split, m in moments.items()}
    assert accuracy(shift) > 0.5


def phase(moments: np.ndarray) -> np.ndarray:
    """Position as angles on the torus, [n,2] x, y."""
    return np.arctan2(moments[:, 2:4], moments[:, 0:2])


@pytest.mark.slow
def test_positions_are_distributed_alike_in_every_class() -> None:
    """Each class has the digit everywhere: the mean of cos and sin of its position is near 0 in each frame."""
    size, count = 40, 2000
    for label in CLASSES:
        rngs = [generator(0, stream=Stream.GENERATE, index=i) for i in range(count)]
        paths = np.stack([rng.uniform(0, size, 2) + trajectory(rng, label=label, num_frames=5) for rng in rngs])
        angle = 2 * np.pi * paths / size  # [n,5,2]
        assert np.abs(np.exp(1j * angle).mean(axis=0)).max() < 4 / np.sqrt(count)


def test_an_interrupted_set_is_completed_and_other_parameters_are_another_set(tmp_path: Path) -> None:
    layout = MovingDigits(**SMALL)
    layout.make(tmp_path)
    files = [tmp_path / row.path for row in layout.rows(tmp_path)]
    content = files[7].read_bytes()
    untouched = files[8].stat().st_mtime_ns
    (tmp_path / layout.folder / "parameters.json").unlink()  # written last
    files[7].unlink()
    layout.make(tmp_path)
    assert files[7].read_bytes() == content
    assert files[8].stat().st_mtime_ns == untouched
    assert MovingDigits(**SMALL | {"seed": 1}).folder != layout.folder
    assert MovingDigits(**SMALL | {"fps": 10}).folder != layout.folder


@pytest.mark.slow
def test_a_finished_set_that_lost_a_file_is_mended(tmp_path: Path) -> None:
    layout = MovingDigits(**SMALL)
    layout.make(tmp_path)
    lost = tmp_path / layout.rows(tmp_path)[3].path
    lost.unlink()
    data = module(tmp_path, layout, root=str(tmp_path))
    data.prepare()
    assert lost.exists()
    assert data.counts == {"train": 20, "val": 10, "test": 10}
    assert data.classes == list(CLASSES)


def test_a_folder_in_place_of_a_data_set_is_told_where_it_belongs(
    put: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val", "test"):
        for label in "ab":
            put(f"{split}/{label}/{split}.mp4")
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "root"]) == 2
    told = capsys.readouterr().err
    remedy = "folder_per_class dataset.root=root"
    assert told.count("\n") == 1 and remedy in told
    assert main(["prepare", *remedy.split()]) == 0
