"""What generated clips are judged by: the real ones, as a network sees them, and a classifier.

Shapes: N clips, T frames, C = 3 channels, H, W; K classes.
"""

from pathlib import Path

from torch import Tensor

from videxp.core.errors import VidexpError
from videxp.metrics.feature_statistics import (
    FeatureStatistics,
    StatisticsFile,
    evenly_spread,
    in_first_half,
    merged,
)
from videxp.metrics.features import FeatureNetwork
from videxp.metrics.generation import noise_like, reference_figures_of
from videxp.metrics.inception_score import Given, InceptionScore
from videxp.metrics.protocols import Figure, GenerationProtocol

KEPT = 2048  # features, for figures that need pairs


class RealStatistics:
    """What generated clips are compared with: two random halves of the real ones, and noise.

    folder: where they are kept for other runs; None keeps them here alone (of a split cut short for a try).
    clips: how many real ones come, numbered from 0; `protocol.num_clips` of them, evenly spread, are looked at.
    """

    PARTS = ("first half", "second half", "noise")

    def __init__(
        self, folder: Path | None, *, data: str, clips: int, protocol: GenerationProtocol, network: FeatureNetwork
    ) -> None:
        self.total, self.protocol, self.network = clips, protocol, network
        self.wanted = min(clips, protocol.num_clips)
        self.files = [
            StatisticsFile(folder, f"{data} keep={KEPT} {part}", protocol, network) for part in self.PARTS if folder
        ]
        found = [file.read() for file in self.files]
        self.parts = [part for part in found if part is not None]
        self.whole = len(self.parts) == len(self.PARTS)
        if not self.whole:
            self.parts = [FeatureStatistics(clips=self.wanted, keep=keep) for keep in (KEPT, KEPT, 0)]

    @property
    def all(self) -> FeatureStatistics:
        return merged(self.parts[:2])

    def update(self, video_NTCHW: Tensor, number_N: Tensor) -> None:
        """Real clips in [0,1] and their numbers."""
        wanted_N = evenly_spread(number_N, total=self.total, count=self.wanted)
        if not wanted_N.any():
            return
        place_N = number_N[wanted_N] * self.wanted // self.total  # among those that are looked at
        video = self.protocol.prepared(video_NTCHW[wanted_N.to(video_NTCHW.device)])
        features = self.network(video).unflatten(0, (len(video), -1))
        first_N = in_first_half(place_N, count=self.wanted)
        for part, chosen_N in zip(self.parts, (first_N, ~first_N)):
            if chosen_N.any():
                part.update(features[chosen_N.to(features.device)].flatten(0, 1), place_N[chosen_N])
        self.parts[2].update(self.network(noise_like(video, place_N, seed=0)), place_N)  # of the data, not of a run

    def finish(self) -> None:
        """On all ranks, when each has given its own clips. Raises VidexpError for fewer than two."""
        if not self.whole:
            self.parts = [part.over_ranks() for part in self.parts]
            seen = self.parts[2].clips_seen
            if seen < 2:
                raise VidexpError(
                    f"{seen} real clip to compare generated ones with: a distance between sets needs two or more\n"
                    "Add some to the split, or give it more (dataset.layout.val_fraction, dataset.layout.test_fraction)"
                )
            if seen == self.wanted:  # none is left out
                for file, part in zip(self.files, self.parts):
                    file.write(part)
            self.whole = True

    def references(self, protocol: GenerationProtocol, network: FeatureNetwork) -> dict[str, Figure]:
        """`halves`: what perfection scores, at most; `noise`: what says nothing."""
        first, second, noise = self.parts
        return reference_figures_of(first, second, noise, protocol=protocol, network=network)


class ClassifierScore:
    """The inception score of generated clips, by a classifier."""

    def __init__(self, network: FeatureNetwork) -> None:
        self.network = network
        self.metric: InceptionScore | None = None

    def update(self, video_NTCHW: Tensor, number_N: Tensor) -> None:
        output_NK = self.network(video_NTCHW).float()
        if self.metric is None:
            sums = output_NK.sum(dim=1)
            given: Given = (
                "probabilities" if bool((output_NK >= 0).all() & ((sums - 1).abs() < 1e-3).all()) else "logits"
            )
            classes = output_NK.shape[1]
            self.metric = InceptionScore(num_classes=classes, splits=1, given=given).to(output_NK.device)
        self.metric.update(output_NK, number_N)

    def figure(self, protocol: GenerationProtocol) -> tuple[float, Figure]:
        assert self.metric is not None, "no clip was generated"
        value = float(self.metric.compute()[0])
        text = f"{protocol.num_clips} generated clips of {protocol.num_frames} frames; classes of {self.network}"
        return value, Figure(f"inception_score_{self.network.name}", value, text)
