"""The task of scene segmentation: films by windows, one threshold for all, and where it comes from."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from videxp.core.errors import VidexpError
from videxp.data.annotations.ragged import Ragged
from videxp.metrics.transitions import count_transitions, transition_scores
from videxp.models.scenes.interface import SceneNetwork, TransitionLogits
from videxp.tasks import Scenes
from videxp.tasks.base import Split
from videxp.tasks.schedules import Cosine
from videxp.video import write_video


class Brightness(SceneNetwork):
    """The probability of a frame is the value of its first pixel; it has one weight, which scales nothing."""

    threshold = 0.4

    def __init__(self) -> None:
        super().__init__(window_frames=8)
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, video: Tensor) -> TransitionLogits:
        assert video.dtype == torch.float32 and video.max() <= 1
        logits = video[:, :, 0, 0, 0].logit(eps=1e-4) * self.weight
        return TransitionLogits(logits, logits)


def task(**changes: Any) -> Scenes:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    return Scenes(network=Brightness(), optimizer=optimizer, scheduler=Cosine(), **changes)


def film(levels: dict[int, int], transitions: list[tuple[int, int]], *, length: int = 50) -> dict[str, Any]:
    """A batch of one film; levels: frame -> brightness, 0 to 255."""
    video = torch.zeros(1, length, 3, 2, 2, dtype=torch.uint8)
    for frame, level in levels.items():
        video[0, frame] = level
    between = torch.tensor(transitions, dtype=torch.int64).reshape(-1, 2)
    return {"video": video, "transitions": Ragged.of_one({"between": between}), "index": torch.tensor([0])}


def test_a_film_of_any_length_is_answered_frame_by_frame():
    for length in (1, 3, 8, 9, 47):
        video = torch.arange(length, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
        probability_T = task().film_logits(video).one_hot.sigmoid()
        torch.testing.assert_close(probability_T, torch.arange(length) / 255, atol=2e-4, rtol=0)


def test_the_threshold_is_that_of_the_best_f1_in_validation_and_the_test_keeps_it():
    scenes = task()
    assert float(scenes.threshold) == pytest.approx(0.4) and "0.4, the network's own" in scenes.evaluation_protocol
    # A true cut at 0.3, and something at 0.2 that is none: any threshold between them is the best.
    batch = film({10: 77, 30: 51}, [(10, 11)])
    scenes.evaluation_step(batch, "val")
    assert float(scenes.evaluation_metrics("val")["f1"]) == 1
    assert 0.2 <= float(scenes.threshold) <= 0.3
    # On the test another one would be better, and is not taken.
    batch = film({10: 40, 20: 90}, [(10, 11), (20, 21)])
    scenes.evaluation_step(batch, "test")
    figures = scenes.evaluation_metrics("test")
    assert float(figures["recall"]) == 0.5 and float(figures["precision"]) == 1 and "f1_gradual" not in figures
    assert 0.2 <= float(scenes.threshold) <= 0.3
    other = task()
    other.load_state_dict(scenes.state_dict())
    assert ", chosen on the validation films" in other.evaluation_protocol
    assert float(other.threshold) == float(scenes.threshold)


def test_a_threshold_that_is_set_stays_and_figures_are_those_of_the_counts_at_it():
    scenes = task(threshold=0.296)
    batch = film({10: 77, 20: 200, 21: 200, 30: 75, 40: 255}, [(10, 11), (19, 22), (44, 45)])
    splits: tuple[Split, ...] = ("val", "test")
    for split in splits:
        scenes.evaluation_step(batch, split)
        figures = scenes.evaluation_metrics(split)
        probability_T = batch["video"][0, :, 0, 0, 0] / 255
        counts = count_transitions(probability_T, [(10, 11), (19, 22), (44, 45)], threshold=0.296).sum(0)
        assert counts.tolist() == [2, 1, 1]
        assert float(figures["f1"]) == pytest.approx(float(transition_scores(counts)["f1"]))
    assert float(scenes.threshold) == pytest.approx(0.296) and "0.296, set" in scenes.evaluation_protocol


def test_counts_are_summed_over_films_and_begin_anew_with_each_evaluation():
    scenes = task(threshold=0.5)
    for _ in range(2):
        scenes.evaluation_step(film({10: 255}, [(10, 11)]), "test")
        scenes.evaluation_step(film({}, [(10, 11), (20, 21), (30, 31)]), "test")
        figures = scenes.evaluation_metrics("test")
        assert float(figures["recall"]) == 0.25 and float(figures["precision"]) == 1


def test_clips_in_which_nothing_is_joined_are_refused_with_the_remedy():
    scenes = task()
    with pytest.raises(VidexpError, match=r"dataset\.annotations\.next_shot makes them"):
        Scenes.training_step.__wrapped__(scenes, film({}, []), 0)  # type: ignore[attr-defined]  # beneath the guard


def test_a_clip_that_was_made_is_evaluated_by_what_it_was_made_of():
    target = torch.zeros(1, 50, 2)
    target[0, 10] = 1
    target[0, 20:24, 1] = 1
    batch = {**film({10: 255, 21: 255}, []), "target": target}
    del batch["transitions"]
    scenes = task(threshold=0.5)
    scenes.evaluation_step(batch, "val")
    figures = scenes.evaluation_metrics("val")
    assert float(figures["recall_cut"]) == 1 and float(figures["recall_gradual"]) == 1


@torch.no_grad()
def test_contact_sheets_are_made_of_what_the_evaluation_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scenes = task(threshold=0.5, example_films=2)
    for index in range(3):
        write_video(tmp_path / f"{index}.mp4", np.zeros((50, 32, 32, 3), np.uint8), fps=25)
        batch = {**film({10 * (index + 1): 255}, [(10, 11)]), "index": torch.tensor([index])}
        scenes.evaluation_step(batch, "test")
    made = {**film({10: 255}, []), "target": torch.zeros(1, 50, 2)}
    del made["transitions"]  # of no film
    scenes.evaluation_step(made, "test")
    monkeypatch.setattr(scenes, "answer", lambda batch: pytest.fail("the network worked once more"))
    sheets: list[dict[str, Any]] = []
    monkeypatch.setattr("videxp.tasks.scenes.save_shot_sheet", lambda path, **shown: sheets.append(shown) or path)
    films = SimpleNamespace(dataset=lambda split: SimpleNamespace(path=lambda index: tmp_path / f"{index}.mp4"))
    paths = scenes.save_samples(tmp_path, films, "test")
    assert [path.name for path in paths] == ["00000_0.png", "00001_1.png"]
    assert [(len(sheet["marks"].hits), len(sheet["marks"].missed)) for sheet in sheets] == [(1, 0), (0, 1)]
    assert [int(sheet["probabilities"].argmax()) for sheet in sheets] == [10, 20]
    assert all(len(sheet["probabilities"]) == 50 for sheet in sheets)
