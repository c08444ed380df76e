import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.image.inception import InceptionScore as ImageInceptionScore

from videxp.metrics.inception_score import InceptionScore

LOGITS = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) * 3
INDEX = torch.arange(50)


def score(logits: torch.Tensor, *, splits: int = 1) -> tuple[float, float]:
    metric = InceptionScore(num_classes=logits.shape[1], splits=splits)
    for chosen in INDEX[: len(logits)].split(16):
        metric.update(logits[chosen], chosen)
    mean, std = metric.compute()
    return float(mean), float(std)


def test_the_bounds():
    sure = torch.eye(5).repeat(4, 1) * 1000
    probabilities = sure.softmax(1)
    assert (probabilities * probabilities.log()).sum().isnan()  # negative control: 0 log 0
    assert score(sure) == pytest.approx((5, 0))  # sure of each clip, all classes alike
    assert score(sure[:1].repeat(20, 1)) == pytest.approx((1, 0))  # always the same
    assert score(torch.zeros(20, 5)) == pytest.approx((1, 0))  # never sure


def test_one_split_meets_torchmetrics():
    with pytest.warns(UserWarning, match="large memory footprint"):  # negative control: it keeps every clip
        reference = ImageInceptionScore(feature=nn.Flatten(), splits=1)
    reference.update(LOGITS[:, :, None, None])
    with pytest.warns(UserWarning, match="degrees of freedom"):  # the deviation over one split
        expected = float(reference.compute()[0])
    assert score(LOGITS)[0] == pytest.approx(expected, rel=1e-6)


def test_splits_are_those_of_the_formula():
    parts = [LOGITS[s::5].double().softmax(1).numpy() for s in range(5)]
    values = [np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()) for p in parts]
    assert score(LOGITS, splits=5) == pytest.approx((np.mean(values), np.std(values)))


def test_probabilities_may_be_given():
    metric = InceptionScore(num_classes=7, splits=1, given="probabilities")
    metric.update(LOGITS.softmax(1), INDEX)
    assert float(metric.compute()[0]) == pytest.approx(score(LOGITS)[0], rel=1e-6)


def test_states_add_up_over_ranks_and_do_not_grow():
    ranks = [InceptionScore(num_classes=7, splits=2) for _ in range(2)]
    for rank, metric in enumerate(ranks):
        metric.update(LOGITS[rank::2], INDEX[rank::2])
    whole = InceptionScore(num_classes=7, splits=2)
    whole.update(LOGITS, INDEX)
    for name, reduction in whole._reductions.items():
        parts = torch.stack([getattr(metric, name) for metric in ranks])
        torch.testing.assert_close(reduction(parts), getattr(whole, name))
    assert sum(getattr(whole, name).numel() for name in whole._defaults) == 2 * 7 + 2 + 2
