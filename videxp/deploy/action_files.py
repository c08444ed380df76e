"""Actions of the people in a video file, whose boxes another file gives: a detector's, a tracker's or one's own."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import write_text
from videxp.core.lines import show, warn
from videxp.core.options import add_device
from videxp.core.outputs import identities, require_output_file
from videxp.core.printable import as_json
from videxp.core.ranges import real_number
from videxp.deploy.inputs import add_inputs, expand

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from videxp.data.box_files.form import AnnotatedVideo
    from videxp.data.module import VideoDataModule
    from videxp.tasks.action_detection import ActionDetection

SUFFIXES = {".json": "coco", ".csv": "mot", ".txt": "mot"}
"""What a file of boxes is taken for, as `videxp predict` of a detector writes them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    add_inputs(parser, what="video files, folders or globs")
    parser.add_argument(
        "--boxes",
        metavar="FILE",
        type=Path,
        required=True,
        help="boxes of the videos' frames, such as the boxes.json that `videxp predict` of a detector writes",
    )
    parser.add_argument(
        "--boxes-format",
        metavar="NAME",
        help="coco, mot, ava, cvat, ... (docs/boxes.md); default: coco for .json, mot for .csv and .txt",
    )
    parser.add_argument(
        "--threshold", metavar="P", type=real_number(0, 1, above=True), default=0.5, help="of actions told; 0.5"
    )
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a JSON file; default: the terminal")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that is there already")
    add_device(parser)


def check(options: argparse.Namespace) -> None:
    """Finds the inputs, reads the boxes, and whether the output can be written; raises BadRequest."""
    options.inputs = expand(options.inputs)
    options.stated = read_given(options.boxes, options.boxes_format)
    for film in options.inputs:
        video_of(film, options.stated, options.boxes)
    if options.output is not None:
        inputs = identities([*options.inputs, options.boxes])
        require_output_file(options.output, overwrite=options.overwrite, inputs=inputs)


def read_given(path: Path, format: str | None) -> "list[AnnotatedVideo]":
    """What the file states of each video."""
    from videxp.data.box_files.formats import FORMATS, read_boxes

    if path.is_dir() and (path / "config.yaml").exists():
        raise BadRequest(
            f"--boxes {path} is a run: have it find the boxes first, videxp predict {path} VIDEO -o boxes.json\n"
            "Then give --boxes boxes.json"
        )
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
    from videxp.deploy.actions import tell_actions
    from videxp.deploy.restore_files import usable_device

    task = task.to(usable_device(options.device)).eval()
    results: list[dict[str, Any]] = []
    for path in options.inputs:
        video = video_of(path, options.stated, options.boxes)
        try:
            results.append(tell_actions(task, datamodule, path, video, threshold=options.threshold))
        except VidexpError as error:
            results.append({"path": str(path), "error": str(error)})
    failed = [result for result in results if "error" in result]
    text = as_json(results, indent=2)
    if options.output is None:
        show(text)
    else:
        write_text(options.output, text + "\n")
        told = sum(len(result.get("boxes", ())) for result in results)
        show(f"{told:,} boxes of {len(results) - len(failed)} of {len(results)} videos -> {options.output}")
    for result in failed[:3]:
        warn(result["error"].splitlines()[0])
    return 1 if failed else 0
