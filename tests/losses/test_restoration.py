import copy
import math

import pytest
import torch
from torch import Tensor, nn

from videxp.config.building import build
from videxp.core.errors import BadRequest
from videxp.losses import L1, L2, Charbonnier, TemporalDifference, WarpingConsistency, WeightedLosses

TARGET = torch.rand(2, 3, 3, 8, 10, generator=torch.Generator().manual_seed(0))


class Shift(nn.Module):
    """A flow of 2 pixels to the right, from the earlier frame to the later; it has a parameter, as networks have."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = nn.Parameter(torch.tensor([-2.0, 0.0]))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.pixels[:, None, None].expand(len(a), -1, *a.shape[-2:])


def moving(*, brightness: tuple[float, ...]) -> Tensor:
    """A ramp that moves 2 pixels to the right from frame to frame, and gets brighter: [1,T,3,8,10]."""
    ramp = torch.linspace(0.1, 0.5, 10).expand(3, 8, 10)
    step = 0.4 / 9
    return torch.stack([ramp - 2 * step * t + value for t, value in enumerate(brightness)])[None]


@pytest.mark.parametrize(
    ("loss", "value"), [(L1(), 0.3), (L2(), 0.09), (Charbonnier(), 0.3), (Charbonnier(eps=0.16), 0.5)]
)
def test_a_constant_error_costs_what_the_formula_says(loss, value):
    assert loss(TARGET + 0.3, TARGET).item() == pytest.approx(value, rel=1e-5)


def test_they_are_torchs_where_torch_has_them():
    output = TARGET.flip(0)
    assert L1()(output, TARGET).item() == pytest.approx(nn.L1Loss()(output, TARGET).item())
    assert L2()(output, TARGET).item() == pytest.approx(nn.MSELoss()(output, TARGET).item())


def test_charbonnier_is_smooth_where_nothing_differs():
    def gradient(norm: nn.Module) -> float:
        output = torch.zeros(1, requires_grad=True)
        norm(output, torch.zeros(1)).backward()
        assert output.grad is not None
        return output.grad.item()

    class Root(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (a - b).square().sqrt().mean()

    assert math.isnan(gradient(Root()))  # negative control
    assert gradient(Charbonnier()) == 0


def test_half_precision_does_not_swallow_eps():
    same = torch.zeros(4).half()
    assert ((same - same).square() + 1e-12).sqrt().mean() == 0  # negative control: its gradient would be NaN
    assert Charbonnier()(same, same).item() == pytest.approx(1e-6)


def test_temporal_difference_sees_flicker_and_no_bias():
    steady, flicker = TARGET + 0.2, TARGET.clone()
    flicker[:, 1] += 0.2  # up and down again
    assert L1()(steady, TARGET) > L1()(flicker, TARGET)  # negative control
    assert TemporalDifference()(steady, TARGET).item() == pytest.approx(0, abs=1e-7)
    assert TemporalDifference()(flicker, TARGET).item() == pytest.approx(0.2)


def test_warping_consistency_follows_the_motion():
    target = moving(brightness=(0.0, 0.0, 0.0))
    inner = slice(2, None)  # what moved in from the left has no origin

    def loss(output: Tensor, *, alpha: float = 50.0) -> float:
        return WarpingConsistency(flow=Shift(), alpha=alpha)(output[..., inner], target[..., inner]).item()

    assert (target[:, 1:] - target[:, :-1]).abs().mean() > 0.05  # negative control: without motion
    assert loss(target) < 0.03
    assert loss(moving(brightness=(0.0, 0.1, 0.2)), alpha=0) > loss(target, alpha=0) + 0.05


def test_warping_consistency_forgives_where_the_targets_motion_is_wrong():
    target = moving(brightness=(0.0, 0.5))  # a flash: warping does not explain the target itself
    assert WarpingConsistency(flow=Shift())(target, target) < 1e-3
    assert WarpingConsistency(flow=Shift(), alpha=0)(target, target) > 0.4  # negative control


def test_a_network_within_a_loss_is_in_no_checkpoint_and_is_not_trained():
    class Registered(nn.Module):
        def __init__(self, flow: nn.Module) -> None:
            super().__init__()
            self.flow = flow

    assert list(Registered(Shift()).state_dict()) == ["flow.pixels"]  # negative control
    loss = WarpingConsistency(flow=Shift())
    assert loss.state_dict() == {} and list(loss.parameters()) == []
    output = TARGET.clone().requires_grad_()
    copy.deepcopy(loss)(output, TARGET).backward()
    assert output.grad is not None and output.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", [TemporalDifference(), WarpingConsistency(flow=Shift())])
def test_clips_of_one_frame_cost_nothing_over_time(loss):
    output = TARGET[:, :1].clone().requires_grad_()
    value = loss(output, TARGET[:, :1])
    value.backward()
    assert value == 0 and output.grad is not None and output.grad.abs().sum() == 0


# ---- the weighted sum -----------------------------------------------------------------------------------------------


def test_a_recipes_losses_are_weighted_for_the_sum_and_plain_for_the_log():
    losses = build(
        {
            "charbonnier": {"_target_": "videxp.losses.Charbonnier", "eps": 1e-6},
            "l2": {"_target_": "videxp.losses.L2", "weight": 0.5},
        }
    )
    total, terms = WeightedLosses(losses)(TARGET + 0.2, TARGET)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx({"charbonnier": 0.2, "l2": 0.04}, 1e-4)
    assert total.item() == pytest.approx(0.22, rel=1e-4)


def test_the_sum_is_differentiated_and_the_terms_are_not():
    output = TARGET.clone().requires_grad_()
    total, terms = WeightedLosses({"l1": L1(), "l2": L2()})(output, TARGET)
    assert total.requires_grad and not any(term.requires_grad for term in terms.values())


def test_shapes_that_differ_are_refused():
    one = TARGET[:1]
    with pytest.warns(UserWarning, match="broadcast"):
        assert nn.MSELoss()(one, TARGET) > 0  # negative control: torch goes on
    with pytest.raises(ValueError, match=r"output is \[1, 3, 3, 8, 10\], its target \[2, 3, 3, 8, 10\]"):
        WeightedLosses({"l2": L2()})(one, TARGET)


def test_none_at_all_is_refused():
    with pytest.raises(BadRequest, match=r"losses: none given.*videxp.losses.Charbonnier"):
        WeightedLosses({})


def test_a_loss_of_other_frames_is_of_these_and_left_out_where_they_are_not_given():
    losses = WeightedLosses({"l1": L1(), "cleaning": L2(of="cleaned", weight=10.0)})
    assert losses.intermediates == {"cleaning": "cleaned"}
    small = TARGET[..., :4, :4]
    total, terms = losses(TARGET + 0.2, TARGET, {"cleaned": (small + 0.1, small)})
    assert {name: term.item() for name, term in terms.items()} == pytest.approx({"l1": 0.2, "cleaning": 0.01}, 1e-4)
    assert total.item() == pytest.approx(0.3, rel=1e-4)
    assert set(losses(TARGET + 0.2, TARGET)[1]) == {"l1"}
    with pytest.raises(ValueError, match=r"the network's cleaned is \[2, 3, 3, 4, 4\], its target \[2, 3, 3, 8, 10\]"):
        losses(TARGET, TARGET, {"cleaned": (small, TARGET)})
    with pytest.raises(BadRequest, match="losses: none is of the output: a of cleaned"):
        WeightedLosses({"a": L1(of="cleaned")})
