"""`model.stochastic_depth` (drop path) reaches the blocks of every model that has it."""

import inspect

import pytest
import torch
from torchvision.ops import StochasticDepth

from tests.models.zoo import ALWAYS, MODELS, build

HAVE_IT = [name for name in ALWAYS if "stochastic_depth" in inspect.signature(MODELS[name].constructor).parameters]


def rates(name: str, **arguments) -> list[float]:
    with torch.device("meta"):
        return [module.p for module in build(name, **arguments).modules() if isinstance(module, StochasticDepth)]


def test_the_models_of_papers_that_train_with_it_have_it():
    assert {"mvit_v1_b", "mvit_v2_s", "swin3d_b", "swin3d_s", "swin3d_t", "uniformer_s"} <= set(HAVE_IT)


@pytest.mark.slow
@pytest.mark.parametrize("name", HAVE_IT)
def test_the_chance_that_a_block_is_left_out_grows_evenly_to_the_asked_one(name):
    """Huang et al. 2016, "Deep Networks with Stochastic Depth", equation 4: from 0 at the first block, but for MoViNet,
    whose authors count from 1."""
    found = rates(name, stochastic_depth=0.4)
    evenly = torch.linspace(0, 0.4, len(found) + name.startswith("movinet"))[-len(found) :]
    assert found == pytest.approx(evenly.tolist())
    assert len(found) > 10 and not any(rates(name, stochastic_depth=0.0))
