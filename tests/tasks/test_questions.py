"""What each task lets explain of its answers: of a restored patch the frames that it came from, of a transition the
frames around it, of a generator its codes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.models.gans import build_tiny
from tests.tasks.test_restoration import restoration
from tests.tasks.test_scenes import task as scenes
from videxp.core.contract import Contract
from videxp.core.errors import BadRequest
from videxp.deploy import inpaint_files, restore_files
from videxp.evaluation.explaining.faithfulness import judge_map
from videxp.evaluation.explaining.maps import gradient, make_map
from videxp.evaluation.explaining.removal import frame_importance
from videxp.evaluation.explaining.walks import describe_walks, walk_line
from videxp.models.scenes.interface import TransitionLogits
from videxp.tasks import VideoTask
from videxp.tasks.generated import interpolated, to_unit
from videxp.tasks.patches import PATCH, Patch, chosen_patch, cut_around, detail_of_pixels
from videxp.tasks.schedules import Constant


class FrameBefore(nn.Module):
    """Restores each frame as the one before it, moved by two pixels; the first as it is."""

    scale, radius = 1, 1

    def __init__(self, *, told: str = "") -> None:
        super().__init__()
        self.told = told
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, video: Tensor) -> Tensor:
        before = torch.cat([video[:, :1], video[:, :-1].roll(2, dims=-1)], dim=1)
        return before * self.weight


def moving_noise(frames: int = 7, size: int = 40) -> Tensor:
    return torch.rand(1, frames, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_a_restored_patch_comes_from_the_frame_and_the_pixels_that_it_was_made_of():
    task = restoration(FrameBefore())
    (question,) = task.questions({"video": moving_noise()}, asked={"patch": "20,12"})
    assert question.frame == 3 and question.box == (8, 16, 16, 24)
    made = make_map(question, task.deployed, "integrated_gradients")
    share = torch.tensor(made.share_of_frames)
    assert share[2] == pytest.approx(1)
    rows, columns = made.values_THW[2].nonzero().unbind(1)
    assert (int(rows.min()), int(rows.max()) + 1) == (8, 16)
    assert (int(columns.min()), int(columns.max()) + 1) == (14, 22)  # two pixels to the left of the patch
    importance = frame_importance(question)
    assert importance["mean"][2] > 0.3  # of R2
    assert [round(value, 6) for n, value in enumerate(importance["mean"]) if n != 2] == [0] * 6
    judged = judge_map(question, made.values_THW, gradient(question, task.deployed).values_THW, seed=0)
    assert judged["better_than_random"] and judged["insertion"] > judged["random"]["insertion"]


@pytest.mark.parametrize(("told", "predictor"), [("exemplar", restore_files), ("mask", inpaint_files)])
def test_a_file_is_not_explained_to_a_network_that_is_given_more_than_the_video(told: str, predictor: Any):
    words = f"^a.mp4: this network is also given its {told}, which a video alone does not have: .*--on explanation$"
    with pytest.raises(BadRequest, match=words):
        predictor.read_explained(restoration(FrameBefore(told=told)), None, Path("a.mp4"))


def test_the_patch_is_the_one_with_the_most_detail_within_its_surroundings():
    video = torch.full((1, 20, 3, 200, 120), 0.5)
    video[:, :, :, 150:158, 99:107] = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    patch = chosen_patch(detail_of_pixels(video[:, 10]), 10, None)
    assert patch.frame == 10 and abs(patch.top - 150) <= 1 and abs(patch.left - 99) <= 1
    cut = cut_around({"video": video, "condition": video[:, :, :1]}, patch)
    assert cut.given["video"].shape[1:] == (9, 3, 64, 64) and cut.given["condition"].shape[1:] == (9, 1, 64, 64)
    frame, top, left = (sum(pair) for pair in zip(cut.patch, cut.place))
    assert (frame, top, left) == patch and cut.place.top % 8 == cut.place.left % 8 == 0
    for corner in (Patch(0, 0, 0), Patch(19, 192, 112), Patch(19, 191, 63)):
        inner = cut_around({"video": video}, corner)
        height, width = inner.given["video"].shape[3:]
        assert inner.patch.top + PATCH <= height and inner.patch.left + PATCH <= width
        assert inner.patch.frame < inner.given["video"].shape[1]
    for wrong in ("200,10", "1", "a,b", "-1,3"):
        with pytest.raises(BadRequest, match="give a pixel X,Y of the 120x200 frame"):
            chosen_patch(detail_of_pixels(video[:, 10]), 10, wrong)


def test_a_transition_rests_on_the_frames_that_its_probability_is_made_of(monkeypatch: pytest.MonkeyPatch):
    task = scenes()

    def change(video: Tensor) -> TransitionLogits:
        """How far a frame's brightness is from that of the next one."""
        bright = video.mean((2, 3, 4))
        logits = 20 * (bright.diff(dim=1, append=bright[:, -1:]).abs() - 0.25)
        return TransitionLogits(logits, logits)

    monkeypatch.setattr(task.network, "forward", change)
    video = torch.full((1, 30, 3, 4, 4), 30, dtype=torch.uint8)
    video[:, 18:] = 220
    (question,) = task.questions({"video": video}, asked={})
    assert question.video.shape == (1, 8, 3, 4, 4) and question.video.max() <= 1
    assert question.first_frame + (question.frame or 0) == 17  # the last frame of the first shot
    assert question.facts["probability"] > 0.99
    loss = frame_importance(question)["mean"]
    assert sorted(sorted(range(8), key=lambda frame: loss[frame])[-2:]) == [question.frame, (question.frame or 0) + 1]
    made = make_map(question, task.deployed, "integrated_gradients")
    assert sum(made.share_of_frames[n] for n in ((question.frame or 0), (question.frame or 0) + 1)) > 0.9
    with pytest.raises(BadRequest, match="--class x: a film's transition has none"):
        task.questions({"video": video}, asked={"class": "x"})


def test_along_a_walk_one_code_changes_and_one_that_is_not_used_is_said_to_do_nothing():
    maker: Any = build_tiny("mocogan").generator.eval()
    ends = [maker.latent([np.random.default_rng(seed)]) for seed in (0, 1)]
    label = None if maker.num_classes is None else torch.zeros(4, dtype=torch.int64)
    with torch.no_grad():
        walks = {key: to_unit(maker(interpolated(*ends, keys={key}, steps=4), label=label)) for key in ends[0]}
    facts = describe_walks(walks)
    content = next(key for key in facts if key in maker.content_keys)
    assert facts[content]["change"] > 0
    still = {**facts[content], "change": 0.0}
    assert walk_line(still) == "changes NOTHING: the generator does not use it"
    gray = torch.linspace(0, 1, 4)[:, None, None, None, None].expand(4, 5, 3, 2, 2)
    known = describe_walks({"gray": gray})["gray"]
    assert [known["change"], known["change_of_mean_frame"]] == pytest.approx([85, 85])
    assert known["change_of_motion"] == known["change_between_frames"] == 0


class Silent(VideoTask):
    """Says that it can be explained, and not how."""

    contract = Contract(explains=("map",))


def test_a_task_whose_contract_has_explanations_without_questions_is_told_so():
    task = Silent(network=nn.Identity(), optimizer=torch.optim.SGD, scheduler=Constant(), monitor="")
    with pytest.raises(BadRequest, match=r"^Silent: its contract has explains=\('map',\): give it `questions`$"):
        task.questions({"video": moving_noise()}, asked={})
