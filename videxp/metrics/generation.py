"""Figures of generated clips against real ones, each with the line that says what it was measured on.

Legend: N clips, T frames, C channels, H, W. `feature_statistics` gathers what is compared; `protocols` says of what.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.core.randomness import Stream, generator
from videxp.metrics.feature_sets import kernel_distance, mean_pairwise_distance, precision_and_recall
from videxp.metrics.feature_statistics import FeatureStatistics, chosen_clips, in_first_half, merged
from videxp.metrics.features import FeatureNetwork
from videxp.metrics.frechet import frechet_distance
from videxp.metrics.protocols import Figure, GenerationProtocol


def frechet_figure(
    real: FeatureStatistics, generated: FeatureStatistics, *, protocol: GenerationProtocol, network: FeatureNetwork
) -> Figure:
    """FVD, or the Fréchet distance with the network's name; of single frames, with a network that looks at those.

    Raises BadRequest where there were not as many clips as the name says.
    """
    name = protocol.metric("frechet_distance", network)
    if generated.clips_seen != protocol.num_clips or real.clips_seen > protocol.num_clips:
        raise BadRequest(
            f"{name} compares {protocol.num_clips} generated with at most as many real clips, not "
            f"{generated.clips_seen} with {real.clips_seen}: set num_clips, which is part of its name"
        )
    assert real.moments is not None and generated.moments is not None, "no real clip was seen"
    value = frechet_distance(real.moments, generated.moments, unbiased=protocol.unbiased)
    text = protocol.text(network, real=real.clips_seen, generated=generated.clips_seen)
    return Figure(name, value, text)


def generation_figures(
    real: FeatureStatistics, generated: FeatureStatistics, *, protocol: GenerationProtocol, network: FeatureNetwork
) -> list[Figure]:
    """Fréchet distance, kernel distance, precision, recall, and the diversity of generated and of real clips.

    All but the first are of the features that were kept, at most `keep` of each set.
    """
    first = frechet_figure(real, generated, protocol=protocol, network=network)
    kernel, error = kernel_distance(real.kept_ND, generated.kept_ND)
    precision, recall = precision_and_recall(real.kept_ND, generated.kept_ND)
    values = {
        protocol.metric("kernel_distance", network): (kernel, f"+- {error:.2g}, unbiased, blocks of 1000"),
        f"precision_{network.name}": (precision, "3 nearest neighbors"),
        f"recall_{network.name}": (recall, "3 nearest neighbors"),
        f"diversity_{network.name}": (mean_pairwise_distance(generated.kept_ND), "mean pairwise distance"),
        f"diversity_{network.name}_real": (mean_pairwise_distance(real.kept_ND), "mean pairwise distance"),
    }
    sizes = f"of {len(real.kept_ND)} and {len(generated.kept_ND)} kept features"
    rest = [Figure(name, value, f"{note} {sizes}; {first.protocol}") for name, (value, note) in values.items()]
    return [first, *rest]


def reference_figures(
    real_batches: Iterable[Tensor], network: FeatureNetwork, *, total: int, protocol: GenerationProtocol, seed: int = 0
) -> dict[str, Figure]:
    """What makes a Fréchet distance readable: "halves", one half of the real clips against the other, and "noise",
    uniform noise against all of them.

    real_batches: [N,T,C,H,W], uint8 or float in [0,1], `total` clips in all, of which `chosen_clips` are taken. The
    halves are drawn at random (`in_first_half`). Half as many clips on each side make the distance larger than two
    whole sets would have: it is an upper bound of what perfection scores. Halves of fewer than two clips have none.
    """
    half_a, half_b, noise = (FeatureStatistics(clips=protocol.num_clips, keep=0) for _ in range(3))
    for video in chosen_clips(real_batches, total=total, protocol=protocol):
        index_N = torch.arange(noise.clips_seen, noise.clips_seen + len(video))
        features = network(video).unflatten(0, (len(video), -1))  # [N, rows of a clip, D]
        first_N = in_first_half(index_N, count=min(total, protocol.num_clips))
        for half, chosen_N in ((half_a, first_N), (half_b, ~first_N)):
            if chosen_N.any():
                half.update(features[chosen_N].flatten(0, 1), index_N[chosen_N])
        noise.update(network(noise_like(video, index_N, seed=seed)), index_N)
    return reference_figures_of(half_a, half_b, noise, protocol=protocol, network=network)


def reference_figures_of(
    half_a: FeatureStatistics,
    half_b: FeatureStatistics,
    noise: FeatureStatistics,
    *,
    protocol: GenerationProtocol,
    network: FeatureNetwork,
) -> dict[str, Figure]:
    """The same of statistics that were gathered before."""
    small, large = sorted((half_a, half_b), key=lambda half: half.clips_seen)
    of_halves, of_all = (replace(protocol, num_clips=part.clips_seen) for part in (large, noise))
    figures = {}
    if small.clips_seen > 1:
        figures["halves"] = frechet_figure(small, large, protocol=of_halves, network=network)
    figures["noise"] = frechet_figure(merged([half_a, half_b]), noise, protocol=of_all, network=network)
    return figures


def noise_like(video_NTCHW: Tensor, index_N: Tensor, *, seed: int) -> Tensor:
    """Independent uniform bytes, of each clip's own generator."""
    clips = [
        generator(seed, stream=Stream.GENERATE, index=int(index)).integers(
            0, 256, size=video_NTCHW.shape[1:], dtype=np.uint8
        )
        for index in index_N
    ]
    return torch.from_numpy(np.stack(clips)).to(video_NTCHW.device)
