import json
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing
from torch.utils.data import DistributedSampler
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from videxp.metrics import accuracy_by_class, classification_metrics

# 5 videos, 6 classes; top-1 right for videos 0, 2 and 4: 3/5. Padding for 2 ranks repeats video 0: 4/6.
LABEL = torch.tensor([0, 1, 2, 1, 0])
PREDICTED = torch.tensor([0, 3, 2, 2, 0])
PROBABILITIES = torch.nn.functional.one_hot(PREDICTED, 6) * 0.5 + torch.linspace(0.1, 0.0, 6)


def updated(indices: list[int], *, batch_size: int) -> MetricCollection:
    metrics = MetricCollection(classification_metrics(6), compute_groups=False)
    for chosen in torch.tensor(indices).split(batch_size):
        metrics.update(PROBABILITIES[chosen], LABEL[chosen])
    return metrics


def plain(values: dict) -> dict:
    return {name: value.tolist() for name, value in values.items()}


def test_values_counted_by_hand():
    values = plain(updated([0, 1, 2, 3, 4], batch_size=2).compute())
    confusion = torch.zeros(6, 6, dtype=torch.long)
    confusion[0, 0], confusion[1, 3], confusion[2, 2], confusion[1, 2] = 2, 1, 1, 1
    assert values.pop("confusion") == confusion.tolist()
    # classes 0 and 2 are always right, 1 never; class 5 ranks last throughout, so that the top 5 hold every label
    assert values == pytest.approx({"accuracy": 0.6, "accuracy_top5": 1.0, "accuracy_per_class": 2 / 3})


def test_torchmetrics_macro_average_counts_a_class_without_videos():
    """Negative control: class 3 has no video, but is predicted once."""
    macro = MulticlassAccuracy(6, average="macro")
    assert macro(PROBABILITIES, LABEL).item() == pytest.approx(2 / 4)


def test_top5_falls_away_where_it_would_always_be_right():
    assert set(classification_metrics(5)) == {"accuracy", "accuracy_per_class", "confusion"}
    assert "accuracy_top5" in classification_metrics(6)


def test_top5_is_wrong_only_where_the_label_ranks_sixth():
    top5 = classification_metrics(6)["accuracy_top5"]
    ranked = torch.tensor([[0.3, 0.25, 0.2, 0.15, 0.07, 0.03]]).expand(6, -1)
    top5.update(ranked, torch.arange(6))
    assert top5.compute().item() == pytest.approx(5 / 6)


def test_accuracy_by_class_is_nan_where_a_class_has_no_video():
    by_class = accuracy_by_class(torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]]))
    assert by_class[:2].tolist() == [0.75, 1.0] and by_class[2].isnan()


def test_metrics_add_no_keys_to_a_checkpoint():
    assert updated([0, 1], batch_size=2).state_dict() == {}


def rank_values(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    unpadded = list(range(rank, 5, 2))  # 3 videos on rank 0, in batches of 2 and 1; 2 on rank 1
    padded = list(DistributedSampler(LABEL, num_replicas=2, rank=rank, shuffle=False))
    values = [plain(updated(indices, batch_size=2).compute()) for indices in (unpadded, padded)]
    (folder / f"{rank}.json").write_text(json.dumps(values))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_with_an_uneven_last_batch_give_what_one_gives(tmp_path):
    multiprocessing.start_processes(rank_values, args=(tmp_path,), nprocs=2, start_method="forkserver")
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    whole = plain(updated([0, 1, 2, 3, 4], batch_size=5).compute())
    for unpadded, padded in ranks:
        assert unpadded == whole
        assert padded["accuracy"] == pytest.approx(4 / 6)  # negative control: video 0 was counted twice
