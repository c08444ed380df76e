"""Scene segmentation: where a film goes over from one shot into the next, for each of its frames a probability.

Shapes: B clips, T frames, C = 3 channels, H, W pixels.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from videxp.core.contract import Contract
from videxp.core.errors import VidexpError
from videxp.core.limits import Ge, Gt, Interval
from videxp.core.windows import answer_frames
from videxp.data.annotations.transitions import targets
from videxp.data.module import VideoDataModule
from videxp.losses.multi_label import binary_distillation
from videxp.losses.transitions import transition_loss
from videxp.metrics.transitions import (
    THRESHOLDS,
    TransitionCounts,
    best_threshold,
    match_transitions,
    predict_transitions,
    transition_figures,
)
from videxp.models.scenes.interface import SceneNetwork, TransitionLogits
from videxp.models.summary import gmacs_of_call
from videxp.tasks.base import Split, VideoTask
from videxp.tasks.deployable import DeployableSceneNetwork
from videxp.tasks.questions import Question, require_known
from videxp.tasks.shot_marks import mark_transitions
from videxp.tasks.shot_sheet import save_shot_sheet, sheet_shots
from videxp.tasks.teaching import Taught
from videxp.video.clock import read_clock
from videxp.video.shot_pictures import shot_pictures
from videxp.video.shots import FilmTransition, Transition, cut_into_shots

WINDOWS_AT_ONCE = 8
VAL_SHEETS = 2
SHEET_PIXELS = 160  # width of a shot's picture


@dataclass(frozen=True)
class SeenFilm:
    """A film that this process evaluated."""

    index: int
    probability_T: Tensor
    """float32 [T], on the CPU"""
    true: list[Transition]


class Scenes(Taught):
    """Any network float [B,T,C,H,W] in [0,1] -> `TransitionLogits`, trained on clips in which two shots meet.

    Films are gone over by windows; counts of found, invented and missed transitions are summed over films. The
    probability above which a frame is a transition is chosen on the validation films, never on the test.
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="window_frames",
        needs=("transitions",),
        metrics={
            "f1": "max",
            "precision": "max",
            "recall": "max",
            "f1_cut": "max",
            "precision_cut": "max",
            "recall_cut": "max",
            "f1_gradual": "max",
            "precision_gradual": "max",
            "recall_gradual": "max",
            "loss": "min",
        },
        train_metrics=("loss", "distillation"),
        headline=("f1", "precision", "recall"),
        undefined="none of them has a transition",
        predictor="videxp.deploy.scene_files",
        streamer="videxp.deploy.streaming.scenes",
        predict_example="FILM.mp4 -o SCENES.json",
        explains=("map", "frames"),
        map_method="integrated_gradients",
    )

    threshold: Tensor
    """float64 scalar, a buffer: of the probability, above which a frame is a transition."""

    validated: Tensor
    """bool scalar, a buffer: whether a validation chose it."""

    def __init__(
        self,
        *,
        network: SceneNetwork,
        optimizer: Any,
        scheduler: Any,
        monitor: str = "val/f1",
        threshold: Annotated[float, Interval(gt=0, lt=1)] | None = None,
        tolerance_frames: Annotated[int, Ge(0)] = 2,
        positive_weight: Annotated[float, Ge(0)] = 5.0,
        many_hot_weight: Annotated[float, Ge(0)] = 0.1,
        decay_norms_and_biases: bool = False,
        frozen: bool = False,
        teacher: str | None = None,
        teacher_weight: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        temperature: Annotated[float, Gt(0)] = 4.0,
        load_teacher: Callable[..., nn.Module] | None = None,
        example_films: Annotated[int, Ge(0)] = 16,
    ) -> None:
        """
        threshold: None: that of the best F1 in the last validation, from 0.01 to 0.99; before any, the network's own.
        tolerance_frames: by which a transition may lie beside the true one, as published figures allow.
        positive_weight, many_hot_weight: see `videxp.losses.transition_loss`.
        frozen: nothing is trained; the network is evaluated with the weights that it begins with.
        teacher: a run folder; the distance is `binary_distillation` of each frame at `temperature`. See `teaching.py`.
        example_films: of how many films a test makes a contact sheet; a validation makes two. On several devices,
            of those that the first one evaluated.
        """
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        if frozen:
            network.requires_grad_(False)
        self.learn_from(teacher, weight=teacher_weight, load_teacher=load_teacher)
        self.temperature = temperature
        self.is_chosen = threshold is None
        self.register_buffer("validated", torch.tensor(False))
        self.register_buffer(
            "threshold", torch.tensor(network.threshold if threshold is None else threshold, dtype=torch.float64)
        )
        self.tolerance_frames = tolerance_frames
        self.positive_weight = positive_weight
        self.many_hot_weight = many_hot_weight
        splits = ("val", "test")
        self.counts = nn.ModuleDict({split: self._counts() for split in splits})
        self.losses_seen = nn.ModuleDict({split: MeanMetric() for split in splits})
        self.example_films = example_films
        self.seen: list[SeenFilm] = []  # in the last validation or test
        self.rows: list[dict[str, Any]] = []  # one for each film of the last test

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those at which films are counted: a fixed one beside the others, which draw the curve."""
        return tuple(sorted({*THRESHOLDS, round(float(self.threshold), 6)}))

    @property
    def window_frames(self) -> int:
        """Frames that the network sees at once."""
        return cast(SceneNetwork, self.network).window_frames

    @property
    def margin_frames(self) -> int:
        """Frames at either end of a window that only serve the others as surroundings."""
        return cast(SceneNetwork, self.network).margin_frames

    def _counts(self) -> TransitionCounts:
        return TransitionCounts(thresholds=self.thresholds, tolerance=self.tolerance_frames)

    @property
    def evaluation_protocol(self) -> str:
        """`threshold 0.31, chosen on the validation films; tolerance 2 frames`"""
        chosen = "chosen on the validation films" if self.validated else "the network's own"
        how = chosen if self.is_chosen else "set"
        return f"threshold {float(self.threshold):.4g}, {how}; tolerance {self.tolerance_frames} frames"

    def network_inputs(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """`video` float [B,T,C,H,W] in [0,1]; films come in uint8."""
        video = batch["video"]
        return (video.float() / 255 if video.dtype == torch.uint8 else video,)

    def one_clip(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """One window of a film."""
        return {"video": batch["video"][:1, : self.window_frames]}

    def deployable(self, transform: nn.Module) -> DeployableSceneNetwork:
        return DeployableSceneNetwork(self.deployed)

    def answer_whole(self, batch: Mapping[str, Tensor]) -> list[TransitionLogits]:
        """Of each film, window by window."""
        return [self.film_logits(film) for film in batch["video"]]

    def work_of_one_clip(self, *, num_frames: int, size: int) -> float:
        height, width = cast(SceneNetwork, self.network).frame_size or (size, size)
        return gmacs_of_call(self.deployed, torch.empty(1, num_frames, 3, height, width, device="meta"))

    # ---- training -----------------------------------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        if "target" not in batch:
            raise VidexpError("these clips show no transitions to learn: dataset.annotations.next_shot makes them")
        logits = cast(TransitionLogits, self.answer(batch))
        loss, of_teacher = self.with_teacher(self.loss(logits, batch["target"]), logits, batch)
        return {"loss": loss, "log": {"train/loss": loss.detach(), **of_teacher}}

    def distance(self, logits: TransitionLogits, taught: TransitionLogits) -> Tensor:
        ours, theirs = (torch.stack([*one], dim=-1).float() for one in (logits, taught))
        return binary_distillation(ours, theirs, temperature=self.temperature)

    def refusal_of_teacher(self, teacher: VideoTask) -> str:
        if not isinstance(teacher, Scenes):
            return f"is a run of {type(teacher).__name__}, none of scenes"
        ours, theirs = (cast(SceneNetwork, one.network).frame_size for one in (self, teacher))
        sizes = f"it takes frames of {theirs or 'any size'}, this network of {ours or 'any size'}"
        return "" if ours == theirs else sizes

    def blank_batch(self, data: VideoDataModule) -> dict[str, Tensor]:
        height, width = cast(SceneNetwork, self.network).frame_size or (data.size, data.size)
        return {"video": torch.zeros(1, data.num_frames, 3, height, width)}

    def loss(self, logits: TransitionLogits, target_BT2: Tensor) -> Tensor:
        return transition_loss(
            logits.one_hot,
            logits.many_hot,
            *target_BT2.unbind(-1),
            positive_weight=self.positive_weight,
            many_hot_weight=self.many_hot_weight,
        )

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.seen = []

    def on_test_epoch_start(self) -> None:
        self.seen, self.rows = [], []

    def evaluation_step(self, batch: dict[str, Tensor], split: Split) -> None:
        for number, index in enumerate(batch["index"].tolist()):
            video = batch["video"][number]
            true = true_transitions(batch, number)
            target_T2 = torch.from_numpy(targets(true, num_frames=len(video))).to(video.device)
            logits = self.film_logits(video)
            one_hot, many_hot = logits.one_hot.sigmoid(), logits.many_hot.sigmoid()
            cast(TransitionCounts, self.counts[split]).update(one_hot, true, many_hot_T=many_hot)
            film = TransitionLogits(logits.one_hot[None], logits.many_hot[None])
            cast(MeanMetric, self.losses_seen[split]).update(self.loss(film, target_T2[None]), weight=len(video))
            if "transitions" in batch:  # clips that were made are no film's
                self.seen.append(SeenFilm(index, one_hot.cpu(), true))
            if split == "test":
                self.rows.append({"index": index, "frames": len(video), **self._row(one_hot, true)})

    def film_logits(self, frames: Iterable[Tensor], *, network: nn.Module | None = None) -> TransitionLogits:
        """Of each frame of a film of any length, [C,H,W] uint8 or float in [0,1]: float32 [T] both, on the device. No
        more frames than WINDOWS_AT_ONCE windows have are held, or as many as the network says.

        network: answers in place of the task's own: its `inference_form`.
        """
        at_once = getattr(network, "windows_at_once", WINDOWS_AT_ONCE)
        answers = self.frame_logits(frames, network=network, windows_at_once=at_once)
        return TransitionLogits(*torch.stack(list(answers)).unbind(-1))

    def frame_logits(
        self, frames: Iterable[Tensor], *, network: nn.Module | None = None, windows_at_once: int = WINDOWS_AT_ONCE
    ) -> Iterator[Tensor]:
        """The same one by one: float32 [2] (one-hot, many-hot) of each frame, as soon as its window is full."""

        def answer(windows: Tensor) -> Tensor:
            inputs = self.network_inputs({"video": windows.to(self.device)})
            logits = cast(TransitionLogits, (self if network is None else network)(*inputs))
            return torch.stack(list(logits), dim=-1).float()

        return answer_frames(
            answer,
            frames,
            length=self.window_frames,
            margin=self.margin_frames,
            windows_at_once=windows_at_once,
        )

    def questions(self, batch: Mapping[str, Tensor], *, asked: Mapping[str, str]) -> list[Question]:
        """Why a transition here: at the frame that is likeliest to be one, within the window around it."""
        require_known(asked, (), task="a film's transition")
        (film,) = batch["video"]
        with torch.no_grad():
            probability_T = self.film_logits(film).one_hot.sigmoid()
        frame = int(probability_T.argmax())
        length = min(self.window_frames, len(film))
        first = min(max(0, frame - length // 2), len(film) - length)
        (video,) = self.network_inputs({"video": film[None, first : first + length]})

        def score(clips: Tensor) -> Tensor:
            return cast(TransitionLogits, self.answer({"video": clips})).one_hot[:, frame - first].float()

        return [
            Question(
                about="transition",
                video=video,
                score=score,
                measure=lambda clips: score(clips).sigmoid(),
                facts={"probability": round(float(probability_T[frame]), 6)},
                frame=frame - first,
                first_frame=first,
            )
        ]

    def _row(self, probability_T: Tensor, true: list[Transition]) -> dict[str, Any]:
        predicted = predict_transitions(probability_T, threshold=float(self.threshold))
        found = len(match_transitions(true, predicted, tolerance=self.tolerance_frames))
        f1 = 2 * found / (len(true) + len(predicted)) if true else None
        return {"transitions": len(true), "predicted": len(predicted), "found": found, "f1": f1}

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        counts, losses = cast(TransitionCounts, self.counts[split]), cast(MeanMetric, self.losses_seen[split])
        counts_HK3 = counts.compute()
        if split == "val" and self.is_chosen:
            self.threshold.fill_(best_threshold(counts_HK3, counts.thresholds))
            self.validated.fill_(True)
        at = min(range(len(counts.thresholds)), key=lambda h: abs(counts.thresholds[h] - float(self.threshold)))
        figures = {name: value for name, value in transition_figures(counts_HK3[at]).items() if not value.isnan()}
        values = {**figures, "loss": losses.compute()}
        counts.reset()
        losses.reset()
        return values

    def prediction_rows(self, datamodule: Any) -> list[dict[str, Any]]:
        """One row for each film that this process tested: index, path, frames and what was found in it."""
        films = datamodule.dataset("test")
        return [{"index": row["index"], "path": films.file(row["index"]), **row} for row in self.rows]

    # ---- what it looks like -------------------------------------------------------------------------------------

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """A contact sheet of each of some films: its shots, the curve, what was hit, missed and falsely found."""
        count = min(self.example_films if split == "test" else VAL_SHEETS, len(self.seen))
        films = [self.seen[i * len(self.seen) // count] for i in range(count)]
        return [self._save_sheet(folder, film, datamodule.dataset(split).path(film.index)) for film in films]

    def _save_sheet(self, folder: Path, film: SeenFilm, path: Path) -> Path:
        threshold = float(self.threshold)
        found = [
            FilmTransition(before, after, float(film.probability_T[before:after].max()))
            for before, after in predict_transitions(film.probability_T, threshold=threshold)
        ]
        clock = read_clock(path)
        shots = cut_into_shots(found, clock)
        return save_shot_sheet(
            folder / f"{film.index:05d}_{path.stem}.png",
            title=path.name,
            shots=shots,
            pictures=dict(shot_pictures(path, sheet_shots(shots), width=SHEET_PIXELS)),
            transitions=found,
            clock=clock,
            threshold=threshold,
            probabilities=film.probability_T.numpy(),
            marks=mark_transitions(film.true, found, tolerance=self.tolerance_frames),
        )


def true_transitions(batch: Mapping[str, Any], number: int) -> list[Transition]:
    """Those of one clip of a batch: as they are stated, or as they were made."""
    if "transitions" in batch:
        return [(int(before), int(after)) for before, after in batch["transitions"].of_clip(number)["between"].tolist()]
    return predict_transitions(batch["target"][number][:, 1], threshold=0.5)
