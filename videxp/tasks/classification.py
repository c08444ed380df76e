"""Video classification: one label for each video.

Shapes: B videos, V views of a video (clips x crops, adjacent in the batch), K classes.
"""

from collections.abc import Callable, Mapping
from math import isnan
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric, Metric, MetricCollection

from videxp.config.problems import suggestion
from videxp.core.contract import Contract
from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt, Interval
from videxp.data.loading.testing_protocols import views_of
from videxp.data.prepared import datamodule_of
from videxp.losses.classification import cross_entropy, distillation
from videxp.metrics.classification import accuracy_by_class, classification_metrics
from videxp.tasks.base import Split, VideoTask
from videxp.tasks.blame import require_scores
from videxp.tasks.deployable import DeployableClassifier
from videxp.tasks.freezing import rest_frozen, train_only
from videxp.tasks.layer_decay import with_layer_decay
from videxp.tasks.pictures import (
    Example,
    save_confusion_matrix,
    save_prediction_clips,
    save_prediction_strips,
)
from videxp.tasks.questions import Question, require_known
from videxp.tasks.teaching import Taught
from videxp.transforms.evaluate import preparation_of


def video_probabilities(logits_NK: Tensor, *, videos: int) -> Tensor:
    """Softmax per view, averaged over the V = N / videos views of each video: [N,K] -> [B,K]."""
    return logits_NK.softmax(-1).unflatten(0, (videos, -1)).mean(1)


def chosen_examples(rows: list[dict[str, Any]], *, count: int) -> list[dict[str, Any]]:
    """`count` predictions worth a look: mistakes, as far as there are any, for half of them, the rest spread evenly."""

    def spread(among: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
        return [among[i * len(among) // number] for i in range(number)]

    wrong = [row for row in rows if row["predicted"] != row["label"]]
    right = [row for row in rows if row["predicted"] == row["label"]]
    of_wrong = min(len(wrong), max(count // 2, count - len(right)))
    return spread(wrong, of_wrong) + spread(right, min(len(right), count - of_wrong))


def class_table(classes: list[str], videos_K: Tensor, *, score: str, score_K: Tensor) -> list[dict[str, Any]]:
    """`{"class": "run", "videos": 12, "accuracy": 0.75}`, ...; None for what is NaN: a class without a video."""
    rows = zip(classes, videos_K.tolist(), score_K.tolist(), strict=True)
    return [
        {"class": name, "videos": int(videos), score: None if isnan(value) else round(value, 6)}
        for name, videos, value in rows
    ]


class Classification(Taught):
    """Cross-entropy on clips in training; probabilities averaged over a video's views in evaluation.

    `network` maps float [B,T,C,H,W] to logits [B,K].
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="num_classes",
        needs=("label",),
        metrics={"accuracy": "max", "accuracy_top5": "max", "accuracy_per_class": "max", "loss": "min"},
        train_metrics=("loss", "accuracy", "distillation"),
        headline=("accuracy", "loss"),
        predictor="videxp.deploy.label_files",
        streamer="videxp.deploy.streaming.labels",
        explains=("map", "frames", "order"),
        activation="softmax",
    )

    def __init__(
        self,
        *,
        network: torch.nn.Module,
        optimizer: Any,
        scheduler: Any,
        classes: list[str],
        monitor: str,
        label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        decay_norms_and_biases: bool = False,
        trained: list[str] | None = None,
        layer_decay: Annotated[float, Interval(gt=0, le=1)] | None = None,
        teacher: str | None = None,
        teacher_weight: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        temperature: Annotated[float, Gt(0)] = 4.0,
        load_teacher: Callable[..., torch.nn.Module] | None = None,
        example_videos: Annotated[int, Ge(0)] = 8,
    ) -> None:
        """
        trained: the parts of the network that are trained, as regular expressions of parameters' names; the rest is
            frozen, its BatchNorms too: `[head]` probes what the network knows. None: all. See `freezing.py`.
        layer_decay: factor of the learning rate from each layer to the one below it. None: 1. See `layer_decay.py`.
        teacher: a run folder; `distillation` is at `temperature`. See `teaching.py`.
        """
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        if len(classes) < 2:
            raise BadRequest(f"classification needs labels of at least 2 classes, the data has {len(classes)}")
        if trained is not None:
            train_only(network, trained)
            rest_frozen(network)
        self.trained = trained
        self.learn_from(teacher, weight=teacher_weight, load_teacher=load_teacher)
        self.temperature = temperature
        self.layer_decay = layer_decay
        self.classes = classes
        self.label_smoothing = label_smoothing
        self.example_videos = example_videos
        metrics = MetricCollection({**self.make_metrics(), "loss": MeanMetric()}, compute_groups=False)
        if monitor not in (there := [f"val/{name}" for name in self.contract.metrics if name in metrics]):
            known = ", ".join(there)
            raise BadRequest(f"task.monitor={monitor}: not measured of {len(classes)} classes; measured are {known}")
        self.metrics = torch.nn.ModuleDict({"val": metrics.clone(), "test": metrics.clone()})
        self.predictions: dict[str, list[Tensor]] = {}
        self.confusion_KK: Tensor | None = None

    # ---- what of it is about one label for each video -------------------------------------------------------------

    def make_metrics(self) -> dict[str, Metric]:
        """Updated with a video's probabilities [B,K] and `target`."""
        return classification_metrics(len(self.classes))

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """int64 [B]."""
        return batch["label"]

    def loss(self, logits_NK: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """A scalar, and what else is logged of a training batch: of mixed clips, accuracy by their own labels."""
        loss = cross_entropy(
            logits_NK,
            batch["label"],
            label_smoothing=self.label_smoothing,
            mix_label=batch.get("mix_label"),
            mix_weight=batch.get("mix_weight"),
        )
        guesses = logits_NK.detach().argmax(-1).unflatten(0, (len(batch["label"]), -1))
        return loss, {"train/accuracy": (guesses == batch["label"][:, None]).float().mean()}

    def distance(self, logits_NK: Tensor, teacher_NK: Tensor) -> Tensor:
        return distillation(logits_NK.float(), teacher_NK.float(), temperature=self.temperature)

    def refusal_of_teacher(self, teacher: VideoTask) -> str:
        ours, theirs = self.contract.activation, teacher.contract.activation
        if not isinstance(teacher, Classification):
            return f"is a run of {type(teacher).__name__}, none of a classification"
        if theirs != ours:
            return f"learned by {theirs}, this task by {ours}"
        if teacher.classes != self.classes:
            return f"it knows other classes ({len(teacher.classes)}) than these data have ({len(self.classes)})"
        return ""

    def probabilities(self, logits_NK: Tensor, *, videos: int) -> Tensor:
        """[N,K] -> [B,K]."""
        return video_probabilities(logits_NK, videos=videos)

    def log_odds(self, logits_NK: Tensor, number: int) -> Tensor:
        """Of a class against all others [N]: its sigmoid is the class's probability."""
        others_NK = torch.cat([logits_NK[:, :number], logits_NK[:, number + 1 :]], dim=1)
        return logits_NK[:, number] - others_NK.logsumexp(-1)

    def losses(self, probabilities_BK: Tensor, target: Tensor) -> Tensor:
        """Of each video, in nats [B]."""
        return F.nll_loss(probabilities_BK.clamp_min(1e-12).log(), target, reduction="none")

    @staticmethod
    def agreement(views_BVK: Tensor, probabilities_BK: Tensor) -> Tensor:
        """Share of each video's views that give its answer, float [B]."""
        return (views_BVK.argmax(-1) == probabilities_BK.argmax(-1, keepdim=True)).float().mean(1)

    def tested_classes(self, metrics: MetricCollection, values: dict[str, Tensor]) -> list[dict[str, Any]]:
        """A row for each class; takes out of `values` what is no scalar."""
        self.confusion_KK = values.pop("confusion")
        accuracy_K = accuracy_by_class(self.confusion_KK)
        return class_table(self.classes, self.confusion_KK.sum(1), score="accuracy", score_K=accuracy_K)

    def described(self, target: Tensor, probabilities_K: Tensor) -> dict[str, Any]:
        """What of a video's prediction is told: true and predicted, by name."""
        predicted = int(probabilities_K.argmax())
        return {
            "label": self.classes[int(target)],
            "predicted": self.classes[predicted],
            "probability": round(float(probabilities_K.max()), 6),
            "accuracy": int(predicted == int(target)),
        }

    # ---- training -------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["classes"] = self.classes  # so that a run can label files where its data is not

    def train(self, mode: bool = True) -> "Classification":
        """Frozen parts stay as they are evaluated."""
        super().train(mode)
        if self.trained is not None:
            rest_frozen(self.network)
        return self

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = super().parameter_groups()
        if self.layer_decay is None:
            return groups
        return with_layer_decay(groups, self.network, layer_decay=self.layer_decay)

    def deployable(self, transform: torch.nn.Module) -> DeployableClassifier:
        return DeployableClassifier(
            self.network, preparation=preparation_of(transform), activation=self.contract.activation
        )

    def _metrics(self, split: Split) -> MetricCollection:
        return cast(MetricCollection, self.metrics[split])

    def _scores(self, batch: dict[str, Tensor], split: Split) -> Tensor:
        """Logits [N,K], K the data's number of classes."""
        logits_NK = self.answer(batch)
        require_scores(logits_NK, classes=len(self.classes), batch=batch, task=self, split=split)
        return logits_NK

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        logits_BK = self._scores(batch, "train")
        loss, log = self.loss(logits_BK, batch)
        loss, of_teacher = self.with_teacher(loss, logits_BK, batch)
        return {"loss": loss, "log": {"train/loss": loss.detach(), **log, **of_teacher}}

    # ---- evaluation -----------------------------------------------------------------------------------------------

    def on_test_epoch_start(self) -> None:
        self.predictions = {"index": [], "target": [], "probabilities": [], "loss": [], "agreement": []}

    def evaluation_step(self, batch: dict[str, Tensor], split: Split) -> None:
        target = self.target(batch)
        logits_NK = self._scores(batch, split).float()
        probabilities_BK = self.probabilities(logits_NK, videos=len(target))
        loss_B = self.losses(probabilities_BK, target)
        for name, metric in self._metrics(split).items():
            if name == "loss":
                metric.update(loss_B.mean(), weight=len(target))
            else:
                metric.update(probabilities_BK, target)
        if split == "test":
            columns = {"index": batch["index"], "target": target, "probabilities": probabilities_BK, "loss": loss_B}
            if len(logits_NK) > len(target):
                views_BVK = self.probabilities(logits_NK, videos=len(logits_NK)).unflatten(0, (len(target), -1))
                columns["agreement"] = self.agreement(views_BVK, probabilities_BK)
            for name, values in columns.items():
                self.predictions[name].append(values.cpu())

    def sample_losses(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Of each video, in nats [B]: of the probabilities averaged over its views."""
        target = self.target(dict(batch))
        return self.losses(self.probabilities(self.answer(batch).float(), videos=len(target)), target)

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        values = self._metrics(split).compute()
        self.classes_tested = self.tested_classes(self._metrics(split), values)
        self._metrics(split).reset()
        return values

    @property
    def evaluation_protocol(self) -> str:
        """`10x3 (30-view): 10 clips x 3 crops of each video, probabilities averaged`."""
        return f"{views_of(datamodule_of(self.trainer))}, probabilities averaged"

    # ---- explanation ----------------------------------------------------------------------------------------------

    def questions(self, batch: Mapping[str, Tensor], *, asked: Mapping[str, str]) -> list[Question]:
        """Why this class, the likeliest unless one is asked for: of that view of the video which speaks for it most."""
        require_known(asked, ("class",), task="a classifier")
        with torch.no_grad():
            logits_VK = self.answer(batch).float()
            probabilities_K = self.probabilities(logits_VK, videos=1)[0]
        number = self._class_number(asked["class"]) if "class" in asked else int(probabilities_K.argmax())
        view = int(self.log_odds(logits_VK, number).argmax())

        def score(video: Tensor) -> Tensor:
            return self.log_odds(self.answer({"video": video}).float(), number)

        facts = {
            "class": self.classes[number],
            "probability": round(float(probabilities_K[number]), 6),
            "predicted": self.classes[int(probabilities_K.argmax())],
        }
        return [
            Question(
                about=self.classes[number],
                video=batch["video"][view : view + 1],
                score=score,
                measure=lambda video: score(video).sigmoid(),
                facts=facts,
                view=view,
            )
        ]

    def _class_number(self, name: str) -> int:
        if name not in self.classes:
            raise BadRequest(f"--class {name}: no such class; {suggestion(name, self.classes)}")
        return self.classes.index(name)

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """Of a test: the confusion matrix, and example clips with predicted and true label, as a picture and moving."""
        if split == "val":
            return []
        videos = datamodule.dataset("test")
        rows = chosen_examples(self.prediction_rows(datamodule), count=self.example_videos)
        paths = []
        if self.confusion_KK is not None:
            paths.append(save_confusion_matrix(self.confusion_KK.cpu(), self.classes, folder / "confusion_matrix.png"))
        if rows:
            examples = [self._example(videos[0, row["index"]]["clip"][0], row) for row in rows]
            paths.append(save_prediction_strips(examples, folder / "predictions.png"))
            paths.append(
                save_prediction_clips(examples, folder / "prediction_clips.mp4", fps=videos.clip_fps(rows[0]["index"]))
            )
        return paths

    def save_worst(self, rows: list[dict[str, Any]], datamodule: Any, path: Path) -> bool:
        """The middle clip of each, playing, with what was predicted and its loss."""
        videos, clips = datamodule.dataset("test"), datamodule.clips.test_clips
        examples = []
        for row in rows:
            views = videos[0, row["index"]]["clip"].unflatten(0, (clips, -1))  # [K,V,T,H,W,C]
            clip_THWC = views[clips // 2, views.shape[1] // 2]
            note = f"loss {row['loss']:.2f}"
            examples.append(self._example(clip_THWC, row, note=note))
        save_prediction_clips(examples, path, fps=videos.clip_fps(rows[0]["index"]))
        return True

    def _example(self, clip_THWC: Tensor, row: dict[str, Any], *, note: str = "") -> Example:
        several = "labels" in self.contract.needs
        return Example(clip_THWC, predicted=row["predicted"], true=row["label"], note=note, several=several)

    def prediction_rows(self, datamodule: Any) -> list[dict[str, Any]]:
        """One row for each video that this process tested: index, path, what was predicted, loss, and the agreement of
        its views, where it has several."""
        tested = self._tested()
        if not tested:  # all of its files were left out
            return []
        videos = datamodule.dataset("test")
        rows = []
        for values in zip(*tested.values()):
            of_video = dict(zip(tested, values))
            index = int(of_video["index"])
            row = {"index": index, "path": videos.file(index), **videos.part(index)}
            row |= self.described(of_video["target"], of_video["probabilities"])
            row |= {name: round(float(of_video[name]), 6) for name in ("loss", "agreement") if name in of_video}
            rows.append(row)
        return rows

    def class_probabilities(self) -> dict[str, Tensor]:
        tested = self._tested()
        return {name: tested[name] for name in ("index", "probabilities", "target") if tested}

    def _tested(self) -> dict[str, Tensor]:
        """A row for each video that this process tested; {} of none."""
        return {name: torch.cat(parts) for name, parts in self.predictions.items() if parts}
