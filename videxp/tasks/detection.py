"""Detection: boxes on each frame of a video, linked to tracks and tubes.

Legend: B clips, T frames, D boxes of a frame, M true boxes of a batch, K classes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou

from videxp.core.boxes import FrameBoxes
from videxp.core.contract import Contract
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.limits import Ge, Interval
from videxp.core.tubes import Tube
from videxp.core.windows import windows_of_each
from videxp.data.annotations.ragged import Ragged
from videxp.data.prepared import datamodule_of
from videxp.metrics.detected_videos import DetectedVideo, DetectionFigures, Judged, VideoBoxes, gather_videos
from videxp.metrics.detection import Interpolation, Rule
from videxp.models.detection.interface import BoxTargets, DetectedBoxes, DetectionNetwork
from videxp.models.detection.linking import TubeLinker
from videxp.models.detection.suppression import ChosenBoxes, choose_boxes
from videxp.models.detection.tracking import NO_TRACK, GreedyIou, Tracker
from videxp.tasks.base import Split, VideoTask
from videxp.tasks.deployable import DeployableDetector
from videxp.tasks.detection_samples import BoxSamples, save_detection_samples
from videxp.tasks.questions import Question, require_known

WINDOWS_AT_ONCE = 16
VAL_SHEETS = 2
SAME_BOX = 0.5
"""IoU from which a box of a changed clip is the one that is explained."""
NO_BOX = float(torch.tensor(1e-6).logit())
"""Log-odds where there is no such box."""
BOXES_EXPLAINED = 3
Share = Annotated[float, Interval(ge=0, le=1)]


class Detection(VideoTask):
    """Any `DetectionNetwork`, trained on clips of which it answers for the key frame.

    An evaluation goes over whole videos, in which each frame is the key frame of a window once; what is found is linked
    to tracks by `tracker` and to tubes by `linker`. Figures are of all videos together.
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="clip_frames",
        needs=("boxes",),
        metrics={
            "frame_map_50": "max",
            "frame_map_75": "max",
            "frame_map": "max",
            "video_map_20": "max",
            "video_map_50": "max",
            "video_map_75": "max",
            "video_map": "max",
            "idf1": "max",
            "mota": "max",
            "hota": "max",
            "deta": "max",
            "assa": "max",
        },
        train_metrics=("loss", "objectness", "class", "box"),
        headline=("frame_map_50", "video_map_50", "idf1"),
        undefined="none of them has a box or, of tubes and tracks, none says which boxes are of one thing",
        predictor="videxp.deploy.detection_files",
        streamer="videxp.deploy.streaming.detection",
        predict_example="VIDEO.mp4 -o OUT/",
        explains=("map", "frames"),
        map_method="integrated_gradients",
        normalization={"mean": 0.0, "std": 1.0},
    )

    def __init__(
        self,
        *,
        network: DetectionNetwork,
        optimizer: Any,
        scheduler: Any,
        classes: list[str],
        monitor: str = "val/frame_map_50",
        exclusive: bool = True,
        score_threshold: Share = 0.05,
        nms_iou: Share = 0.5,
        boxes_per_frame: Annotated[int, Ge(1)] = 40,
        track_threshold: Share = 0.5,
        tracker: Callable[[], Tracker] = GreedyIou,
        linker: Callable[[], TubeLinker] = TubeLinker,
        judged_frames: Judged = "all",
        example_videos: Annotated[int, Ge(0)] = 8,
        rule: Rule = "pascal",
        interpolation: Interpolation = "all_point",
        decay_norms_and_biases: bool = False,
        frozen: bool = False,
    ) -> None:
        """
        exclusive: a box belongs to one class, its likeliest; otherwise to each whose score suffices.
        score_threshold: from which a class's score counts. nms_iou: see `choose_boxes`.
        boxes_per_frame: at most.
        track_threshold: score from which a box is told to the tracker; others are boxes without a track.
        judged_frames: "all", or "annotated": those with a true box, of data where others were not looked at.
        rule, interpolation: of average precision, see `videxp.metrics.detection`.
        frozen: nothing is trained; the network is evaluated with the weights that it begins with.
        example_videos: of how many videos a test makes a contact sheet; a validation makes two.
        """
        super().__init__(
            network=cast(nn.Module, network),
            optimizer=optimizer,
            scheduler=scheduler,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        if not classes:
            raise BadRequest("detection needs boxes of at least one class, and the data set has none")
        if frozen:
            cast(nn.Module, network).requires_grad_(False)
        self.classes = classes
        self.clip_frames, self.key_frame = network.clip_frames, network.key_frame
        self.exclusive = exclusive
        self.score_threshold = score_threshold
        self.nms_iou = nms_iou
        self.boxes_per_frame = boxes_per_frame
        self.track_threshold = track_threshold
        self.make_tracker, self.make_linker = tracker, linker
        self.figures = DetectionFigures(len(classes), on=judged_frames, rule=rule, interpolation=interpolation)
        self.example_videos = example_videos
        self.seen: list[DetectedVideo] = []  # in the last validation or test, by this process
        self.videos: list[DetectedVideo] = []  # by all processes, in the order of the data

    @property
    def evaluation_protocol(self) -> str:
        """`AP by pascal, all_point; all frames; at most 40 boxes a frame from 0.05, tracks from 0.5`"""
        figures = self.figures
        return (
            f"AP by {figures.rule}, {figures.interpolation}; {figures.on} frames; at most {self.boxes_per_frame} boxes "
            f"a frame from {self.score_threshold:g}, tracks from {self.track_threshold:g}"
        )

    def one_clip(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """One window of a video."""
        return {"video": batch["video"][:1, : self.clip_frames]}

    def work_of_one_clip(self, *, num_frames: int, size: int) -> float:
        return super().work_of_one_clip(num_frames=self.clip_frames, size=size)

    def deployable(self, transform: nn.Module) -> DeployableDetector:
        return DeployableDetector(self.deployed)

    # ---- training -----------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["classes"] = self.classes  # so that a run can name boxes where its data is not

    def on_fit_start(self) -> None:
        """Raises BadRequest where training clips are shorter than what the network sees."""
        given = datamodule_of(self.trainer).num_frames
        if given < self.clip_frames:
            raise BadRequest(
                f"dataset.num_frames={given}: the network sees {self.clip_frames} frames at once: "
                f"dataset.num_frames={self.clip_frames}"
            )

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        """Of each clip its last window."""
        (video,) = self.network_inputs(batch)
        first = video.shape[1] - self.clip_frames
        targets = self.targets(batch, frame=first + self.key_frame)
        losses = cast(dict[str, Tensor], self(video[:, first:], targets))
        loss = torch.stack(list(losses.values())).sum()
        parts = {f"train/{name}": value.detach() for name, value in losses.items()}
        return {"loss": loss, "log": {"train/loss": loss.detach(), **parts}}

    def targets(self, batch: Mapping[str, Any], *, frame: int) -> BoxTargets:
        """The boxes of one frame of each clip. Those that are the same but for their class are one, where classes are
        not exclusive."""
        boxes: Ragged = batch["boxes"]
        among = boxes.rows["frame"] == frame
        xyxy_M4, clip_M = boxes.rows["xyxy"][among], boxes.owner[among]
        classes_MK = F.one_hot(boxes.rows["label"][among], len(self.classes)).float()
        if self.exclusive:
            return BoxTargets(xyxy_M4, classes_MK, clip_M)
        same, row = torch.unique(torch.cat([clip_M[:, None], xyxy_M4], 1), dim=0, return_inverse=True)
        joined_MK = classes_MK.new_zeros(len(same), len(self.classes)).index_add_(0, row, classes_MK)
        return BoxTargets(same[:, 1:], joined_MK.clamp_(max=1), same[:, 0].long())

    # ---- a whole video ------------------------------------------------------------------------------------------

    def detect_film(
        self, frames: Iterable[Tensor], *, windows_at_once: int = WINDOWS_AT_ONCE
    ) -> Iterator[tuple[int, FrameBoxes]]:
        """Number and boxes of each frame of a film of any length, as the network is given them, [C,H,W] in [0,1]; no
        more are held than `windows_at_once` windows have."""
        tracker = self.make_tracker()
        for number, boxes in enumerate(self._choose_in_turn(frames, windows_at_once=windows_at_once)):
            track_D = np.full(len(boxes.xyxy), NO_TRACK)
            best_D = boxes.scores.max(1) if len(track_D) else np.zeros(0)
            sure = np.flatnonzero(best_D >= self.track_threshold)
            track_D[sure] = tracker.update(number, boxes.xyxy[sure], best_D[sure])
            yield number, boxes.with_tracks(track_D)

    def _choose_in_turn(self, frames: Iterable[Tensor], *, windows_at_once: int) -> Iterator[ChosenBoxes]:
        windows = windows_of_each(frames, length=self.clip_frames, place=self.key_frame)
        while group := list(islice(windows, windows_at_once)):
            video = torch.stack([torch.stack(window) for window in group]).to(self.device)
            yield from self.choose(self.detected({"video": video}), size=(video.shape[3], video.shape[4]))

    @torch.no_grad()
    def detected(self, batch: Mapping[str, Tensor]) -> DetectedBoxes:
        """What the network answers, as it is."""
        return cast(DetectedBoxes, self.answer(batch))

    def choose(self, detected: DetectedBoxes, *, size: tuple[int, int]) -> list[ChosenBoxes]:
        """The boxes of each key frame of a picture of (height, width)."""
        return choose_boxes(
            detected,
            size=size,
            score_threshold=self.score_threshold,
            nms_iou=self.nms_iou,
            boxes_per_frame=self.boxes_per_frame,
            exclusive=self.exclusive,
        )

    def link_tubes(self, film: Iterable[tuple[int, FrameBoxes]]) -> list[Tube]:
        """The tubes of what `detect_film` gave, the surest first."""
        linker = self.make_linker()
        for number, boxes in film:
            score_DK = np.zeros((len(boxes.label), len(self.classes)))
            score_DK[np.arange(len(boxes.label)), boxes.label] = boxes.score
            linker.update(number, boxes.xyxy, score_DK, least=self.score_threshold)
        return linker.tubes()

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.seen = []

    def on_test_epoch_start(self) -> None:
        self.seen = []

    def evaluation_step(self, batch: dict[str, Any], split: Split) -> None:
        if len(batch["video"]) != len(batch["index"]):
            raise VidexpError(
                "detection is tested on each video as one: dataset.clips.test_clips=1 dataset.test_transform.crops=1"
            )
        for number, index in enumerate(batch["index"].tolist()):
            film = list(self.detect_film(batch["video"][number]))
            true = true_boxes(batch["boxes"].of_clip(number))
            self.seen.append(DetectedVideo(index, true, VideoBoxes.of_frames(film), self.link_tubes(film)))

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        videos = self.videos = sorted(gather_videos(self.seen), key=lambda video: video.index)
        if split == "test":
            self.classes_tested = self.figures.class_table(videos, self.classes)
        return {name: torch.tensor(value) for name, value in self.figures.of(videos).items()}

    def prediction_rows(self, datamodule: Any) -> list[dict[str, Any]]:
        """One row for each video that this process tested: index, path, how many boxes there are and were found with a
        track, and the video's own figures."""
        films = datamodule.dataset("test")
        return [
            {
                "index": video.index,
                "path": films.file(video.index),
                **films.part(video.index),
                "boxes": len(video.true.label_M),
                "tracked": int((video.found.track_M >= 0).sum()),
                **{name: round(value, 6) for name, value in self.figures.of([video]).items()},
            }
            for video in self.seen
        ]

    # ---- what it looks like -------------------------------------------------------------------------------------

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """Sheets of some videos and, of a test, confusion of classes and precision over recall."""
        sheets = self.example_videos if split == "test" else min(VAL_SHEETS, self.example_videos)
        samples = BoxSamples(self.classes, self.track_threshold, datamodule, split)
        return save_detection_samples(folder, self.videos, samples, figures=self.figures, sheets=sheets)

    def save_worst(self, rows: list[dict[str, Any]], datamodule: Any, path: Path) -> bool:
        """The videos, playing, with what was hit, missed and falsely found."""
        of_index = {video.index: video for video in self.videos}
        chosen = [of_index[row["index"]] for row in rows if row["index"] in of_index]
        if chosen:
            BoxSamples(self.classes, self.track_threshold, datamodule, "test").save_worst(path, chosen)
        return bool(chosen)

    # ---- explanation --------------------------------------------------------------------------------------------

    def questions(self, batch: Mapping[str, Tensor], *, asked: Mapping[str, str]) -> list[Question]:
        """Why these boxes: the surest on that frame of the film which has the surest of all, of those whose window
        lies within the film."""
        require_known(asked, (), task="a detector")
        (film,) = batch["video"]
        held = film[-1:].expand(max(0, self.clip_frames - len(film)), -1, -1, -1)
        windows = torch.cat([film, held]).unfold(0, self.clip_frames, 1).movedim(-1, 1)
        size = (film.shape[2], film.shape[3])
        answers = [self.detected({"video": window[None]}) for window in windows]
        surest = int(torch.stack([answer.scores.max() for answer in answers]).argmax())
        (boxes,) = self.choose(answers[surest], size=size)
        if not len(boxes.xyxy):  # none is sure enough: the one that is surest
            (boxes,) = choose_boxes(
                answers[surest], size=size, score_threshold=0, nms_iou=0, boxes_per_frame=1, exclusive=True
            )
        return [
            self._question(windows[surest][None], xyxy_4, scores_K, first=surest)
            for xyxy_4, scores_K in zip(boxes.xyxy[:BOXES_EXPLAINED], boxes.scores)
        ]

    def _question(self, video: Tensor, xyxy_4: np.ndarray, scores_K: np.ndarray, *, first: int) -> Question:
        """Of the likeliest class of a box of the window that begins with this frame of a film."""
        label = int(scores_K.argmax())
        x0, y0, x1, y1 = (int(side) for side in (*np.floor(xyxy_4[:2]), *np.ceil(xyxy_4[2:])))
        return Question(
            about=f"{self.classes[label]} at {x0},{y0}",
            video=video,
            score=partial(self._log_odds, torch.from_numpy(xyxy_4), label),
            measure=lambda clips: self._log_odds(torch.from_numpy(xyxy_4), label, clips).sigmoid(),
            facts={
                "class": self.classes[label],
                "probability": round(float(scores_K[label]), 6),
                "box": [round(float(side), 2) for side in xyxy_4],
                "frame": first + self.key_frame,
            },
            frame=self.key_frame,
            box=(y0, x0, y1, x1),
            first_frame=first,
        )

    def _log_odds(self, xyxy_4: Tensor, label: int, clips: Tensor) -> Tensor:
        """Of the surest box of a class that lies where the given one does, float [B]."""
        answer = cast(DetectedBoxes, self.answer({"video": clips}))
        is_same_BD = overlap(answer.xyxy.detach().float(), xyxy_4.to(answer.xyxy.device)) >= SAME_BOX
        odds_BD = answer.scores[..., label].float().logit(eps=1e-6)
        return odds_BD.masked_fill(~is_same_BD, NO_BOX).amax(1)


def overlap(xyxy_BD4: Tensor, xyxy_4: Tensor) -> Tensor:
    """IoU of each box with one, float [B,D]."""
    return box_iou(xyxy_BD4.flatten(0, 1), xyxy_4[None])[:, 0].unflatten(0, xyxy_BD4.shape[:2])


def true_boxes(rows: Mapping[str, Tensor]) -> VideoBoxes:
    """A clip's rows of the annotation `Boxes`, in order of frames."""
    order = rows["frame"].argsort(stable=True).cpu()
    frame, label, track, xyxy = (rows[name].cpu()[order].numpy() for name in ("frame", "label", "track", "xyxy"))
    return VideoBoxes(frame, label, np.ones(len(frame)), track, xyxy)
