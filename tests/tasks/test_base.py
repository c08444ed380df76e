"""What all tasks share."""

import torch
from torch import nn

from tests.models.zoo import build_tiny
from videxp.tasks.base import parameter_groups


def test_norms_and_biases_are_not_decayed_by_default():
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.Linear(4, 2))
    decayed, plain = parameter_groups(network, decay_norms_and_biases=False)
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3, 3, 3, 3), (2, 4)]
    assert [tuple(p.shape) for p in plain["params"]] == [(4,), (4,), (4,), (2,)]
    assert plain["weight_decay"] == 0.0


def test_positions_and_class_tokens_are_not_decayed():
    """As in the configs that the authors of Video Swin and TimeSformer trained with."""
    for name, named in {"swin3d_t": "relative_position_bias_table", "vivit_b": "cls_token"}.items():
        network = build_tiny(name)
        groups = parameter_groups(network, decay_norms_and_biases=False)
        decayed, plain = ({id(p) for p in group["params"]} for group in groups)
        tables = {id(p) for key, p in network.named_parameters() if key.endswith(named)}
        assert tables and tables <= plain and not decayed & plain


def test_stock_weight_decay_shrinks_a_norm_that_has_no_gradient_and_ours_does_not():
    def norm_after_a_step(groups_of) -> float:
        norm = nn.BatchNorm1d(1)
        optimizer = torch.optim.SGD(groups_of(norm), lr=0.1, weight_decay=0.5)
        norm.weight.grad = torch.zeros(1)
        optimizer.step()
        return round(float(norm.weight.detach()), 4)

    assert norm_after_a_step(lambda norm: norm.parameters()) == 0.95
    assert norm_after_a_step(lambda norm: parameter_groups(norm, decay_norms_and_biases=False)) == 1.0


def test_frozen_parameters_are_left_out():
    network = nn.Linear(2, 2)
    network.bias.requires_grad_(False)
    (group,) = parameter_groups(network, decay_norms_and_biases=False)
    assert [tuple(p.shape) for p in group["params"]] == [(2, 2)]
