"""Maps of answers, held against clips whose cause is known, against their definitions, and against fakes."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.evaluation.known_cause import FRAMES, MOVES_FROM, SIDE, ask, known_clips, learned_2d, learned_3d
from videxp.core.errors import BadRequest, NotInstalled, VidexpError
from videxp.core.token_layout import AttentionStage, FeatureMap
from videxp.evaluation.explaining.faithfulness import judge_map, judge_weights, point
from videxp.evaluation.explaining.maps import (
    NoMap,
    SpaceTimeMap,
    choose_method,
    gradient,
    make_map,
    require_weights,
)
from videxp.evaluation.explaining.removal import blank, frame_importance, order_importance
from videxp.evaluation.explaining.rollout import attention_rollout
from videxp.tasks.questions import Question

CLIPS = 6


@pytest.fixture(scope="module")
def questions() -> list[tuple[Question, Tensor]]:
    """(why its class, where the cause is) for clips that the learned network has not seen."""
    known = known_clips(CLIPS, seed=1)
    net = learned_3d()
    with torch.no_grad():
        assert (net(known.video).argmax(1) == known.label).all()
    return [(ask(net, known.video[i : i + 1], int(known.label[i])), known.cause[i]) for i in range(CLIPS)]


def is_proven(maps: list[Tensor], questions: list[tuple[Question, Tensor]]) -> bool:
    """On the object, in the frames where it moves, and on what the answer rests on: most maps of the clips."""
    pointed = [point(one, cause) for one, (_, cause) in zip(maps, questions)]
    share, of_clip = (np.mean([one[key] for one in pointed]) for key in ("share_on_object", "share_of_clip"))
    if share < 5 * of_clip or np.mean([one["hit"] for one in pointed]) < 0.8:
        return False
    shares = [SpaceTimeMap(one, "").share_of_frames for one in maps]
    if np.mean([sum(share[MOVES_FROM - 1 :]) for share in shares]) < 0.68:  # 0.625 of the frames
        return False
    return all(is_better_than_random(one, question) for one, (question, _) in zip(maps, questions))


def is_better_than_random(made: Tensor, question: Question) -> bool:
    plain = gradient(question, learned_3d()).values_THW
    return judge_map(question, made, plain, seed=0)["better_than_random"]


@pytest.mark.slow
def test_the_map_lies_on_what_moves_when_it_moves_and_fakes_fail(questions: list[tuple[Question, Tensor]]):
    net = learned_3d()
    maps = [make_map(question, net, "integrated_gradients").values_THW for question, _ in questions]
    assert is_proven(maps, questions)
    shape = (FRAMES, SIDE, SIDE)
    generator = torch.Generator().manual_seed(0)
    fakes = {
        "random": [torch.rand(shape, generator=generator) for _ in questions],
        "constant": [torch.ones(shape) for _ in questions],
        "bright": [question.video[0].mean(1) for question, _ in questions],  # the square, whether it moves or not
        "of another clip": [*maps[1:], maps[0]],
    }
    assert [name for name, fake in fakes.items() if is_proven(fake, questions)] == []
    question = questions[0][0]
    assert [name for name in ("random", "constant") if is_better_than_random(fakes[name][0], question)] == []


@pytest.mark.slow
def test_a_map_that_does_not_hang_on_the_weights_is_found_out(questions: list[tuple[Question, Tensor]]):
    net = learned_3d()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    for question, _ in questions[:2]:
        made = make_map(question, net, "integrated_gradients").values_THW

        def again(question: Question = question) -> Tensor:
            return make_map(question, net, "integrated_gradients").values_THW

        judged = judge_weights(made, net, again, seed=0)
        assert judged == judge_weights(made, net, again, seed=0)
        assert judged["hangs_on_weights"] and abs(judged["rank_correlation"]) < 0.5
        edges = question.video[0].mean(1).diff(dim=2, prepend=question.video[0].mean(1)[:, :, :1]).abs()
        assert judge_weights(edges, net, lambda edges=edges: edges, seed=0) == {  # what guided backprop comes close to
            "rank_correlation": 1.0,
            "hangs_on_weights": False,
        }
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters()))


@pytest.mark.slow
def test_frames_that_bring_nothing_new_are_of_no_importance(questions: list[tuple[Question, Tensor]]):
    for question, _ in questions[:3]:
        held = frame_importance(question)["held"]
        assert held[:MOVES_FROM] == pytest.approx([0] * MOVES_FROM, abs=1e-5)
        assert max(held[MOVES_FROM:]) > 0.2
    one_frame = torch.rand(1, 1, 3, 4, 4)
    still = Question("still", one_frame, lambda clips: clips.sum((1, 2, 3, 4)), lambda clips: clips)
    assert frame_importance(still) == {"held": [0.0], "mean": [0.0]}


@pytest.mark.slow
def test_the_3d_network_uses_the_order_of_frames_and_its_2d_control_does_not(questions: list[tuple[Question, Tensor]]):
    for question, _ in questions[:3]:
        order = order_importance(question, seed=0)
        assert order["in_order"] > 0.9 and order["reversed"] < 0.1
        assert order == order_importance(question, seed=0)
        control = ask(learned_2d(), question.video, 0)
        blind = order_importance(control, seed=0)
        assert blind["reversed"] == pytest.approx(blind["in_order"], abs=1e-5)
        assert blind["shuffled"] == pytest.approx(blind["in_order"], abs=1e-5)


# ---- by their definitions -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_gradcam_is_the_published_formula_whatever_the_axes_of_the_features(questions: list[tuple[Question, Tensor]]):
    net: Any = learned_3d()
    question = questions[0][0]
    clip = question.video.transpose(1, 2)
    features = net.features(clip).detach().requires_grad_()
    logits = net.head(features.mean(dim=(2, 3, 4)))
    number = int(question.about)
    others = torch.cat([logits[:, :number], logits[:, number + 1 :]], dim=1).logsumexp(1)
    (slope,) = torch.autograd.grad((logits[:, number] - others).sum(), features)
    weight_D = slope.mean(dim=(0, 2, 3, 4)).numpy()  # equation 1
    coarse = np.maximum(np.einsum("d,dthw->thw", weight_D, features[0].detach().numpy()), 0)  # equation 2
    expected = nn.functional.interpolate(
        torch.from_numpy(coarse)[None, None], size=(FRAMES, SIDE, SIDE), mode="trilinear"
    )
    made = make_map(question, net, "gradcam")
    torch.testing.assert_close(made.values_THW, expected[0, 0])
    assert made.parameters == {"layer": "features", "grid": [2, 3, 3]}

    class LastAxis(nn.Module):
        """The same network with its features' channels last."""

        feature_map = FeatureMap("moved", "b t h w d")

        def __init__(self) -> None:
            super().__init__()
            self.net, self.moved = net, nn.Identity()

        def forward(self, video: Tensor) -> Tensor:
            moved = self.moved(self.net.features(video.transpose(1, 2)).movedim(1, -1))
            return self.net.head(moved.mean(dim=(1, 2, 3)))

    other = LastAxis().eval()
    again = make_map(ask(other, question.video, number), other, "gradcam")
    torch.testing.assert_close(again.values_THW, expected[0, 0])


@pytest.mark.slow
def test_integrated_gradients_sum_to_what_the_answer_gains_over_a_blank_clip(
    questions: list[tuple[Question, Tensor]],
):
    for question, _ in questions[:2]:
        made = make_map(question, learned_3d(), "integrated_gradients")
        with torch.no_grad():
            gained = float(question.score(question.video) - question.score(blank(question.video)))
        assert float(made.values_THW.sum()) == pytest.approx(gained, rel=0.1)
        assert float(made.values_THW.sum()) - gained == pytest.approx(made.parameters["convergence_delta"], abs=1e-3)


@pytest.mark.slow
def test_a_method_that_a_network_says_too_little_for_is_refused_with_one_that_works(
    questions: list[tuple[Question, Tensor]], monkeypatch: pytest.MonkeyPatch
):
    question = questions[0][0]
    with pytest.raises(
        BadRequest,
        match="--explain-method attention_rollout: SmallCNN3D declares no attention over all tokens: "
        "--explain-method integrated_gradients needs none",
    ):
        choose_method("attention_rollout", "gradcam", learned_3d(), option="--explain-method")
    silent = nn.Sequential(nn.Flatten(), nn.Linear(FRAMES * 3 * SIDE * SIDE, 4))
    asked = ask(silent, question.video, 0)
    with pytest.raises(BadRequest, match="declares no feature_map: --method integrated_gradients needs none"):
        choose_method("gradcam", "gradcam", silent, option="--method")
    own = {
        "gradcam": "feature_map for Grad-CAM",
        "attention_rollout": "attention over all tokens for attention rollout",
    }
    for method, lacking in own.items():
        chosen = choose_method(None, method, silent, option="--method")
        assert chosen == ("integrated_gradients", f"Sequential declares no {lacking}")
    assert choose_method(None, "gradcam", learned_3d(), option="--method") == ("gradcam", "")
    silent.attention = nn.Identity()  # a layer by this name says nothing of tokens
    with pytest.raises(BadRequest, match="declares no attention over all tokens"):
        choose_method("attention_rollout", "gradcam", silent, option="--method")
    assert make_map(asked, silent, "integrated_gradients").values_THW.shape == (FRAMES, SIDE, SIDE)
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(NotInstalled, match=r"captum is not installed: pip install 'videxp\[explain\]'"):
        make_map(question, learned_3d(), "gradcam")
    with pytest.raises(NotInstalled, match=r"captum is not installed"):
        choose_method(None, "gradcam", learned_3d(), option="--method")
    assert choose_method("gradient", "gradcam", learned_3d(), option="--method") == ("gradient", "")


# ---- attention ------------------------------------------------------------------------------------------------------

T, S = 3, 48  # three steps of time, rows and columns, so that any order of tokens fits


def with_strong_attention(net: nn.Module) -> nn.Module:
    """Random weights that attend to something, and no positions to tell tokens apart by."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "embeddings" in name.split(".")[-1] or name.endswith(("pos_embed", "cls_token")):
                parameter.zero_()
            elif parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 1.5 / parameter[0].numel() ** 0.5)
    return net.eval()


def hit_rate(net: Any, stages: tuple[AttentionStage, ...], *, frames: int) -> float:
    """How often the map's maximum is the only patch of a clip that shows anything; by chance 1 of 27."""
    generator = torch.Generator().manual_seed(1)
    step, hits = frames // T, 0
    for place in np.ndindex(T, 3, 3):
        t, h, w = (slice(at * size, (at + 1) * size) for at, size in zip(place, (step, 16, 16)))
        video = torch.zeros(1, frames, 3, S, S)
        video[:, t, :, h, w] = 2 * torch.randn(3, 1, 1, generator=generator)
        with torch.no_grad():
            number = int((net(video) - net(torch.zeros_like(video)))[0].argmax())  # for which the patch speaks most

        def score(clips: Tensor, number: int = number) -> Tensor:
            return net(clips)[:, number]

        found = attention_rollout(Question("patch", video, score, score), net, stages)
        assert found.shape == (T, 3, 3)
        hits += np.unravel_index(int(found.flatten().argmax()), (T, 3, 3)) == place
    return hits / 27


SHAPE = {"num_classes": 16, "width": 24, "heads": 2, "size": S}


@pytest.mark.slow
def test_attention_rollout_finds_the_one_patch_and_misses_it_with_tokens_in_another_order():
    pytest.importorskip("transformers")
    from videxp.models.classification.huggingface import timesformer_b

    net: Any = with_strong_attention(timesformer_b(num_frames=T, depth=2, attention="joint_space_time", **SHAPE))
    assert net.attention[0].axes == ("b (1 h w t)",)
    assert hit_rate(net, net.attention, frames=T) > 0.9
    wrong = (AttentionStage("network.timesformer.encoder", ("b (1 t h w)",), "class", (1, 16, 16)),)
    assert hit_rate(net, wrong, frames=T) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timesformer_b", "videomae_b", "vivit_b"])
def test_attention_rollout_beats_chance_tenfold_for_each_network_that_declares_it(name: str):
    if name == "vivit_b":
        from videxp.models.classification.vivit import vivit_b

        net: Any = vivit_b(num_frames=2 * T, space_depth=2, time_depth=2, **SHAPE)
    else:
        pytest.importorskip("transformers")
        from videxp.models.classification import huggingface

        net = getattr(huggingface, name)(num_frames=T if name == "timesformer_b" else 2 * T, depth=2, **SHAPE)
    net = with_strong_attention(net)
    assert hit_rate(net, net.attention, frames=T if name == "timesformer_b" else 2 * T) > 0.37


@pytest.mark.slow
def test_attention_that_is_not_as_a_network_says_is_refused():
    pytest.importorskip("transformers")
    from videxp.models.classification.huggingface import videomae_b

    net: Any = videomae_b(num_frames=6, depth=1, **SHAPE).eval()
    video = torch.rand(1, 6, 3, S, S)
    question = Question("first", video, lambda clips: net(clips)[:, 0], lambda clips: net(clips)[:, 0])
    for stage, words in (
        (AttentionStage("network.videomae.encoder", ("b (1 t h w)",), "class", (2, 16, 16)), r"which is \[1, 28, 28\]"),
        (AttentionStage("network.classifier", ("b (t h w)",), "mean", (2, 16, 16)), "no attention was seen in its"),
    ):
        with pytest.raises(VidexpError, match=words):
            attention_rollout(question, net, (stage,))


@pytest.mark.slow
def test_an_answer_without_a_gradient_has_no_map(questions: list[tuple[Question, Tensor]]):
    question = questions[0][0]
    steps = ask(nn.Sequential(learned_3d(), Rounded()), question.video, 0)
    with pytest.raises(NoMap, match="SmallCNN3D: its answer has no gradient with respect to the clip, so no map"):
        make_map(steps, learned_3d(), "gradient")


@pytest.mark.slow
def test_a_network_without_weights_has_no_map():
    with pytest.raises(NoMap, match="Rounded has no weights: it has learned nothing that a map could show"):
        require_weights(Rounded())
    require_weights(learned_3d())


class Rounded(nn.Module):
    """Cuts the gradient off."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach().round()
