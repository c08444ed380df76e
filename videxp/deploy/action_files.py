"""Actions of the people in a video file, whose boxes another file gives: a detector's, a tracker's or one's own."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from videxp.config import load_resolved
from videxp.core.contract import contract_of
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import write_text
from videxp.core.lines import show, show_error, warn
from videxp.core.options import add_device
from videxp.core.outputs import identities, inputs_of_outputs, require_output_file
from videxp.core.printable import as_json
from videxp.core.ranges import real_number
from videxp.deploy.inputs import add_inputs, expand
from videxp.runs.folder import open_run
from videxp.video.timed_files import TIMED_SUFFIXES

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from omegaconf import DictConfig

    from videxp.data.box_files.form import AnnotatedVideo
    from videxp.data.module import VideoDataModule
    from videxp.tasks.action_detection import ActionDetection
    from videxp.tasks.detection import Detection

SUFFIXES = {".json": "coco", ".csv": "mot", ".txt": "mot"}
"""What a file of boxes is taken for, as `videxp predict` of a detector writes them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    add_inputs(parser, what="video files, folders or globs")
    parser.add_argument(
        "--boxes",
        metavar="FILE|RUN",
        type=Path,
        required=True,
        help="boxes of the videos' frames, such as the boxes.json that `videxp predict` of a detector writes, or the "
        "detector's run, which finds them",
    )
    parser.add_argument(
        "--boxes-format",
        metavar="NAME",
        help="coco, mot, ava, cvat, ... (docs/boxes.md); default: coco for .json, mot for .csv and .txt",
    )
    parser.add_argument(
        "--threshold", metavar="P", type=real_number(0, 1, above=True), default=0.5, help="of actions told; 0.5"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help="a JSON file; of one video, a video (.mp4, ...) with boxes and actions drawn; or a folder, for "
        "actions.json and each video drawn; default: the terminal",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")
    add_device(parser)
    parser.set_defaults(made_by="")  # the comment of new videos, which the command fills in


def check(options: argparse.Namespace) -> None:
    """Finds the inputs, reads the boxes, and whether the outputs can be written; raises BadRequest."""
    options.inputs = expand(options.inputs)
    options.detector, options.stated = None, []
    if (options.boxes / "config.yaml").is_file():
        options.detector = detector_config(options.boxes)
    else:
        options.stated = read_given(options.boxes, options.boxes_format)
        for film in options.inputs:
            video_of(film, options.stated, options.boxes)
    check_outputs(options)


def check_outputs(options: argparse.Namespace) -> None:
    """Raises BadRequest where one cannot be written, or would be of two inputs."""
    inputs = identities([*options.inputs, options.boxes])
    drawn = [(path, film) for film in options.inputs if (path := drawn_file(film, options)) is not None]
    films = inputs_of_outputs(drawn, option=f"-o {options.output}")
    for path in filter(None, [list_file(options.output), *films]):
        require_output_file(path, overwrite=options.overwrite, inputs=inputs)


def list_file(output: Path | None) -> Path | None:
    """Where the list goes; None: to the terminal, or nowhere."""
    if output is None or is_video(output):
        return None
    return output if output.suffix.lower() == ".json" else output / "actions.json"


def drawn_file(film: Path, options: argparse.Namespace) -> Path | None:
    """Where one of the inputs is drawn."""
    output: Path | None = options.output
    if output is None or output.suffix.lower() == ".json":
        return None
    if not is_video(output):
        return output / f"{film.stem}{film.suffix if film.suffix.lower() in TIMED_SUFFIXES else '.mp4'}"
    if len(options.inputs) > 1:
        raise BadRequest(f"-o {output}: {len(options.inputs)} videos need a folder: -o {output.with_suffix('')}")
    return output


def is_video(output: Path) -> bool:
    return not output.is_dir() and output.suffix.lower() in TIMED_SUFFIXES


def detector_config(path: Path) -> "DictConfig":
    """Of the run that finds the boxes. Raises BadRequest where it is none of a detector."""
    cfg = load_resolved(open_run(str(path)).config)
    contract = contract_of(cfg.task._target_)
    if contract is None or contract.predictor != "videxp.deploy.detection_files":
        raise BadRequest(f"--boxes {path} is a run of {cfg.task._target_}, which finds no boxes: give a detector's")
    return cfg


def read_given(path: Path, format: str | None) -> "list[AnnotatedVideo]":
    """What the file states of each video."""
    from videxp.data.box_files.formats import FORMATS, read_boxes

    chosen = format or SUFFIXES.get(path.suffix.lower())
    known = next((name for name in FORMATS if name == chosen), None)
    if known is None:
        said = "" if chosen is None else f" {chosen}: unknown"
        raise BadRequest(f"--boxes-format{said}: {path} is one of {', '.join(FORMATS)}: name it")
    return read_boxes(path, format=known)


def video_of(film: Path, stated: "list[AnnotatedVideo]", boxes: Path) -> "AnnotatedVideo":
    """What the file states of a film: what it calls so or, where it has one video and no name, that."""
    named = [video for video in stated if Path(video.name).stem == film.stem or video.name == film.stem]
    if len(named) == 1:
        return named[0]
    if len(stated) == 1 and Path(stated[0].name).stem == boxes.stem:  # a list without names is called as its file is
        return stated[0]
    names = ", ".join(video.name for video in stated[:4]) + (", ..." if len(stated) > 4 else "")
    count = "several videos" if named else "no video"
    raise BadRequest(f"--boxes {boxes}: {count} called {film.stem}: it has {names or 'none'}")


def predict(task: "ActionDetection", datamodule: "VideoDataModule", options: argparse.Namespace) -> int:
    """One film after the other; one that cannot be read becomes an `error` among the results, and the exit status 1."""
    from videxp.deploy.restore_files import usable_device

    task = task.to(usable_device(options.device)).eval()
    find = finder_of(options)
    results: list[dict[str, Any]] = []
    for path in options.inputs:
        try:
            results.append(predict_film(task, datamodule, path, find(path), options))
        except VidexpError as error:
            results.append({"path": str(path), "error": str(error)})
    failed = [result for result in results if "error" in result]
    text, place = as_json(results, indent=2), list_file(options.output)
    if options.output is None:
        show(text)
    else:
        if place is not None:
            write_text(place, text + "\n")
        told = sum(len(result.get("boxes", ())) for result in results)
        show(f"{told:,} boxes of {len(results) - len(failed)} of {len(results)} videos -> {options.output}")
    for result in failed[:3]:
        warn(result["error"].splitlines()[0])
    return 1 if failed else 0


def finder_of(options: argparse.Namespace) -> "Callable[[Path], AnnotatedVideo]":
    """What gives the boxes of a film."""
    if options.detector is None:
        return lambda film: video_of(film, options.stated, options.boxes)

    from videxp.config import build
    from videxp.data.box_files.form import AnnotatedVideo
    from videxp.deploy.detections.film import choice_of, find_boxes
    from videxp.deploy.detections.writing import rows_of
    from videxp.deploy.restore_files import usable_device
    from videxp.tasks.building import load_task

    cfg, run = options.detector, open_run(str(options.boxes))
    detector = cast("Detection", load_task(cfg, run.checkpoint())).to(usable_device(options.device)).eval()
    datamodule = build(cfg.dataset)
    choice = choice_of(detector)

    def find(film: Path) -> AnnotatedVideo:
        found = find_boxes(detector, datamodule, film, choice=choice)
        boxes = [box for frame, of_frame in found for box in rows_of(frame, of_frame, detector.classes)]
        return AnnotatedVideo(film.name, boxes=boxes)

    return find


def predict_film(
    task: "ActionDetection",
    datamodule: "VideoDataModule",
    path: Path,
    video: "AnnotatedVideo",
    options: argparse.Namespace,
) -> dict[str, Any]:
    """What is told of a film, which is drawn where that is asked for.

    Raises UnreadableVideo, DecodeError, and BadRequest for boxes of frames that the film has not.
    """
    from videxp.deploy.actions import answer_film, drawn_actions, told_actions
    from videxp.deploy.detections.writing import drawn_film
    from videxp.video.sequence import VideoFile

    film, told = VideoFile(path), []
    with ExitStack() as stack:
        place, draw = drawn_file(path, options), None
        if place is not None:
            writer = drawn_film(place, film, task.classes, made_by=options.made_by, say=show_error)
            draw = stack.enter_context(writer)
        answered = answer_film(task, datamodule, path, video)
        of_frames = ((one[0], told_actions(task, one, threshold=options.threshold)) for one in answered)
        for frame, of_frame in with_every_frame(of_frames, film.num_frames):
            told += of_frame
            if draw is not None:
                draw(frame, drawn_actions(of_frame, task.classes))
    return {"path": str(path), "frames": film.num_frames, "classes": task.classes, "boxes": told}


def with_every_frame(told: Iterator[tuple[int, list[Any]]], num_frames: int) -> Iterator[tuple[int, list[Any]]]:
    """With an empty list for each frame of which nothing is told."""
    due = 0
    for frame, of_frame in chain(told, [(num_frames, [])]):
        yield from ((between, []) for between in range(due, frame))
        if frame < num_frames:
            yield frame, of_frame
        due = frame + 1
