"""Video generation: clips from noise, and from a class where the network has classes.

Shapes: B or N clips, T frames, C = 3 channels, H, W. Networks draw in [-1,1]; figures and files are of [0,1].
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from videxp.errors import BadRequest
from videxp.limits import Ge, Gt
from videxp.losses.adversarial import path_lengths
from videxp.losses.objective import AdversarialObjective
from videxp.metrics.feature_statistics import FeatureStatistics, StatisticsFile, evenly_spread, merged
from videxp.metrics.features import FeatureNetwork
from videxp.metrics.generation import frechet_figure, generation_figures, noise_like
from videxp.metrics.protocols import Figure, GenerationProtocol
from videxp.metrics.torchscript import I3D
from videxp.models.gan import Rngs, VideoGAN, VideoGenerator, View, normal
from videxp.models.summary import gmacs_of_call
from videxp.tasks.adversarial import Adversarial, Generated, clip_rng
from videxp.tasks.base import Split
from videxp.tasks.generated import interpolated, save_clip_grid, save_clip_strips
from videxp.tasks.schedules import Schedule

KEPT = 2048  # features, for figures that need pairs


class Generation(Adversarial):
    """Any `VideoGAN`, with or without classes; the data's clips in [-1,1].

    `frechet_distance` (with I3D `fvd`) compares generated clips with the split's own, by the features of a network that
    is named beside the number. Of a test, `_halves` and `_noise` say what it means: the distance between two halves of
    the real clips, and from noise to them.
    """

    metric_names: ClassVar[dict[str, str]] = {
        "frechet_distance": "min",
        "fvd": "min",
        "kernel_distance": "min",
        "kvd": "min",
        "precision": "max",
        "recall": "max",
        "diversity": "max",
    }
    headline: ClassVar[tuple[str, ...]] = ("frechet_distance", "fvd", "diversity")
    network_parameter: ClassVar[str] = "discriminators"
    normalization: ClassVar[dict[str, float]] = {"mean": 0.5, "std": 0.5}
    """What the data's transforms subtract and divide by: [0,1] becomes [-1,1]."""
    predictor: ClassVar[str] = "videxp.deploy.generate"

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Any,
        scheduler: Any,
        objective: AdversarialObjective,
        features: Callable[[], FeatureNetwork],
        protocol: GenerationProtocol,
        val_clips: Annotated[int, Ge(2)] = 256,
        discriminator_optimizer: Any = None,
        discriminator_scheduler: Schedule | None = None,
        average_half_life_clips: Annotated[float, Ge(0)] = 10_000,
        gradient_clip_norm: Annotated[float, Gt(0)] | None = None,
        accumulated_parts: Annotated[int, Ge(1)] = 1,
        monitor: str = "val/frechet_distance",
        decay_norms_and_biases: bool = False,
        example_clips: Annotated[int, Ge(0)] = 16,
        seed: Annotated[int, Ge(0)] = 0,
        classes: Sequence[str] = (),
    ) -> None:
        """
        classes: names of the data's classes.
        features: makes the network whose features are compared, when they first are.
        protocol: of the test; a validation generates `val_clips` clips instead.
        """
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            objective=objective,
            discriminator_optimizer=discriminator_optimizer,
            discriminator_scheduler=discriminator_scheduler,
            average_half_life_clips=average_half_life_clips,
            gradient_clip_norm=gradient_clip_norm,
            accumulated_parts=accumulated_parts,
            seed=seed,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        self.make_features = features
        self.protocols: dict[Split, GenerationProtocol] = {
            "val": replace(protocol, num_clips=val_clips),
            "test": protocol,
        }
        self.example_clips = example_clips
        self.classes = list(classes)
        self.register_buffer("frames_per_second", torch.zeros((), dtype=torch.float64))  # of the data's clips
        self.frames_per_second: Tensor
        self._features: list[FeatureNetwork] = []  # in a list: its weights are not this task's
        self._real: dict[Split, RealStatistics] = {}
        self._figures: list[Figure] = []

    @property
    def num_classes(self) -> int | None:
        return self._gan.generator.num_classes

    @property
    def num_frames(self) -> int:
        """Of a clip in training."""
        return self._gan.generator.num_frames

    @property
    def clip_fps(self) -> float:
        """Frames per second at which generated clips move as the data do."""
        return float(self.frames_per_second)

    @property
    def _gan(self) -> VideoGAN:
        assert isinstance(self.network, VideoGAN)
        return self.network

    def work_of_one_clip(self, *, num_frames: int, size: int) -> float:
        maker = self._gan.generator
        latent = {key: code.to("meta") for key, code in maker.latent([clip_rng(0, 0)]).items()}
        label = None if self.num_classes is None else torch.zeros(1, dtype=torch.int64, device="meta")
        return gmacs_of_call(maker, latent, label=label)

    def on_fit_start(self) -> None:
        self.frames_per_second.fill_(self.trainer.datamodule.dataset("train").clip_fps(0))  # type: ignore[attr-defined]

    # ---- training ------------------------------------------------------------------------------------------------

    def condition(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        return None if self.num_classes is None else batch["label"]

    def real_views(self, batch: Mapping[str, Tensor], rngs: Rngs) -> dict[str, View]:
        return self._gan.real_views(batch["video"], rngs=rngs)

    def generated_views(self, batch: Mapping[str, Tensor], rngs: Rngs) -> Generated:
        latent = self._gan.generator.latent(rngs, device=self.device)
        views, terms = self._gan.fake_views(latent, label=self.condition(batch), rngs=rngs)
        return Generated(views, terms, latent.get("category"))

    def lengths(self, batch: Mapping[str, Tensor], rngs: Rngs) -> Tensor:
        """Of the clips' content codes."""
        maker = self._gan.generator
        latent = maker.latent(rngs, device=self.device)
        key = next(key for key in sorted(maker.content_keys) if key in latent)
        codes = latent[key].requires_grad_()
        video = maker({**latent, key: codes}, label=self.condition(batch)).float()
        return path_lengths(video, codes, noise=normal(rngs, *video.shape[1:], device=self.device))

    # ---- generating ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(
        self,
        indices: Iterable[int],
        *,
        seed: int,
        num_frames: int | None = None,
        classes: list[int] | None = None,
        fps: float | None = None,
    ) -> Tensor:
        """The clips of these numbers, by the averaged weights: float [N,T,C,H,W] in [0,1], on the task's device.

        What is drawn depends on (seed, number) alone. classes: of each clip; None takes them in turn. fps: the data's
        unless given; another one needs a generator in continuous time (`require_length`).
        """
        numbers = list(indices)
        maker = self.average
        assert isinstance(maker, VideoGenerator)
        num_frames = num_frames or self.num_frames
        label = self._labels(numbers, classes)
        rngs = [clip_rng(seed, i) for i in numbers]
        if fps is None or fps == self.clip_fps:
            latent = maker.latent(rngs, num_frames=num_frames, device=self.device)
            return to_unit(maker(latent, num_frames=num_frames, label=label))
        times = torch.arange(num_frames, device=self.device) * (self.clip_fps / fps)
        latent = maker.latent(rngs, num_frames=math.ceil(float(times[-1])) + 1, device=self.device)
        return to_unit(maker(latent, label=label, times=times))

    def require_length(self, num_frames: int, *, fps: float) -> None:
        """Raises BadRequest for a length or a frame rate that the generator cannot make."""
        maker = self._gan.generator
        if num_frames < 1 or (num_frames != self.num_frames and not maker.any_length):
            raise BadRequest(
                f"{num_frames} frames: this {type(self.network).__name__} makes clips of {self.num_frames} frames "
                f"only, {self.num_frames / self.clip_fps:.2f} s at {self.clip_fps:g} fps"
            )
        if fps != self.clip_fps and not maker.any_rate:
            raise BadRequest(f"--fps {fps:g}: this {type(self.network).__name__} draws {self.clip_fps:g} fps only")

    def _labels(self, numbers: list[int], classes: list[int] | None) -> Tensor | None:
        if self.num_classes is None:
            return None
        chosen = [number % self.num_classes for number in numbers] if classes is None else classes
        return torch.tensor(chosen, device=self.device)

    # ---- evaluation ----------------------------------------------------------------------------------------------

    @property
    def features(self) -> FeatureNetwork:
        if not self._features:
            self._features.append(self.make_features())
        return self._features[0].to(self.device)

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._open_statistics("val")

    def on_test_epoch_start(self) -> None:
        self._open_statistics("test")

    def _open_statistics(self, split: Split) -> None:
        """Real clips are looked at once for a data set; within a run they are in memory."""
        if split in self._real and self._real[split].whole:
            return
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        samples = len(data.dataset(split))
        clips = samples * (data.test_clips if split == "test" else 1)
        transform = data.test_transform if split == "test" else data.eval_transform
        depends_on = f"{data.fingerprint} {split} {samples} {data.dataset(split).choice} {transform} {data.size}"
        limit = self.trainer.limit_test_batches if split == "test" else self.trainer.limit_val_batches
        folder = Path(data.cache_dir).expanduser() / "features"
        self._real[split] = RealStatistics(
            folder if limit == 1.0 else None,
            data=depends_on,
            clips=clips,
            protocol=self.protocols[split],
            network=self.features,
            seed=self.seed,
        )

    def evaluation_step(self, batch: dict[str, Tensor], split: Split) -> None:
        real = self._real[split]
        if not real.whole:
            per_sample = len(batch["video"]) // len(batch["index"])
            number_N = (batch["index"][:, None] * per_sample + torch.arange(per_sample)).flatten()
            real.update(to_unit(batch["video"]), number_N)

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        protocol, network = self.protocols[split], self.features
        real = self._real[split]
        real.finish()
        generated = self._generated_statistics(protocol, network).over_ranks()
        figures = generation_figures(real.all, generated, protocol=protocol, network=network)
        names = ["fvd", "kvd"] if isinstance(network, I3D) else ["frechet_distance", "kernel_distance"]
        names += ["precision", "recall", "diversity", "diversity_real"]
        values = dict(zip(names, [figure.value for figure in figures]))
        if split == "val":
            diversity = values.pop("diversity_real")
            if self.batches_seen:  # an untrained generator draws the same for all codes
                self.warn(self.watch.diversity(values["diversity"], real=diversity, batch=self.batches_seen))
        else:
            references = real.references(protocol, network)
            values |= {f"{names[0]}_{name}": figure.value for name, figure in references.items()}
            self._figures = figures[:1]
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}

    def _generated_statistics(self, protocol: GenerationProtocol, network: FeatureNetwork) -> FeatureStatistics:
        """Every rank its share."""
        statistics = FeatureStatistics(clips=protocol.num_clips, keep=KEPT)
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        numbers = torch.arange(rank, protocol.num_clips, ranks)
        for part in numbers.split(max(1, data.eval_batch_size // ranks)):
            clips = self.generate(part.tolist(), seed=self.seed)
            statistics.update(network(protocol.prepared(clips)), part)
        return statistics

    @property
    def evaluation_protocol(self) -> str:
        return "\n".join(map(str, self._figures))

    # ---- what it looks like --------------------------------------------------------------------------------------

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """The same codes each time, as a grid of clips (mp4, and GIF for W&B) and as strips of frames.

        After the test also real clips in the same form, and clips that go from one code to another: in content with
        the same motion, and in motion with the same content.
        """
        if not self.example_clips:
            return []
        videos = datamodule.dataset(split)
        fps = videos.clip_fps(0)
        clips = self.generate(range(self.example_clips), seed=self.seed)
        paths = save_clip_grid(clips, folder / "generated.mp4", fps=fps)
        paths.append(save_clip_strips(clips[:8], folder / "generated_frames.png"))
        if split == "test":
            numbers = [i * len(videos) // self.example_clips for i in range(min(self.example_clips, len(videos)))]
            real = datamodule.transformed(datamodule.read(split, numbers), split, device=self.device)
            paths += save_clip_grid(to_unit(real["video"]), folder / "real.mp4", fps=fps)
            for what in ("content", "motion"):
                if (between := self._between(what)) is not None:
                    paths += save_clip_grid(between, folder / f"{what}_interpolation.mp4", fps=fps, columns=8)
        return paths

    @torch.no_grad()
    def _between(self, what: str, *, rows: int = 2, steps: int = 8) -> Tensor | None:
        """[rows * steps,T,C,H,W] in [0,1]: along each row the codes of content, or of motion, change, all else stays.

        None for a generator that cannot tell them apart.
        """
        maker = self.average
        assert isinstance(maker, VideoGenerator)
        clips = []
        for row in range(rows):
            ends = [maker.latent([clip_rng(self.seed, 2 * row + end)], device=self.device) for end in (0, 1)]
            keys = {key for key in ends[0] if (key in maker.content_keys) == (what == "content")}
            if not keys:
                return None
            latent = interpolated(*ends, keys=keys, steps=steps)
            clips.append(to_unit(maker(latent, label=self._labels([row] * steps, None))))
        return torch.cat(clips)


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


def to_unit(video: Tensor) -> Tensor:
    """[-1,1] -> float [0,1]."""
    return ((video.float() + 1) / 2).clamp(0, 1)
