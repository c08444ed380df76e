"""What generated clips are judged by: the real ones, as a network sees them, and a classifier.

Shapes: N clips, T frames, C = 3 channels, H, W; K classes.
"""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from videxp.metrics.feature_statistics import FeatureStatistics, StatisticsFile, evenly_spread, merged
from videxp.metrics.features import FeatureNetwork
from videxp.metrics.generation import frechet_figure, noise_like
from videxp.metrics.inception_score import Given, InceptionScore
from videxp.metrics.protocols import Figure, GenerationProtocol

KEPT = 2048  # features, for figures that need pairs


class RealStatistics:
    """What generated clips are compared with: two halves of the real ones (even and odd numbers), and noise.

    folder: where they are kept for other runs; None keeps them here alone (of a split cut short for a try).
    """

    PARTS = ("even", "odd", "noise")

    def __init__(
        self,
        folder: Path | None,
        *,
        data: str,
        clips: int,
        protocol: GenerationProtocol,
        network: FeatureNetwork,
        seed: int,
    ) -> None:
        self.total, self.protocol, self.network, self.seed = clips, protocol, network, seed
        self.files = [
            StatisticsFile(folder, f"{data} keep={KEPT} {part}", protocol, network) for part in self.PARTS if folder
        ]
        found = [file.read() for file in self.files]
        self.parts = [part for part in found if part is not None]
        self.whole = len(self.parts) == len(self.PARTS)
        if not self.whole:
            count = min(clips, protocol.num_clips)
            self.parts = [FeatureStatistics(clips=clips, keep=keep) for keep in (KEPT, KEPT, 0)]
            self.wanted = count

    @property
    def all(self) -> FeatureStatistics:
        return merged(self.parts[:2])

    def update(self, video_NTCHW: Tensor, number_N: Tensor) -> None:
        """Real clips in [0,1] and their numbers in the split."""
        wanted_N = evenly_spread(number_N, total=self.total, count=self.wanted)
        if not wanted_N.any():
            return
        number_N = number_N[wanted_N]
        video = self.protocol.prepared(video_NTCHW[wanted_N.to(video_NTCHW.device)])
        features = self.network(video).unflatten(0, (len(video), -1))
        for part, chosen_N in zip(self.parts, (number_N % 2 == 0, number_N % 2 == 1)):
            if chosen_N.any():
                part.update(features[chosen_N.to(features.device)].flatten(0, 1), number_N[chosen_N])
        self.parts[2].update(self.network(noise_like(video, number_N, seed=self.seed)), number_N)

    def finish(self) -> None:
        """On all ranks, when each has given its own clips."""
        if not self.whole:
            self.parts = [part.over_ranks() for part in self.parts]
            for file, part in zip(self.files, self.parts):
                file.write(part)
            self.whole = True

    def references(self, protocol: GenerationProtocol, network: FeatureNetwork) -> dict[str, Figure]:
        """`halves`: what perfection scores, at most; `noise`: what says nothing."""
        even, odd, noise = self.parts
        large, small = sorted((even, odd), key=lambda part: -part.clips_seen)
        half, whole = (replace(protocol, num_clips=part.clips_seen) for part in (large, noise))
        return {
            "halves": frechet_figure(small, large, protocol=half, network=network),
            "noise": frechet_figure(self.all, noise, protocol=whole, network=network),
        }


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
