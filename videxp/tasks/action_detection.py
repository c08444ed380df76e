"""What the people in given boxes do: actions of the boxes of a clip's key frame, read from any classifier's features.

The boxes are the true ones or, in evaluation, those of a detector that the data set states as `given`.

Legend: N clips of a batch, T frames, M boxes, K classes.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from videxp.config.problems import suggestion
from videxp.core.contract import Contract
from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.data.annotations.ragged import Ragged
from videxp.data.prepared import datamodule_of
from videxp.losses.actions import action_loss
from videxp.metrics.answered_boxes import AnsweredVideo, join_parts, told_classes, told_right
from videxp.metrics.detected_videos import DetectedVideo, DetectionFigures, VideoBoxes, gather_videos
from videxp.models.detection.roi_head import RoiActions
from videxp.tasks.base import Split, VideoTask
from videxp.tasks.deployable import DeployableActions
from videxp.tasks.detection_samples import BoxSamples, save_detection_samples
from videxp.tasks.given_boxes import GivenBoxes, boxes_at, key_frame, whole_pictures, windows_around
from videxp.tasks.layer_decay import with_layer_decay
from videxp.tasks.questions import Question, require_known
from videxp.transforms.evaluate import preparation_of

AVA_LEFT_OUT = (
    "crawl", "brush teeth", "catch (an object)", "chop", "clink glass", "cook", "dig", "exit", "extract", "fishing",
    "kick (an object)", "paint", "play board game", "play with pets", "press", "row boat", "shovel", "stir",
    "kick (a person)", "play with kids",
)  # fmt: skip
"""Those of AVA's 80 actions of which it has too few: the other 60 are evaluated (Gu et al. 2018, section 4.2)."""


BOXES_EXPLAINED = 3
SHEETS = {"val": 2, "test": 8}
LEAST_TOLD = 0.5
"""Probability from which one of several classes is told in pictures."""


class Seen(NamedTuple):
    """One key frame of each of some clips, as an evaluation meets it."""

    video: Tensor
    """float [n,L,C,H,W]"""
    place_n2: Tensor
    """int64 [n,2], on the CPU: which sample, and which of its key frames"""
    true: GivenBoxes
    given: GivenBoxes


class ActionDetection(VideoTask):
    """`network`: a classifier of clips float [B,T,C,H,W] that says where its features lie; `head` makes of it a network
    that answers `network(video, boxes, clip)` with logits [M,K].

    A clip's key frame is its frame T // 2. Of whole films (dataset.clips.test_frames=all) each frame with true boxes is
    one, in the middle of a clip of its own.
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="num_classes",
        needs=("boxes",),
        metrics={
            "frame_map_50": "max",
            "video_map_20": "max",
            "video_map_50": "max",
            "accuracy": "max",
            "loss": "min",
        },
        headline=("frame_map_50", "video_map_50", "accuracy"),
        undefined="none of their key frames has a box, or boxes have no tracks",
        predictor="videxp.deploy.action_files",
        predict_example="VIDEO.mp4 --boxes BOXES.json",
        explains=("map", "frames", "order"),
    )

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Any,
        scheduler: Any,
        classes: list[str],
        head: Callable[..., nn.Module],
        num_frames: Annotated[int, Ge(1)],
        size: Annotated[int, Ge(1)],
        monitor: str = "val/frame_map_50",
        exclusive: bool = False,
        focal_gamma: Annotated[float, Ge(0)] = 0.0,
        evaluated: Literal["all", "ava"] | Sequence[str] = "all",
        decay_norms_and_biases: bool = False,
        layer_decay: Annotated[float, Interval(gt=0, le=1)] | None = None,
    ) -> None:
        """
        head: called with the network, `num_classes`, `num_frames` and `size`.
        num_frames, size: of the clips that the network is trained on, and of the windows that films are gone over by.
        exclusive: a box has one class: softmax; false: any number of them, a sigmoid for each.
        focal_gamma: see `action_loss`; 0: plain cross-entropy.
        evaluated: the classes whose mean the mAPs are: all, AVA's 60 of 80, or these names.
        layer_decay: factor of the learning rate from each layer to the one below it. None: 1.
        Raises BadRequest for names that are no classes of the data.
        """
        super().__init__(
            network=head(network, num_classes=len(classes), num_frames=num_frames, size=size),
            optimizer=optimizer,
            scheduler=scheduler,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        if exclusive and focal_gamma:
            raise BadRequest(f"task.focal_gamma={focal_gamma:g}: it is of sigmoids: set task.exclusive=false")
        self.classes, self.num_frames = classes, num_frames
        self.exclusive, self.focal_gamma = exclusive, focal_gamma
        self.layer_decay = layer_decay
        self.counted = counted_classes(evaluated, classes)
        self.figures = DetectionFigures(len(classes), on="annotated")
        self.seen: list[AnsweredVideo] = []  # in the last validation or test, by this process
        self.videos: list[AnsweredVideo] = []  # by all processes, in the order of the data

    # ---- what the network is told -----------------------------------------------------------------------------------

    def network_inputs(self, batch: Mapping[str, Any]) -> tuple[Tensor, ...]:
        """`video` [N,T,C,H,W] and the boxes of its key frames: `condition`, float [N,D,4] where each clip has as many,
        or those of `boxes`; where there are neither, the whole picture is one."""
        video = batch["video"]
        if "condition" not in batch and "boxes" in batch:
            true = self._key_boxes(batch)
            return video, true.xyxy, true.clip
        condition = (batch if "condition" in batch else whole_pictures(video))["condition"]
        clip = torch.arange(len(condition), device=video.device).repeat_interleave(condition.shape[1])
        return video, condition.flatten(0, 1), clip

    def _key_boxes(self, batch: Mapping[str, Any]) -> GivenBoxes:
        """True ones."""
        boxes, key = cast(Ragged, batch["boxes"]), key_frame(batch["video"].shape[1])
        return boxes_at(boxes, torch.full((boxes.count,), key), num_classes=len(self.classes))

    def one_clip(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The clip of the first key frame with boxes, with these; of none, its middle and the whole picture."""
        for seen in self.key_frames(batch, whole=batch["video"].shape[1] > self.num_frames):
            for number in range(len(seen.video)):
                if (mine := seen.given.clip == number).any():
                    return {"video": seen.video[number : number + 1], "condition": seen.given.xyxy[mine][None]}
        video = batch["video"][:1, : self.num_frames]
        return {"video": video, **whole_pictures(video)}

    def answer_whole(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """Of each key frame, those of films a few at once: logits [M,K]."""
        whole = batch["video"].shape[1] > self.num_frames
        return [self(seen.video, seen.given.xyxy, seen.given.clip) for seen in self.key_frames(batch, whole=whole)]

    def deployable(self, transform: nn.Module) -> DeployableActions:
        activation = "softmax" if self.exclusive else "sigmoid"
        network = self.deployed.running_on() if isinstance(self.deployed, RoiActions) else self.deployed
        return DeployableActions(network, preparation=preparation_of(transform), activation=activation)

    # ---- training -----------------------------------------------------------------------------------------------

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = super().parameter_groups()
        return (
            groups if self.layer_decay is None else with_layer_decay(groups, self.network, layer_decay=self.layer_decay)
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["classes"] = self.classes  # so that a run can label files where its data is not

    def losses(self, logits_MK: Tensor, target_MK: Tensor) -> Tensor:
        """float [M]."""
        return action_loss(logits_MK.float(), target_MK, exclusive=self.exclusive, focal_gamma=self.focal_gamma)

    def probabilities(self, logits_MK: Tensor) -> Tensor:
        return logits_MK.float().softmax(-1) if self.exclusive else logits_MK.float().sigmoid()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        true = self._key_boxes(batch)
        logits_MK = self(batch["video"], true.xyxy, true.clip)
        loss = self.losses(logits_MK, true.classes).sum() / max(len(logits_MK), 1)  # no boxes: a zero on all weights
        return {"loss": loss, "log": {"train/loss": loss.detach()}}

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.seen = []

    def on_test_epoch_start(self) -> None:
        self.seen = []

    def key_frames(self, batch: Mapping[str, Any], *, whole: bool) -> Iterator[Seen]:
        """The clips of a batch around their key frames; of whole films, around each frame that has a true box."""
        video, boxes = batch["video"], cast(Ragged, batch["boxes"])
        given = cast(Ragged, batch.get("given", boxes))
        index = batch["index"] if "index" in batch else torch.arange(len(video))
        views = len(video) // len(index)
        for number in range(len(video)) if whole else ():
            mine, theirs = (Ragged.of_one(one.of_clip(number)) for one in (boxes, given))
            sample, view = int(index[number // views]), number % views
            frames = mine.rows["frame"].unique().tolist()
            for window in windows_around(video[number], frames, length=self.num_frames):
                place_n2 = torch.tensor([(sample, view * video.shape[1] + frame) for frame in window.frames])
                yield Seen(window.video, place_n2, *(self._on_frames(one, window.frames) for one in (mine, theirs)))
        if not whole:
            place_n2 = torch.stack([index.cpu().repeat_interleave(views), torch.arange(views).repeat(len(index))], 1)
            frame_N = torch.full((len(video),), key_frame(video.shape[1]))
            found = [boxes_at(one, frame_N, num_classes=len(self.classes)) for one in (boxes, given)]
            # Of one frame of a video there are no tubes.
            yield Seen(video, place_n2, *(one._replace(track=torch.full_like(one.track, -1)) for one in found))

    def _on_frames(self, boxes: Ragged, frames: list[int]) -> GivenBoxes:
        """Of one film's boxes those on each of these frames, as of so many clips."""
        copies = Ragged.join([boxes] * len(frames))
        return boxes_at(copies, torch.tensor(frames), num_classes=len(self.classes))

    def evaluation_step(self, batch: dict[str, Any], split: Split) -> None:
        parts: dict[int, list[AnsweredVideo]] = {int(index): [] for index in batch["index"]}
        for seen in self.key_frames(batch, whole=self._reads_films(split, batch)):
            logits_MK = self(seen.video, seen.given.xyxy, seen.given.clip)
            found = self._by_sample(seen.place_n2, seen.given, self.probabilities(logits_MK))
            true = self._by_sample(seen.place_n2, seen.true, seen.true.classes)
            # Which classes a detector's boxes truly have nobody knows.
            told = {} if "given" in batch else self._told_right(seen, logits_MK)
            for index in found:
                parts[index].append(AnsweredVideo(index, true[index], found[index], [], *told.get(index, ())))
        self.seen += [join_parts(index, of_sample) for index, of_sample in parts.items()]

    def _by_sample(self, place_n2: Tensor, boxes: GivenBoxes, score_MK: Tensor) -> dict[int, VideoBoxes]:
        """The boxes of each sample, once for each class that counts and that they have a score for."""
        sample_M, frame_M = place_n2[boxes.clip.cpu()].numpy().T
        scores, track_M, xyxy_M4 = (one.cpu().numpy() for one in (score_MK.float(), boxes.track, boxes.xyxy.float()))
        counts_K = np.isin(np.arange(len(self.classes)), self.counted)
        by_sample = {}
        for sample in place_n2[:, 0].unique().tolist():
            row_D, label_D = np.nonzero((scores > 0) & counts_K & (sample_M == sample)[:, None])
            by_sample[sample] = VideoBoxes(
                frame_M[row_D], label_D, scores[row_D, label_D], track_M[row_D], xyxy_M4[row_D]
            )
        return by_sample

    def _told_right(self, seen: Seen, logits_MK: Tensor) -> dict[int, tuple[int, float, float]]:
        """Of each sample: true boxes, the sum of their losses, and of how many the likeliest class is a true one."""
        loss_M = self.losses(logits_MK, seen.true.classes).cpu()
        right_M = seen.true.classes.gather(1, logits_MK.argmax(-1, keepdim=True))[:, 0].cpu()
        sample_M = seen.place_n2[:, 0][seen.true.clip.cpu()]
        return {
            sample: (int(mine_M.sum()), float(loss_M[mine_M].double().sum()), float(right_M[mine_M].sum()))
            for sample in seen.place_n2[:, 0].unique().tolist()
            for mine_M in (sample_M == sample,)
        }

    def _reads_films(self, split: Split, batch: Mapping[str, Any]) -> bool:
        """Whether the clips of an evaluation are whole films."""
        data = datamodule_of(self.trainer)
        if hasattr(data, "choice_of"):
            return data.choice_of(split).num_frames == "all"
        return batch["video"].shape[1] > self.num_frames

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        self.videos = sorted(cast(list[AnsweredVideo], gather_videos([*self.seen])), key=lambda video: video.index)
        videos = self.videos
        if split == "test":
            table = self.figures.class_table(videos, self.classes)
            self.classes_tested = [row for label, row in enumerate(table) if label in self.counted]
        figures = {name: torch.tensor(value) for name, value in self.figures.of(videos).items()}
        if any((video.found.track_M < 0).any() for video in videos):  # no tubes
            figures = {name: value for name, value in figures.items() if not name.startswith("video")}
        figures |= {name: torch.tensor(value) for name, value in told_right(videos).items()}
        return {name: figures[name] for name in self.contract.metrics if name in figures}

    @property
    def evaluation_protocol(self) -> str:
        """`mAP at IoU 0.5, all-point; true boxes; over 60 of 80 classes`"""
        data = datamodule_of(self.trainer)
        given = next((one for one in getattr(data, "annotations", ()) if one.name == "given"), None)
        boxes = "true boxes" if given is None else f"boxes of {given}"
        counted, of = len(self.counted), len(self.classes)
        over = "" if counted == of else f"; over {counted} of {of} classes"
        return f"mAP at IoU 0.5, all-point; {boxes}{over}"

    # ---- what it looks like -------------------------------------------------------------------------------------

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """Of whole films: sheets of some and, of a test, confusion of classes and precision over recall."""
        if datamodule.choice_of(split).num_frames != "all":
            return []
        return save_detection_samples(
            folder,
            self.videos,
            BoxSamples(self.classes, 0.0, datamodule, split),
            figures=self.figures,
            sheets=SHEETS[split],
            told=[self._told(video) for video in self.videos],
        )

    def save_worst(self, rows: list[dict[str, Any]], datamodule: Any, path: Path) -> bool:
        """The films, playing, with the classes that were hit, missed and falsely told."""
        of_index = {video.index: video for video in self.videos}
        chosen = [self._told(of_index[row["index"]]) for row in rows if row["index"] in of_index]
        if not chosen or datamodule.choice_of("test").num_frames != "all":
            return False
        BoxSamples(self.classes, 0.0, datamodule, "test").save_worst(path, chosen)
        return True

    def _told(self, video: AnsweredVideo) -> DetectedVideo:
        return told_classes(video, least=None if self.exclusive else LEAST_TOLD)

    # ---- explanation --------------------------------------------------------------------------------------------

    def questions(self, batch: Mapping[str, Any], *, asked: Mapping[str, str]) -> list[Question]:
        """Why this class, the likeliest unless one is asked for, of the boxes of that key frame which has the surest;
        of a file without boxes, of the whole picture."""
        require_known(asked, ("class",), task="an action")
        if "class" in asked and asked["class"] not in self.classes:
            raise BadRequest(f"--class {asked['class']}: {suggestion(asked['class'], self.classes)}")
        found = list(self._answers(batch))
        clip, frame, boxes_M4, probabilities_MK, first, view = max(found, key=lambda one: float(one[3].max()))
        named = self.classes.index(asked["class"]) if "class" in asked else None
        surest = probabilities_MK.amax(1).argsort(descending=True)[:BOXES_EXPLAINED].tolist()
        return [
            self._question(clip, frame, boxes_M4[row], probabilities_MK[row], named, first=first, view=view)
            for row in surest
        ]

    @torch.no_grad()
    def _answers(self, batch: Mapping[str, Any]) -> Iterator[tuple[Tensor, int, Tensor, Tensor, int, int]]:
        """Of each key frame with boxes: its clip [1,L,C,H,W], its number there, boxes, probabilities, with which frame
        of the clip that was read this one begins, and which of these it is."""
        length, there = self.num_frames, batch["video"].shape[1]
        is_found = False
        for seen in self.key_frames(batch, whole=there > length) if "boxes" in batch else ():
            answers_MK = self.probabilities(self(seen.video, seen.given.xyxy, seen.given.clip))
            for number in seen.given.clip.unique().tolist():
                mine, place = seen.given.clip == number, int(seen.place_n2[number, 1])
                first, view = (place % there - key_frame(length), place // there) if there > length else (0, number)
                if 0 <= first <= max(there - length, 0):  # at the film's ends its frames are held
                    is_found = True
                    clip = seen.video[number : number + 1]
                    yield clip, key_frame(clip.shape[1]), seen.given.xyxy[mine], answers_MK[mine], first, view
        if not is_found:
            clip = batch["video"][:1, :length]
            video, boxes, owner = self.network_inputs({"video": clip})
            yield clip, key_frame(clip.shape[1]), boxes, self.probabilities(self(video, boxes, owner)), 0, 0

    def _question(
        self, clip: Tensor, frame: int, box: Tensor, probability_K: Tensor, named: int | None, *, first: int, view: int
    ) -> Question:
        number = int(probability_K.argmax()) if named is None else named
        x0, y0, x1, y1 = box.tolist()

        def score(clips: Tensor) -> Tensor:
            owner = torch.arange(len(clips), device=clips.device)
            logits_NK = self(clips, box.expand(len(clips), 4), owner).float()
            if not self.exclusive:
                return logits_NK[:, number]
            return logits_NK[:, number] - logits_NK.index_fill(1, owner.new_tensor([number]), -torch.inf).logsumexp(1)

        return Question(
            about=f"{self.classes[number]} at {x0:.0f},{y0:.0f}",
            video=clip,
            score=score,
            measure=lambda clips: score(clips).sigmoid(),
            facts={
                "class": self.classes[number],
                "probability": round(float(probability_K[number]), 6),
                "box": [round(side, 2) for side in (x0, y0, x1, y1)],
                "frame": first + frame,
            },
            frame=frame,
            box=(math.floor(y0), math.floor(x0), math.ceil(y1), math.ceil(x1)),
            first_frame=first,
            view=view,
        )

    def prediction_rows(self, datamodule: Any) -> list[dict[str, Any]]:
        """One row for each sample that this process tested: index, path, its boxes, their mean loss and accuracy."""
        videos = datamodule.dataset("test")
        return [
            {"index": video.index, "path": videos.file(video.index), "boxes": video.asked, **told_right([video])}
            for video in self.seen
        ]


def counted_classes(evaluated: Literal["all", "ava"] | Sequence[str], classes: list[str]) -> list[int]:
    """Numbers of the classes that count. Raises BadRequest for names that are none, which a list of labels that is off
    by one would give, too."""
    names = list(AVA_LEFT_OUT) if evaluated == "ava" else [] if evaluated == "all" else list(evaluated)
    for name in names:
        if name not in classes:
            told, whose = ("ava", ", AVA's,") if evaluated == "ava" else (names, "")
            raise BadRequest(
                f"task.evaluated={told}: {name!r}{whose} is no class of the data; {suggestion(name, classes)}"
            )
    if evaluated in ("all", "ava"):
        return [number for number, name in enumerate(classes) if name not in names]
    return [classes.index(name) for name in names]
