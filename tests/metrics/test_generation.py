import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.metrics.pixel_network import PixelNetwork, bright_clips
from videxp.core.errors import BadRequest, VidexpError
from videxp.metrics.feature_statistics import evenly_spread, in_first_half, merged, statistics_of
from videxp.metrics.frechet import Moments, frechet_distance
from videxp.metrics.generation import frechet_figure, generation_figures, reference_figures
from videxp.metrics.protocols import GenerationProtocol
from videxp.tasks.generation_scores import RealStatistics

PROTOCOL = GenerationProtocol(num_clips=60, num_frames=4)
NETWORK = PixelNetwork()
REAL = bright_clips(60)


def statistics(video: torch.Tensor):
    return statistics_of(video.split(16), NETWORK, total=len(video), protocol=PROTOCOL)


def values(generated: torch.Tensor) -> dict[str, float]:
    figures = generation_figures(statistics(REAL), statistics(generated), protocol=PROTOCOL, network=NETWORK)
    return {figure.name: figure.value for figure in figures}


def test_every_figure_says_what_it_was_measured_on():
    figures = generation_figures(
        statistics(REAL[:50]), statistics(bright_clips(60, seed=1)), protocol=PROTOCOL, network=NETWORK
    )
    assert [figure.name for figure in figures] == [
        "frechet_distance_pixels_60_4f",
        "kernel_distance_pixels_60_4f",
        "precision_pixels",
        "recall_pixels",
        "diversity_pixels",
        "diversity_pixels_real",
    ]
    for figure in figures:
        assert "50 real, 60 generated clips of 4 frames" in str(figure) and "sha256:0123456789ab" in str(figure)
    assert "3 nearest neighbors of 50 and 60 kept features" in str(figures[2])


def test_good_collapsed_and_wrong_clips_are_told_apart():
    good, wrong = values(bright_clips(60, seed=1)), values(bright_clips(60, seed=2, darker=0.7))
    collapsed = values(bright_clips(1, seed=3).expand(60, -1, -1, -1, -1))
    distance = "frechet_distance_pixels_60_4f"
    assert good[distance] < wrong[distance] / 5 and good[distance] < collapsed[distance] / 5
    assert good["precision_pixels"] > 0.8 and good["recall_pixels"] > 0.8
    assert collapsed["diversity_pixels"] == 0 and collapsed["recall_pixels"] < 0.1
    assert good["diversity_pixels"] == pytest.approx(good["diversity_pixels_real"], rel=0.2)
    assert wrong["recall_pixels"] < 0.5 < wrong["precision_pixels"]


def test_clips_of_broken_numbers_give_nan_and_no_crash():
    broken = bright_clips(60) / 255
    network = PixelNetwork()
    real, generated = statistics(REAL), statistics(REAL)
    generated.moments = Moments.of(network(broken) * torch.nan)
    assert math.isnan(frechet_figure(real, generated, protocol=PROTOCOL, network=network).value)


def test_a_name_does_not_promise_more_clips_than_there_were():
    with pytest.raises(BadRequest, match="60 generated with at most as many real clips, not 40 with 60: set num_clips"):
        frechet_figure(statistics(REAL), statistics(REAL[:40]), protocol=PROTOCOL, network=NETWORK)


def halves_of(features: torch.Tensor) -> tuple[Moments, Moments]:
    """Of the features of each clip [N,...,D], drawn by numpy alone."""
    count = len(features)
    order = np.random.Generator(np.random.Philox(np.random.SeedSequence((0, 12, 0, 0)))).permutation(count)
    first = torch.from_numpy(order % 2 == 0)
    return Moments.of(features[first].flatten(0, -2)), Moments.of(features[~first].flatten(0, -2))


def test_reference_figures_frame_what_a_generator_can_reach():
    figures = reference_figures(REAL.split(16), NETWORK, total=60, protocol=PROTOCOL)
    assert figures["halves"].value == pytest.approx(frechet_distance(*halves_of(NETWORK(REAL)[:, None])))
    assert figures["halves"].name == "frechet_distance_pixels_30_4f"
    assert "30 real, 30 generated" in str(figures["halves"])
    assert figures["noise"].name == "frechet_distance_pixels_60_4f"
    assert figures["noise"].value > 10 * figures["halves"].value
    again = reference_figures(REAL.split(7), NETWORK, total=60, protocol=PROTOCOL)
    assert again["noise"].value == pytest.approx(figures["noise"].value)  # the noise is a clip's own
    other = reference_figures(REAL.split(16), NETWORK, total=60, protocol=PROTOCOL, seed=1)
    assert other["noise"].value != figures["noise"].value


def test_sorted_data_has_comparable_halves():
    ordered = REAL[REAL.float().mean((1, 2, 3, 4)).argsort()]
    features = NETWORK(ordered)
    first_and_last = frechet_distance(Moments.of(features[:30]), Moments.of(features[30:]))
    figures = reference_figures(ordered.split(16), NETWORK, total=60, protocol=PROTOCOL)
    assert figures["halves"].value < first_and_last / 5  # negative control: cut in the middle


@pytest.mark.parametrize("count", [2, 3, 6, 2048, 4100])
def test_halves_are_two_of_the_chosen_clips_whatever_their_number(count: int):
    chosen = torch.arange(2 * count)[evenly_spread(torch.arange(2 * count), total=2 * count, count=count)]
    assert set((chosen % 2).tolist()) == {0}  # negative control: by parity of the number, one half is empty
    first = in_first_half(torch.arange(count), count=count)
    assert int(first.sum()) == -(-count // 2)
    if count > 2000:  # as a coin: neither ends nor every second one
        places = torch.arange(count).double()
        assert abs(places[first].mean() - places[~first].mean()) < count / 20
        assert abs(float(first[::2].double().mean()) - 0.5) < 0.05


def test_an_odd_number_of_clips_and_single_frames():
    network, protocol = PixelNetwork(per_frame=True), replace(PROTOCOL, num_clips=21)
    figures = reference_figures(REAL.split(10), network, total=42, protocol=protocol)
    features = network(REAL[:42:2]).unflatten(0, (21, 4))
    assert figures["halves"].value == pytest.approx(frechet_distance(*halves_of(features)))
    assert "10 real, 11 generated" in str(figures["halves"])
    assert figures["noise"].name == "frechet_distance_pixels_21_4f"


@pytest.mark.parametrize("ranks", [1, 3])
def test_real_clips_of_a_split_are_halved_alike_on_any_number_of_ranks(ranks: int):
    def gathered(rank: int) -> RealStatistics:
        real = RealStatistics(None, data="", clips=60, protocol=replace(PROTOCOL, num_clips=30), network=NETWORK)
        for numbers in torch.arange(rank, 60, ranks).split(4):
            real.update(REAL[numbers] / 255, numbers)
        return real

    several = [gathered(rank) for rank in range(ranks)]
    several[0].parts = [merged([one.parts[i] for one in several]) for i in range(3)]
    several[0].finish()
    figures = several[0].references(PROTOCOL, NETWORK)
    expected = frechet_distance(*halves_of(NETWORK(REAL[::2])[:, None]))
    assert figures["halves"].value == pytest.approx(expected) and len(several[0].all.kept_ND) == 30


def test_one_real_clip_is_no_set(tmp_path: Path):
    real = RealStatistics(tmp_path, data="", clips=1, protocol=PROTOCOL, network=NETWORK)
    real.update(REAL[:1] / 255, torch.tensor([0]))
    with pytest.raises(VidexpError, match=r"1 real clip to compare .* two or more"):
        real.finish()
    three = RealStatistics(tmp_path, data="", clips=3, protocol=PROTOCOL, network=NETWORK)
    three.update(REAL[:2] / 255, torch.tensor([0, 1]))  # the third one was left out
    three.finish()
    assert "noise" in three.references(PROTOCOL, NETWORK) and not list(tmp_path.iterdir())  # not kept for other runs
