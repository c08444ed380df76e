"""Boxes for video files: a list for programs, one for trackers, and the video with boxes, names and tracks drawn."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.lines import show, show_error, warn
from videxp.core.options import Options, add_device
from videxp.core.outputs import identities, inputs_of_outputs, require_output_file
from videxp.core.printable import as_json
from videxp.core.ranges import real_number
from videxp.deploy.inputs import add_inputs, expand
from videxp.deploy.parts import InputPart
from videxp.video.timed_files import TIMED_SUFFIXES

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from videxp.data.module import VideoDataModule
    from videxp.models.detection.interface import DetectionNetwork
    from videxp.tasks.detection import Detection

ANSWER = "boxes.json"  # of one file, as `videxp serve` asks for it
LISTS = ("boxes.json", "boxes.csv")
LIST_SUFFIXES = frozenset({".json", ".csv", ".txt"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    add_inputs(parser, what="video files, folders or globs")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="a folder, for boxes.json (CocoVID), boxes.csv (MOTChallenge) and the video with boxes drawn, of several "
        "videos in a folder for each; or one file (.json, .csv, .txt, .mp4, ...), for that alone",
    )
    add_choice(parser)
    add_device(parser)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON, a line for each video")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")
    parser.set_defaults(made_by="")  # the comment of new videos, which the command fills in


def add_choice(parser: Options) -> None:
    """Which boxes are told."""
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=real_number(0, 1, above=True),
        help="probability from which boxes are told; default: the run's own for tracks",
    )
    parser.add_argument("--classes", metavar="NAME,...", help="those of these classes alone")


def check(options: argparse.Namespace) -> None:
    """Finds the inputs, and whether all outputs can be written; raises BadRequest."""
    options.inputs = expand(options.inputs)
    if folders := [path for path in options.inputs if path.is_dir()]:
        raise BadRequest(f"{folders[0]}: pictures have no times: give video files")
    inputs = identities(options.inputs)
    outputs = ((path, film) for film in options.inputs for path in output_files(film, options))
    for path in inputs_of_outputs(outputs, option=f"-o {options.output}"):
        require_output_file(path, overwrite=options.overwrite, inputs=inputs)


def output_files(film: Path, options: argparse.Namespace) -> list[Path]:
    """What is written of one of the inputs."""
    output: Path = options.output
    if is_file(output):
        if len(options.inputs) > 1:
            raise BadRequest(f"-o {output}: {len(options.inputs)} videos need a folder: -o {output.with_suffix('')}")
        return [output]
    folder = output if len(options.inputs) == 1 else output / film.stem
    suffix = film.suffix.lower() if film.suffix.lower() in TIMED_SUFFIXES else ".mp4"
    return [*(folder / name for name in LISTS), folder / f"boxes{suffix}"]


def is_file(output: Path) -> bool:
    """Whether a name is that of one of the files that there are."""
    return not output.is_dir() and output.suffix.lower() in LIST_SUFFIXES | TIMED_SUFFIXES


def parts(options: argparse.Namespace) -> list[InputPart]:
    """Each film with its own outputs."""
    files = {film: output_files(film, options) for film in options.inputs}
    is_one = is_file(options.output)
    return [
        InputPart(film, {"output": str(options.output if is_one else paths[0].parent)}, paths)
        for film, paths in files.items()
    ]


def window_frames(network: "DetectionNetwork", size: tuple[int, int]) -> int:
    """Frames that the network sees at once."""
    return network.clip_frames


def predict(task: "Detection", datamodule: "VideoDataModule", options: argparse.Namespace) -> int:
    """One film after the other; one that fails costs a line and the exit status 1, not the others."""
    from videxp.deploy.detections.film import choice_of
    from videxp.deploy.detections.writing import write_found
    from videxp.deploy.restore_files import usable_device
    from videxp.deploy.scene_files import require_all_frames

    require_all_frames(datamodule)
    task = task.to(usable_device(options.device)).eval()
    choice = choice_of(task, threshold=options.threshold, classes=options.classes)
    start, frames = time.perf_counter(), 0
    failed: list[str] = []
    for path in options.inputs:
        files = output_files(path, options)
        try:
            found = write_found(task, datamodule, path, files, choice=choice, made_by=options.made_by, say=show_error)
        except (VidexpError, OSError) as error:
            if len(options.inputs) == 1:
                raise
            failed.append(str(error).splitlines()[0])
            continue
        frames += found.frames
        told = {"path": str(path), **found.facts(task.classes), "files": [str(file) for file in files]}
        show(as_json(told) if options.json else f"{path}: {found} -> {_names(files)}")
    if frames:
        seconds = time.perf_counter() - start
        show_error(f"{frames:,} frames in {seconds:.1f} s ({frames / seconds:,.1f} frames/s)")
    for line in failed:
        warn(line)
    return 1 if failed else 0


def _names(files: Sequence[Path]) -> str:
    """`out/boxes.json, boxes.txt, boxes.mp4`"""
    return ", ".join([str(files[0]), *(file.name for file in files[1:])])
