"""Calibration beside torchmetrics and scikit-learn, and the temperature."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import brier_score_loss, log_loss
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from videxp.evaluation.calibration import (
    Probabilities,
    adaptive_error,
    bin_of,
    chance_errors,
    describe_calibration,
    expected_error,
    reliability,
    save_reliability,
)
from videxp.evaluation.errors import error_lines
from videxp.evaluation.temperature import fit_temperature

CLASSES = ["a", "b", "c", "d"]


def made(*, count: int = 500, sharpness: float = 1.0, seed: int = 0) -> Probabilities:
    """Labels drawn from softmax(z), answers softmax(sharpness * z): calibrated at 1, too sure above."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(count, 4), scale=1.5))
    true = logits.softmax(1).numpy()
    target = np.array([rng.choice(4, p=p / p.sum()) for p in true])
    return Probabilities((sharpness * logits).softmax(1).numpy(), target)


def several(*, count: int = 200, seed: int = 0) -> Probabilities:
    rng = np.random.default_rng(seed)
    given = rng.random((count, 4))
    return Probabilities(given, (rng.random((count, 4)) < given**2).astype(float))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_errors_are_those_of_torchmetrics_and_scikit_learn(sharpness: float):
    one = made(sharpness=sharpness)
    found = describe_calibration(one, classes=CLASSES)
    given, target = torch.from_numpy(one.given_NK), torch.from_numpy(one.target)
    for name, norm in (("ece", "l1"), ("mce", "max")):
        reference = multiclass_calibration_error(given, target, num_classes=4, n_bins=15, norm=norm)
        assert found[name] == pytest.approx(float(reference), abs=1e-6), name
    assert found["nll"] == pytest.approx(log_loss(one.target, one.given_NK, labels=range(4)))
    assert found["nll"] == pytest.approx(float(F.nll_loss(given.log(), target)))
    assert found["brier"] == pytest.approx(((given - F.one_hot(target, 4)) ** 2).sum(1).mean().item())
    assert found["accuracy"] == (one.given_NK.argmax(1) == one.target).mean()
    assert sum(row["count"] for row in found["reliability"]) == 500


def test_of_several_labels_each_class_of_each_video_is_an_answer():
    one = several()
    found = describe_calibration(one, classes=CLASSES)
    given, target = torch.from_numpy(one.given_NK), torch.from_numpy(one.target).long()
    reference = binary_calibration_error(given.flatten(), target.flatten(), n_bins=15)
    assert found["ece"] == pytest.approx(float(reference), abs=1e-6)
    assert found["nll"] == pytest.approx(float(F.binary_cross_entropy(given, target.double())))
    for k, row in enumerate(found["classes"]):
        assert row["class"] == CLASSES[k] and row["videos"] == target[:, k].sum()
        alone = binary_calibration_error(given[:, k].contiguous(), target[:, k].contiguous(), n_bins=15)
        assert row["ece"] == pytest.approx(float(alone), abs=1e-6)
        assert row["brier"] == pytest.approx(brier_score_loss(target[:, k], given[:, k]))


def test_a_confidence_of_one_belongs_to_the_last_bin():
    """torchmetrics 1.9 gives it a sixteenth bin of its own."""
    assert bin_of(np.array([0.0, 1 / 15, 0.0667, 1.0])).tolist() == [0, 0, 1, 14]
    one = Probabilities(np.array([[1.0, 0.0], [0.95, 0.05]]), np.array([0, 1]))
    assert expected_error(*one.answers, bin_of(one.answers[0])) == pytest.approx(abs((1.0 + 0.95) / 2 - 0.5))


def test_adaptive_bins_hold_as_many_answers_each():
    confidence = np.linspace(0.5, 0.99, 30)
    right = np.arange(30) % 3 == 0
    by_hand = np.mean([abs(right[i : i + 2].mean() - confidence[i : i + 2].mean()) for i in range(0, 30, 2)])
    assert adaptive_error(confidence, right.astype(float)) == pytest.approx(by_hand)


def test_few_answers_of_a_calibrated_network_have_an_error_too():
    """ECE of 40 answers is far from 0 by chance alone: the section says how far."""
    errors = [describe_calibration(made(count=40, seed=seed), classes=CLASSES) for seed in range(40)]
    assert np.mean([one["ece"] for one in errors]) > 0.1
    expected = np.mean([one["ece_if_calibrated"]["mean"] for one in errors])
    assert np.mean([one["ece"] for one in errors]) == pytest.approx(expected, rel=0.1)
    above = sum(one["ece"] > one["ece_if_calibrated"]["p95"] for one in errors)
    assert above <= 6  # 2 expected
    sure = describe_calibration(made(count=40, sharpness=5), classes=CLASSES)
    assert sure["ece"] > sure["ece_if_calibrated"]["p95"]


def test_the_temperature_undoes_what_made_the_network_too_sure():
    val, test = made(sharpness=2.5, count=2000), made(sharpness=2.5, seed=1)
    found = fit_temperature(val).describe(test)
    logits, target = torch.from_numpy(val.given_NK).log(), torch.from_numpy(val.target)
    temperature = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits / temperature, target)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert found["temperature"] == pytest.approx(temperature.item(), rel=1e-3)
    assert found["temperature"] == pytest.approx(2.5, rel=0.15)
    assert found["test"]["after"]["ece"] < 0.5 * found["test"]["before"]["ece"]
    assert found["fitted_on"] == {"split": "val", "videos": 2000}
    scaled = (torch.from_numpy(test.given_NK).log() / 2).softmax(1)
    assert test.at(2.0).given_NK == pytest.approx(scaled.numpy())
    sigmoids = several()
    halved = (torch.from_numpy(sigmoids.given_NK).logit() / 2).sigmoid()
    assert sigmoids.at(2.0).given_NK == pytest.approx(halved.numpy())


def test_a_temperature_at_the_end_of_what_is_tried_says_why():
    right = fit_temperature(Probabilities(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])))
    wrong = fit_temperature(Probabilities(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([1, 0])))
    assert (right.limit, wrong.limit) == ("all are answered right", "answered as by chance")
    assert right.value == pytest.approx(0.05, rel=0.01) and wrong.value == pytest.approx(20, rel=0.01)


def test_nothing_depends_on_the_order_of_the_videos():
    one = made(count=100)
    order = np.random.default_rng(5).permutation(100)
    other = Probabilities(one.given_NK[order], one.target[order])
    assert describe_calibration(one, classes=CLASSES) == describe_calibration(other, classes=CLASSES)
    assert (chance_errors(one.answers[0]) == chance_errors(other.answers[0])).all()
    assert reliability(one) == reliability(other)


@pytest.mark.slow
def test_the_picture_has_the_figures_of_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    section = describe_calibration(made(sharpness=3), classes=CLASSES)
    section["temperature"] = fit_temperature(made(sharpness=3, seed=2)).describe(made(sharpness=3))
    with Image.open(save_reliability(section, tmp_path / "reliability.png")) as picture:
        assert min(picture.size) > 300
    titles = []
    monkeypatch.setattr("videxp.tasks.pictures.saved", lambda drawn, _: titles.append(drawn.axes[0].get_title()))
    save_reliability(section, tmp_path / "reliability.png")
    told, *_ = error_lines({"calibration": section, "views": {}, "confusions": [], "slices": {}})
    by_chance = section["ece_if_calibrated"]["p95"]
    assert titles == [f"ECE {section['ece']:.3f} (15 bins; chance alone: up to {by_chance:.3f})"]
    assert told == f"calibration: {titles[0]}, Brier {section['brier']:.3f}"
