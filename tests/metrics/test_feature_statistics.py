import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, distributed, multiprocessing

from tests.metrics.pixel_network import PixelNetwork, bright_clips
from videxp.core.errors import BadRequest
from videxp.metrics.feature_statistics import (
    FeatureStatistics,
    StatisticsFile,
    cached_statistics,
    evenly_spread,
    merged,
    statistics_of,
)
from videxp.metrics.frechet import Moments, frechet_distance
from videxp.metrics.protocols import GenerationProtocol

PROTOCOL = GenerationProtocol(num_clips=30, num_frames=4)
FEATURES = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
INDEX = torch.arange(30)


def gathered(order: Tensor, *, batch_size: int, keep: int = 10) -> FeatureStatistics:
    statistics = FeatureStatistics(clips=30, keep=keep)
    for chosen in order.split(batch_size):
        statistics.update(FEATURES[chosen], INDEX[chosen])
    return statistics


def assert_same(a: FeatureStatistics, b: FeatureStatistics) -> None:
    assert a.clips_seen == b.clips_seen and torch.equal(a.kept_ND, b.kept_ND)
    torch.testing.assert_close(a.moments.mean_D, b.moments.mean_D)
    torch.testing.assert_close(a.moments.scatter_DD, b.moments.scatter_DD)


def test_batches_order_and_ranks_change_nothing():
    expected = gathered(INDEX, batch_size=30)
    torch.testing.assert_close(expected.moments.covariance(), FEATURES.double().T.cov())
    assert_same(gathered(torch.randperm(30, generator=torch.Generator().manual_seed(1)), batch_size=4), expected)
    assert_same(merged([gathered(INDEX[0::2], batch_size=4), gathered(INDEX[1::2], batch_size=7)]), expected)
    assert_same(merged([expected, FeatureStatistics(clips=30, keep=10)]), expected)  # a rank without a clip


def test_kept_features_are_bounded_and_spread_evenly():
    kept = gathered(INDEX, batch_size=7).kept_ND
    first = FEATURES[:10]
    assert not torch.equal(kept, first)  # of sorted data, the first ten would be of one class
    assert torch.equal(kept, FEATURES[::3])
    assert torch.equal(gathered(INDEX, batch_size=7, keep=100).kept_ND, FEATURES)
    assert len(gathered(INDEX, batch_size=7, keep=7).kept_ND) == 7
    assert len(gathered(INDEX, batch_size=7, keep=0).kept_ND) == 0


def test_a_network_that_looks_at_frames_gives_each_frame_a_row():
    video = bright_clips(30)
    frames = statistics_of(video.split(8), PixelNetwork(per_frame=True), total=30, protocol=PROTOCOL, keep=40)
    every = PixelNetwork(per_frame=True)(video)
    assert frames.clips_seen == 30 and frames.moments.count == 120 and torch.equal(frames.kept_ND, every[::3])
    torch.testing.assert_close(frames.moments.covariance(), every.double().T.cov())


def test_as_many_clips_as_the_protocol_says_spread_over_all_there_are():
    video, network = bright_clips(70), PixelNetwork()
    found = statistics_of(iter(video.split(8)), network, total=60, protocol=PROTOCOL)
    assert found.clips_seen == 30 and torch.equal(found.kept_ND, network(video[:60:2]))
    few = statistics_of(iter(video.split(8)), network, total=20, protocol=PROTOCOL)
    assert few.clips_seen == 20 and torch.equal(few.kept_ND, network(video[:20]))
    with pytest.raises(BadRequest, match="2_4f: 70 clips came, 80 were announced"):
        statistics_of(video.split(8), network, total=80, protocol=replace(PROTOCOL, num_clips=2))


def test_the_first_clips_of_sorted_data_are_not_the_data():
    ordered = bright_clips(300)[bright_clips(300).float().mean((1, 2, 3, 4)).argsort()]
    network = PixelNetwork()
    whole, first = (Moments.of(network(clips)) for clips in (ordered, ordered[:30]))
    spread = statistics_of(ordered.split(64), network, total=300, protocol=PROTOCOL).moments
    assert frechet_distance(first, whole) > 10 * frechet_distance(spread, whole)  # negative control


@pytest.mark.parametrize(("total", "count"), [(10, 3), (7, 7), (5, 9), (2048, 300), (100, 99), (5, 1), (5, 0)])
def test_evenly_spread(total, count):
    index = torch.arange(total)
    chosen = index[evenly_spread(index, total=total, count=count)]
    assert len(chosen) == min(count, total)
    if 0 < count <= total:
        assert torch.equal(chosen * count // total, torch.arange(count))
        assert chosen.diff().tolist() == [] or chosen.diff().max() - chosen.diff().min() <= 1


def cached(folder: Path, network: PixelNetwork, *, data: str = "moving_digits val", protocol=PROTOCOL):
    def compute() -> FeatureStatistics:
        return statistics_of(bright_clips(30).split(8), network, total=30, protocol=protocol)

    file = StatisticsFile(folder, data=data, protocol=protocol, network=network)
    return cached_statistics(file, compute=compute)


def test_real_statistics_are_computed_once(tmp_path):
    network = PixelNetwork()
    first = cached(tmp_path, network)
    assert network.calls == 4
    assert_same(cached(tmp_path, network), first)
    assert network.calls == 4
    assert len(list(tmp_path.iterdir())) == 1  # and no temporary file


def test_other_data_protocol_or_weights_are_other_statistics(tmp_path):
    network = PixelNetwork()
    cached(tmp_path, network)
    cached(tmp_path, network, data="moving_digits test")
    cached(tmp_path, network, protocol=GenerationProtocol(num_clips=20, num_frames=4))
    cached(tmp_path, PixelNetwork(weights="f" * 16))
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", [b"", b"{}", b"\x80\x04."])
def test_a_damaged_file_is_computed_anew(tmp_path, damage, caplog):
    network = PixelNetwork()
    first = cached(tmp_path, network)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert_same(cached(tmp_path, network), first)
    assert network.calls == 8 and "damaged" in caplog.text
    with safe_open(file, framework="pt") as content:
        assert json.loads(content.metadata()["key"])["data"] == "moving_digits val"


def on_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    calls = []

    def compute() -> FeatureStatistics:
        calls.append(rank)
        return gathered(INDEX[rank::2] if rank else INDEX[rank::2][:15], batch_size=4).over_ranks()

    # folders that are not shared
    file = StatisticsFile(folder / f"cache{rank}", data="d", protocol=PROTOCOL, network=PixelNetwork())
    found = [cached_statistics(file, compute=compute) for _ in range(2)]
    own = gathered(INDEX[rank::2], batch_size=4)
    torch.save([[f.tensors() for f in found], own.tensors(), len(calls)], folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_statistics_of_one(tmp_path):
    multiprocessing.start_processes(on_rank, args=(tmp_path,), nprocs=2, start_method="forkserver")
    expected = gathered(INDEX, batch_size=30)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for both, own, calls in found:
        assert FeatureStatistics.from_tensors(own).moments.count == 15  # negative control: a rank's own
        assert calls == 1
        for tensors in both:
            assert_same(FeatureStatistics.from_tensors(tensors), expected)
    assert torch.equal(found[0][0][0]["scatter"], found[1][0][0]["scatter"])  # to the last bit
    assert not (tmp_path / "cache1").exists()


def test_memory_does_not_grow_with_the_number_of_clips():
    sizes = []
    for batches in (4, 40):
        statistics = FeatureStatistics(clips=batches * 8, keep=16)
        for start in range(0, batches * 8, 8):
            statistics.update(torch.randn(8, 5), torch.arange(start, start + 8))
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in statistics.tensors().values()))
        kept = statistics._kept.values()
        assert sum(tensor.untyped_storage().nbytes() for tensor in kept) == 16 * 5 * 4  # no row holds its batch
    assert sizes[0] == sizes[1]


def test_moments_are_merged_in_float64():
    assert Moments.of(FEATURES).merged(Moments.of(FEATURES)).mean_D.dtype == torch.float64
