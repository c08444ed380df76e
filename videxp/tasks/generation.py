"""Video generation: clips from noise, and from a class where the network has classes.

Shapes: B or N clips, T frames, C = 3 channels, H, W. Networks draw in [-1,1]; figures and files are of [0,1].
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from videxp.core.contract import Contract
from videxp.core.errors import BadRequest
from videxp.core.files import expand_home
from videxp.core.limits import Ge, Gt
from videxp.data.prepared import datamodule_of
from videxp.losses.adversarial import path_lengths
from videxp.losses.objective import AdversarialObjective
from videxp.metrics.feature_statistics import FeatureStatistics
from videxp.metrics.features import FeatureNetwork
from videxp.metrics.generation import generation_figures
from videxp.metrics.protocols import Figure, GenerationProtocol
from videxp.metrics.torchscript import I3D
from videxp.models.gan import DiscriminatorInput, Rngs, VideoGAN, VideoGenerator, normal
from videxp.models.summary import gmacs_of_call
from videxp.tasks.adversarial import Adversarial, Generated, clip_rng
from videxp.tasks.base import Split
from videxp.tasks.deployable import Deployable, DeployableGenerator
from videxp.tasks.generated import interpolated, save_clip_grid, save_clip_strips, to_unit
from videxp.tasks.generation_scores import KEPT, ClassifierScore, RealStatistics
from videxp.tasks.schedules import Schedule


class Generation(Adversarial):
    """Any `VideoGAN`, with or without classes; the data's clips in [-1,1].

    `frechet_distance` (with I3D `fvd`) compares generated clips with the split's own, by the features of a network that
    is named beside the number. Of a test, `_halves` and `_noise` say what it means: the distance between two halves of
    the real clips, and from noise to them.
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="discriminators",
        uses=("label",),
        metrics={
            "frechet_distance": "min",
            "fvd": "min",
            "kernel_distance": "min",
            "kvd": "min",
            "precision": "max",
            "recall": "max",
            "diversity": "max",
            "inception_score": "max",
        },
        test_only=(
            "inception_score",
            "diversity_real",
            "frechet_distance_halves",
            "frechet_distance_noise",
            "fvd_halves",
            "fvd_noise",
        ),
        train_metrics=(
            "loss",
            "loss_discriminator",
            "discriminator_accuracy",
            "adversarial",
            "category",
            "r1",
            "gradient_penalty",
            "path_length",
            "mask",
            "restoration",
        ),
        headline=("frechet_distance", "fvd", "diversity"),
        predictor="videxp.deploy.generate",
        makes_clips=True,
        predict_example="--num 16 -o CLIPS",
        explains=("walks",),
        exported="average.",
        normalization={"mean": 0.5, "std": 0.5},  # [0,1] becomes [-1,1]
        instead_of_trainer={
            "gradient_clip_val": "gradient_clip_norm",
            "accumulate_grad_batches": "accumulated_parts",
        },
    )

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
        classifier: Callable[[], FeatureNetwork] | None = None,
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
        classifier: makes the network whose class probabilities (or logits, made so by its `output`) the test's
            inception score is of; the literature's is C3D trained on UCF-101.
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
        self.make_classifier = classifier
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
        self._evaluated: dict[Split, Tensor] = {}  # samples whose clips are compared, sorted
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
        self.frames_per_second.fill_(datamodule_of(self.trainer).dataset("train").typical_clip_fps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["classes"] = self.classes  # clips are asked for by class, long after the data are gone

    # ---- training ------------------------------------------------------------------------------------------------

    def condition(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        return None if self.num_classes is None else batch["label"]

    def real_inputs(self, batch: Mapping[str, Tensor], rngs: Rngs) -> dict[str, DiscriminatorInput]:
        return self._gan.real_inputs(*self.network_inputs(batch), rngs=rngs)

    def generated_inputs(self, batch: Mapping[str, Tensor], rngs: Rngs) -> Generated:
        latent = self._gan.generator.latent(rngs, device=self.device)
        inputs, terms = self._gan.fake_inputs(latent, label=self.condition(batch), rngs=rngs)
        return Generated(inputs, terms, latent.get("category"))

    def lengths(self, batch: Mapping[str, Tensor], rngs: Rngs) -> Tensor:
        """Of the clips' content codes."""
        maker = self._gan.generator
        latent = maker.latent(rngs, device=self.device)
        key = next(key for key in sorted(maker.content_keys) if key in latent)
        codes = latent[key].requires_grad_()
        video = maker({**latent, key: codes}, label=self.condition(batch)).float()
        return path_lengths(video, codes, noise=normal(rngs, *video.shape[1:], device=self.device))

    def deployable(self, transform: nn.Module) -> DeployableGenerator:
        return DeployableGenerator(self.average, codes=self._codes(0), has_classes=self.num_classes is not None)

    def deployable_inputs(self, deployable: Deployable, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The codes of the clip whose number the first sample has."""
        number = int(batch["index"][0])
        return deployable.taken(self._codes(number), label=self._labels([number], None))

    def answer(self, batch: Mapping[str, Tensor]) -> Tensor:
        return self.generate(range(len(batch["index"])), seed=self.seed)

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
        maker = cast(VideoGenerator, self.average)
        num_frames = num_frames or self.num_frames
        label = self._labels(numbers, classes)
        rngs = [clip_rng(seed, i) for i in numbers]
        if fps in (None, self.clip_fps):
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
        data = datamodule_of(self.trainer)
        samples, part = len(data.dataset(split)), data.evaluated(split)
        self._evaluated[split] = torch.from_numpy(part)
        transform = data.test_transform if split == "test" else data.eval_transform
        depends_on = f"{data.fingerprint} {split} {samples} {data.dataset(split).choice} {transform} {data.size}"
        folder = expand_home(data.cache_dir) / "features"
        self._real[split] = RealStatistics(
            folder if len(part) == samples else None,
            data=depends_on,
            clips=len(part) * (data.clips.test_clips if split == "test" else 1),
            protocol=self.protocols[split],
            network=self.features,
        )

    def evaluation_step(self, batch: dict[str, Tensor], split: Split) -> None:
        real = self._real[split]
        if not real.whole:
            per_sample = len(batch["video"]) // len(batch["index"])
            place_B = torch.searchsorted(self._evaluated[split], batch["index"])
            number_N = (place_B[:, None] * per_sample + torch.arange(per_sample)).flatten()
            real.update(to_unit(batch["video"]), number_N)

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        protocol, network = self.protocols[split], self.features
        real = self._real[split]
        real.finish()
        score = self._inception_score() if split == "test" else None
        generated = self._generated_statistics(split, protocol, score).over_ranks()
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
            if score is not None:
                values["inception_score"], figure = score.figure(protocol)
                self._figures.append(figure)
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}

    def _inception_score(self) -> "ClassifierScore | None":
        return None if self.make_classifier is None else ClassifierScore(self.make_classifier().to(self.device))

    def _generated_statistics(
        self, split: Split, protocol: GenerationProtocol, score: "ClassifierScore | None"
    ) -> FeatureStatistics:
        """Every rank its share. Clips are as long as the protocol's, and as fast as the split's own."""
        statistics = FeatureStatistics(clips=protocol.num_clips, keep=KEPT)
        data = datamodule_of(self.trainer)
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        every = max(1, round(self.clip_fps / data.dataset(split).typical_clip_fps))  # of the frames that it draws
        frames = (protocol.num_frames - 1) * every + 1
        self.require_length(frames, fps=self.clip_fps)
        numbers = torch.arange(rank, protocol.num_clips, ranks)
        for part in numbers.split(max(1, data.eval_batch_size // ranks)):
            clips = protocol.prepared(self.generate(part.tolist(), seed=self.seed, num_frames=frames)[:, ::every])
            statistics.update(self.features(clips), part)
            if score is not None:
                score.update(clips, part)
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
        fps = videos.typical_clip_fps
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
        maker = self._gan.generator
        keys = {key for key in self._ends(0)[0] if (key in maker.content_keys) == (what == "content")}
        return torch.cat([self._walk(row, keys, steps=steps) for row in range(rows)]) if keys else None

    @torch.no_grad()
    def walks(self, *, steps: int) -> dict[str, Tensor]:
        """For each entry of the generator's codes, by its name, clips along which it alone changes: [steps,T,C,H,W] in
        [0,1]."""
        return {key: self._walk(0, {key}, steps=steps) for key in self._ends(0)[0]}

    def _walk(self, row: int, keys: set[str], *, steps: int) -> Tensor:
        maker = cast(VideoGenerator, self.average)
        latent = interpolated(*self._ends(row), keys=keys, steps=steps)
        return to_unit(maker(latent, label=self._labels([row] * steps, None)))

    def _ends(self, row: int) -> list[dict[str, Tensor]]:
        return [self._codes(2 * row + end) for end in (0, 1)]

    def _codes(self, number: int) -> dict[str, Tensor]:
        """Of the clip of this number."""
        maker = cast(VideoGenerator, self.average)
        return maker.latent([clip_rng(self.seed, number)], num_frames=self.num_frames, device=self.device)
