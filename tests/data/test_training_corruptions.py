"""Training against corruptions: drawn from (seed, epoch, sample), in workers and on inputs made on the device."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.test_module import Watch
from tests.films import Put, module
from tests.training.small_tasks import trainer
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, VideoFolder
from videxp.data.annotations.per_frame import PerFrame
from videxp.data.following import check_following
from videxp.transforms import (
    BicubicDown,
    InpaintingTrain,
    RestorationEval,
    RestorationTrain,
    SceneTrain,
    TrainTransform,
)
from videxp.transforms.corruptions.training import TrainingCorruptions, training_corruptions

pytestmark = pytest.mark.usefixtures("quiet_lightning")
NOISE = {"protocol": "schiappa2023", "names": ["gaussian_noise", "freeze"], "severities": [2, 5], "probability": 0.7}


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for i in range(6):
        put(f"train/{('run', 'walk')[i % 2]}/{i:02d}.mp4")
    put("val/run/0.mp4")
    return tmp_path / "root"


def prepared(tmp_path: Path, *, corruptions: Any, **changes: Any) -> Any:
    transform = TrainTransform(size=16, corruptions=corruptions, seed=3)
    data = module(tmp_path, FolderPerClass(), size=16, train_transform=transform, batch_size=2, seed=3, **changes)
    data.prepare()
    return data


def drawn(corruptions: TrainingCorruptions, clip: np.ndarray, *, epoch: int = 0, index: int = 0) -> np.ndarray:
    return corruptions.corrupt(clip, epoch=epoch, index=index, number=0, fps=10.0)


def test_each_corruption_and_severity_is_as_likely_and_the_same_draw_gives_the_same() -> None:
    options = {"protocol": "yi2021", "names": ["contrast", "brightness"], "severities": [1, 3], "probability": 0.6}
    corruptions = training_corruptions(options, seed=0)
    assert corruptions is not None
    clip = np.random.default_rng(0).integers(60, 160, (2, 6, 6, 3), dtype=np.uint8)
    counts = Counter(drawn(corruptions, clip, epoch=epoch, index=7).tobytes() for epoch in range(600))
    assert counts.pop(clip.tobytes()) / 600 == pytest.approx(0.4, abs=0.06)
    assert len(counts) == 4 and min(counts.values()) > 60  # 90 each
    for index in range(20):
        assert np.array_equal(drawn(corruptions, clip, index=index), drawn(corruptions, clip, index=index))
    assert any(
        not np.array_equal(
            corruptions.corrupt(clip, epoch=0, index=0, number=number, fps=10.0), drawn(corruptions, clip)
        )
        for number in range(1, 8)
    )


def test_a_table_s_name_is_enough_and_none_is_off() -> None:
    assert training_corruptions(None, seed=0) is None
    whole = training_corruptions("schiappa2023", seed=0)
    assert whole is not None and (len(whole.corruptions), whole.severities, whole.probability) == (
        16,
        (1, 2, 3, 4, 5),
        0.5,
    )
    still = training_corruptions("schiappa2023", seed=0, in_place=True)
    assert still is not None and {one.group for one in still.corruptions} == {"noise", "blur", "compression"}


def test_what_there_is_not_is_refused_with_what_there_is() -> None:
    key = "dataset.train_transform.corruptions"
    refused: list[tuple[Any, str]] = [
        ("yi2012", f"{key}=yi2012: no such table; did you mean yi2021?"),
        (
            {"protocol": "mine"},
            f"{key}.protocol=mine: no such table; known: yi2021, yi2021_ssv2, schiappa2023, imagenet_c",
        ),
        ({"names": ["fog"]}, "of which table? write {protocol: yi2021, ...}"),
        (
            {"protocol": "yi2021", "names": ["fogg"]},
            f"{key}.names=fogg: yi2021 has none of this name; did you mean fog?",
        ),
        ({"protocol": "yi2021", "names": []}, f"{key}.names=[]: must be a list such as [shot_noise]"),
        ({"protocol": "yi2021", "severities": [6]}, f"{key}.severities=[6]: must be some of [1, 2, 3, 4, 5]"),
        ({"protocol": "yi2021", "severity": [1]}, f"{key}.severity: no such option; did you mean severities?"),
        ({"protocol": "yi2021", "probability": 2}, f"{key}.probability=2: must be from 0 to 1"),
    ]
    for given, message in refused:
        with pytest.raises(BadRequest) as caught:
            training_corruptions(given, seed=0)
        assert message in str(caught.value)
    with pytest.raises(BadRequest, match=r"names=rotate: it moves what is shown.*write gaussian_noise, shot_noise"):
        RestorationTrain(corruptions={"protocol": "schiappa2023", "names": ["rotate"]}, seed=0)


def test_a_worker_corrupts_each_clip_once_after_it_was_cut(root: Path, tmp_path: Path) -> None:
    clean, corrupted = (prepared(tmp_path, corruptions=given, clips_per_video=2) for given in (None, NOISE))
    changed = []
    for epoch in range(3):
        for index in range(6):
            before = clean.dataset("train")[epoch, index]["clip"]
            after = corrupted.dataset("train")[epoch, index]["clip"]
            assert before.shape == after.shape == (2, 4, 16, 16, 3)
            expected = [
                corrupted.train_transform.corruptions.corrupt(
                    clip, epoch=epoch, index=index, number=number, fps=corrupted.dataset("train").clip_fps(index)
                )
                for number, clip in enumerate(before.numpy())
            ]
            assert np.array_equal(after.numpy(), expected)
            changed += [not np.array_equal(one, other) for one, other in zip(before, after)]
    assert 0.4 < np.mean(changed) < 0.95
    for split in ("val", "test"):
        assert torch.equal(clean.dataset(split)[0, 0]["clip"], corrupted.dataset(split)[0, 0]["clip"])


@pytest.mark.slow
def test_batches_are_the_same_for_any_number_of_workers(root: Path, tmp_path: Path) -> None:
    runs = []
    for workers in (0, 2):
        data = prepared(tmp_path, corruptions=NOISE, num_workers=workers)
        batches = [batch for _ in range(2) for batch in data.train_dataloader()]
        runs.append([data.transform(batch, "train")["video"].clone() for batch in batches])
    assert len(runs[0]) == 6 and all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_of_a_restoration_the_input_alone_is_corrupted(put: Put, tmp_path: Path) -> None:
    for number in range(3):
        put(f"train/{number}.mp4")
    put("val/0.mp4")
    options = {"protocol": "imagenet_c", "names": ["gaussian_noise"], "severities": [3], "probability": 1.0}
    batches, videos = [], []
    for given in (None, options):
        transform = RestorationTrain(degradation=BicubicDown(scale=4), corruptions=given, seed=1)
        data = module(
            tmp_path, VideoFolder(), size=None, crop_size=16, scale=4, train_transform=transform,
            eval_transform=RestorationEval(degradation=BicubicDown(scale=4)), eval_batch_size=1,
        )  # fmt: skip
        data.prepare()
        batches.append(data.transform(data.read("train", [0, 1]), "train"))
        videos.append(data.transform(data.read("train", [1]), "train")["video"][0])
    clean, corrupted = batches
    assert torch.equal(clean["target"], corrupted["target"])
    noise = (corrupted["video"] - clean["video"]).numpy()
    assert corrupted["video"].shape == clean["video"].shape == (2, 4, 3, 4, 4) and 0.05 < noise.std() < 0.18
    assert torch.equal(corrupted["video"][1], videos[1])  # whatever else is in the batch
    assert torch.equal(corrupted["video"], (corrupted["video"] * 255).round() / 255)


def test_every_training_transform_takes_them() -> None:
    for transform in (RestorationTrain, InpaintingTrain, SceneTrain):
        held = transform(corruptions="schiappa2023", seed=2).corruptions
        assert held is not None and held.seed == 2 and not any(one.moves for one in held.corruptions)
        assert transform(seed=0).corruptions is None
    held = TrainTransform(size=8, corruptions="schiappa2023", seed=2).corruptions
    assert held is not None and any(one.moves for one in held.corruptions)


def test_frames_at_other_times_are_refused_where_something_is_known_of_each() -> None:
    def check(names: list[str]) -> None:
        given = {"protocol": "schiappa2023", "names": names}
        transforms = {"train_transform": TrainTransform(size=8, corruptions=given, seed=0)}
        check_following([PerFrame("progress")], transforms, frame_size=None)

    check(["shot_noise", "compression"])
    with pytest.raises(BadRequest, match=r"corruptions: jumble move what clips show, and progress cannot follow: set"):
        check(["shot_noise", "jumble"])


class Recording(Watch):
    """Keeps the clips that it was trained on."""

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        self.trained.append(batch["video"].clone())
        return (batch["video"].mean() * self.weight).sum()


@pytest.mark.slow
def test_training_meets_them_and_is_the_same_a_second_time(root: Path, tmp_path: Path) -> None:
    trained = []
    for given in ("yi2021", "yi2021", None):
        task = Recording()
        trainer(tmp_path, max_steps=2, limit_val_batches=0).fit(task, prepared(tmp_path, corruptions=given))
        trained.append(task)
    one, same, clean = trained
    assert len(one.trained) == 2 and torch.equal(torch.cat(one.trained), torch.cat(same.trained))
    assert one.weight == same.weight != clean.weight
    assert not torch.equal(torch.cat(one.trained), torch.cat(clean.trained))
