import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.losses import (
    PathLengthPenalty,
    category_loss,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    path_lengths,
    r1_penalty,
)

KINDS = ["non_saturating", "hinge", "least_squares", "wasserstein"]
REAL, FAKE = torch.tensor([[2.0], [0.0]]), torch.tensor([[-1.0], [0.5]])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


@pytest.mark.parametrize(
    ("kind", "of_discriminator", "of_generator"),
    [
        (
            "non_saturating",
            (softplus(-2) + softplus(0) + softplus(-1) + softplus(0.5)) / 2,
            (softplus(1) + softplus(-0.5)) / 2,
        ),
        ("hinge", (0 + 1 + 0 + 1.5) / 2, 0.25),
        ("least_squares", (1 + 1 + 1 + 0.25) / 4, (4 + 0.25) / 4),
        ("wasserstein", -0.25 - 1.0, 0.25),
    ],
)
def test_losses_of_two_clips_by_hand(kind: str, of_discriminator: float, of_generator: float):
    assert discriminator_loss(REAL, FAKE, kind=kind).item() == pytest.approx(of_discriminator)
    assert generator_loss(FAKE, kind=kind).item() == pytest.approx(of_generator)


def test_non_saturating_is_the_binary_cross_entropy_of_torch_and_does_not_overflow():
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(REAL)
    expected = F.binary_cross_entropy_with_logits(REAL, ones) + F.binary_cross_entropy_with_logits(FAKE, zeros)
    assert discriminator_loss(REAL, FAKE, kind="non_saturating").item() == pytest.approx(expected.item())
    sure = torch.tensor([[-200.0]])
    assert (-torch.sigmoid(sure).log()).isinf().all()  # as equation 1 is written
    assert generator_loss(sure, kind="non_saturating").item() == pytest.approx(200)


# Where p = 0.8 of the clips at a point are real and q = 0.2 fake, the logit that minimizes the loss there is known.
@pytest.mark.parametrize(
    ("kind", "best"),
    [
        ("non_saturating", math.log(0.8 / 0.2)),  # sigmoid(D) = p / (p + q)
        ("least_squares", 0.8),  # p / (p + q)
        ("hinge", 1.0),  # sign(p - q)
    ],
)
def test_the_optimal_discriminator_is_the_one_of_the_paper(kind: str, best: float):
    def slope(value: float) -> float:
        """Of the loss where 8 of 10 clips are real; each mean is over its own clips, so weigh them by their shares."""
        logit = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        other = logit.detach()
        real = discriminator_loss(logit, other, kind=kind)
        fake = discriminator_loss(other, logit, kind=kind)
        return torch.autograd.grad(0.8 * real + 0.2 * fake, logit)[0].item()

    assert slope(best - 0.01) < 0 < slope(best + 0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences_and_pull_apart(kind: str):
    real, fake = (x.double().requires_grad_() for x in (torch.randn(3, 2), torch.randn(3, 2)))
    assert torch.autograd.gradcheck(lambda r, f: discriminator_loss(r, f, kind=kind), (real, fake))
    assert torch.autograd.gradcheck(lambda f: generator_loss(f, kind=kind), (fake,))
    at_zero = torch.zeros(1, 1, requires_grad=True)
    generator_loss(at_zero, kind=kind).backward()
    assert at_zero.grad is not None and at_zero.grad.item() < 0  # the generator wants higher logits


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"kind='log' is none of non_saturating, hinge"):
        discriminator_loss(REAL, FAKE, kind="log")
    with pytest.raises(ValueError, match=r"kind='log' is none of non_saturating, hinge"):
        generator_loss(FAKE, kind="log")


def test_the_bound_of_mutual_information_is_reached_when_categories_are_recognized():
    category = torch.tensor([0, 1, 2])
    entropy = math.log(3)
    assert entropy - category_loss(torch.zeros(3, 3), category).item() == pytest.approx(0, abs=1e-6)
    assert entropy - category_loss(100 * torch.eye(3), category).item() == pytest.approx(entropy)


class LinearJudge(nn.Module):
    """D(x) = 3 x0 + 4 x1 for each clip: its gradient is (3, 4) everywhere, of length 5."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))

    def forward(self, clips: Tensor) -> Tensor:
        return (clips.flatten(1) @ self.weight)[:, None]


def test_penalties_of_a_linear_discriminator_by_hand():
    judge = LinearJudge()
    real, fake = torch.randn(3, 1, 2, dtype=torch.float64), torch.randn(3, 1, 2, dtype=torch.float64)
    assert r1_penalty(judge, real).item() == pytest.approx(25)
    penalty = gradient_penalty(judge, real, fake, real_share=torch.rand(3))
    assert penalty.item() == pytest.approx(16)
    (gradient,) = torch.autograd.grad(penalty, judge.weight)
    assert gradient.tolist() == pytest.approx([2 * 4 * 3 / 5, 2 * 4 * 4 / 5])  # 2 (|w| - 1) w / |w|


def test_penalties_differentiate_a_second_time():
    weight = torch.randn(4, dtype=torch.float64, requires_grad=True)
    real, fake = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)

    def judged_by(w: Tensor):
        return lambda clips: (clips * w).tanh().square() @ w[:, None]

    assert torch.autograd.gradcheck(lambda w: r1_penalty(judged_by(w), real), (weight,))
    share = torch.tensor([0.25, 0.75])
    assert torch.autograd.gradcheck(lambda w: gradient_penalty(judged_by(w), real, fake, real_share=share), (weight,))


def test_the_penalty_looks_between_real_and_fake_clip_by_clip():
    seen = []

    def judge(clips: Tensor) -> Tensor:
        seen.append(clips.detach().clone())
        return clips.sum(dim=1, keepdim=True)

    gradient_penalty(judge, torch.ones(3, 2), torch.zeros(3, 2), real_share=torch.tensor([0.0, 0.25, 1.0]))
    assert seen[0].tolist() == [[0, 0], [0.25, 0.25], [1, 1]]


def test_patches_count_as_one_judgement_however_many_there_are():
    def one(clips: Tensor) -> Tensor:
        return clips.sum(dim=1, keepdim=True)

    def patches(clips: Tensor) -> Tensor:
        return one(clips).expand(-1, 9)

    real = torch.randn(3, 4)
    assert r1_penalty(patches, real).item() == pytest.approx(r1_penalty(one, real).item()) == pytest.approx(4)


def test_path_lengths_of_a_linear_generator_are_known():
    code = torch.randn(2, 3, requires_grad=True)
    video = 2 * code[:, None, :, None, None].expand(2, 4, 3, 5, 5)  # 3 channels, each moved by its own code
    noise = torch.ones(2, 4, 3, 5, 5)
    # J^T y = 2 * 100 / sqrt(100) for each of three codes
    assert path_lengths(video, code, noise=noise).tolist() == pytest.approx([20 * math.sqrt(3)] * 2)


def test_path_lengths_do_not_depend_on_the_resolution_of_a_smooth_generator():
    lengths = {}
    for size in (2, 8):
        code = torch.randn(2000, 1, requires_grad=True)
        video = code[:, :, None, None, None].expand(2000, 1, 3, size, size) * 1.0
        lengths[size] = path_lengths(video, code, noise=torch.randn(video.shape)).square().mean().item()
    assert lengths[2] == pytest.approx(3, rel=0.2) and lengths[8] == pytest.approx(3, rel=0.2)  # E y^2 of 3 channels


def test_the_running_mean_of_path_lengths_moves_by_a_hundredth_and_is_kept():
    penalty = PathLengthPenalty()
    lengths = torch.tensor([4.0, 6.0], requires_grad=True)
    assert penalty(lengths).item() == pytest.approx(((4 - 0.05) ** 2 + (6 - 0.05) ** 2) / 2)
    assert penalty.state_dict()["mean"].item() == pytest.approx(0.05)
    penalty(lengths, mean_length=torch.tensor(1.05))
    assert penalty.mean.item() == pytest.approx(0.06)


def test_the_penalty_pulls_lengths_towards_their_mean():
    penalty = PathLengthPenalty(decay=0.0)
    lengths = torch.tensor([4.0, 6.0], requires_grad=True)
    penalty(lengths).backward()
    assert lengths.grad is not None and lengths.grad.tolist() == [-1, 1]
