"""mAP of videos with several labels, beside scikit-learn's."""

import json
from pathlib import Path

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import distributed, multiprocessing
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


def rank_values(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    scores, target = ranked()
    shared = updated(scores[rank::2], target[rank::2])
    alone = updated(scores[: 31 * (1 - rank)], target[: 31 * (1 - rank)])  # rank 1 has nothing
    with shared.sync_context(should_sync=False):
        own = average_precision(torch.cat(list(shared.scores)), torch.cat(list(shared.targets))).nanmean().item()
    values = [own, shared.compute().item(), alone.compute().item(), alone.positives_K.sum().item()]
    (folder / f"{rank}.json").write_text(json.dumps(values))
    distributed.destroy_process_group()


def ranked() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(31, 4, generator=draw), (torch.rand(31, 4, generator=draw) < 0.3).long()


@pytest.mark.slow
def test_ranks_of_unequal_length_and_one_without_videos_give_what_one_process_gives(tmp_path: Path):
    multiprocessing.start_processes(rank_values, args=(tmp_path,), nprocs=2, start_method="forkserver")
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    scores, target = ranked()
    whole = updated(scores, target).compute().item()
    assert sum(own for own, *_ in ranks) / 2 != pytest.approx(whole, rel=1e-3)  # negative control
    for _, *together in ranks:
        assert together == [whole, whole, target.sum().item()]


def test_what_is_not_a_number_is_no_result():
    assert updated(torch.tensor([[0.5], [torch.nan]]), torch.tensor([[1], [0]])).compute().isnan()
    assert updated(torch.rand(0, 3), torch.zeros(0, 3)).by_class_K.isnan().all()
    assert MeanAveragePrecision(3).state_dict() == {}
