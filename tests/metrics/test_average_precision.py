"""mAP of videos with several labels, beside scikit-learn's."""

import pytest
import torch
from sklearn.metrics import average_precision_score
from torchmetrics.classification import MultilabelAveragePrecision

from videxp.metrics import MeanAveragePrecision, average_precision


def updated(scores: torch.Tensor, target: torch.Tensor, *, batch_size: int = 7) -> MeanAveragePrecision:
    metric = MeanAveragePrecision(scores.shape[1])
    for chosen in torch.arange(len(scores)).split(batch_size):
        metric.update(scores[chosen], target[chosen].float())
    return metric


def test_values_counted_by_hand():
    scores = torch.tensor([[0.9, 0.5], [0.8, 0.5], [0.7, 0.5], [0.6, 0.1]])
    target = torch.tensor([[1, 1], [0, 0], [1, 0], [0, 0]])
    # hits at ranks 1 and 3: (1/1 + 2/3) / 2; three of the same score pass together, one of them a hit: 1/3
    assert average_precision(scores, target).tolist() == pytest.approx([5 / 6, 1 / 3])


@pytest.mark.parametrize("decimals", [1, 6])  # with many equal scores, and with none
def test_it_is_scikit_learns(decimals: int):
    draw = torch.Generator().manual_seed(decimals)
    scores = torch.rand(200, 9, generator=draw).round(decimals=decimals)
    target = (torch.rand(200, 9, generator=draw) < 0.2).long()
    wanted = [average_precision_score(target[:, k], scores[:, k]) for k in range(9)]
    metric = updated(scores, target)
    assert metric.compute().item() == pytest.approx(sum(wanted) / 9, abs=1e-6)
    assert metric.by_class_K.tolist() == pytest.approx(wanted, abs=1e-12)
    stock = MultilabelAveragePrecision(9, average="macro")
    assert stock(scores, target).item() == pytest.approx(sum(wanted) / 9, abs=1e-5)


@pytest.mark.filterwarnings("ignore:No positive samples found")
def test_a_class_without_a_positive_is_left_out_and_counted():
    scores = torch.tensor([[0.9, 0.3], [0.1, 0.2]])
    target = torch.tensor([[1, 0], [0, 0]])
    assert MultilabelAveragePrecision(2, average="macro")(scores, target).item() == 0.5  # negative control
    metric = updated(scores, target)
    assert metric.compute().item() == 1.0
    assert metric.positives_K.tolist() == [1, 0] and metric.by_class_K[1].isnan()


def test_ranks_of_unequal_length_add_up_to_one_process():
    draw = torch.Generator().manual_seed(0)
    scores, target = torch.rand(31, 4, generator=draw), (torch.rand(31, 4, generator=draw) < 0.3).long()
    parts = [updated(scores[rank::2], target[rank::2]) for rank in (0, 1)]
    mean_of_ranks = sum(part.compute() for part in parts) / 2
    whole = updated(scores, target).compute()
    assert mean_of_ranks != whole  # negative control
    first, second = parts
    first.scores, first.targets = torch.cat(first.scores + second.scores), torch.cat(first.targets + second.targets)
    first._computed = None  # what torchmetrics leaves after its ranks have met
    torch.testing.assert_close(first.compute(), whole)


def test_what_is_not_a_number_is_no_result():
    assert updated(torch.tensor([[0.5], [torch.nan]]), torch.tensor([[1], [0]])).compute().isnan()
    assert updated(torch.rand(0, 3), torch.zeros(0, 3)).by_class_K.isnan().all()
    assert MeanAveragePrecision(3).state_dict() == {}
