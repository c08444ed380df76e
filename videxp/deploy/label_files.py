"""Labels for video files, as JSON."""

import argparse
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import read_json, write_text
from videxp.core.lines import show, warn
from videxp.core.options import Options
from videxp.core.outputs import identities, require_output_file
from videxp.core.printable import as_json
from videxp.core.ranges import real_number
from videxp.deploy.inputs import add_inputs, expand
from videxp.deploy.parts import InputPart, jobs_folder

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from videxp.data.module import VideoDataModule
    from videxp.tasks.classification import Classification

MAX_NAMED = 3  # files on the terminal; all are in the output
ANSWER = "answer.json"  # of one file, as `videxp serve` asks for it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    add_inputs(parser, what="video files, folders or globs")
    add_threshold(parser)
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a JSON file; default: the terminal")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that is there already")


def add_threshold(parser: Options) -> None:
    """Of the labels that are told."""
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=real_number(0, 1, above=True),
        help="where videos have several labels: of what probability; 0.5",
    )


def check(options: argparse.Namespace) -> None:
    """Finds the inputs, and whether the output can be written; raises BadRequest."""
    options.inputs = expand(options.inputs)
    if options.output is not None:
        require_output_file(options.output, overwrite=options.overwrite, inputs=identities(options.inputs))


def predict(task: "Classification", datamodule: "VideoDataModule", options: argparse.Namespace) -> int:
    """Labels each file; one that cannot be read becomes an `error` among the results, and the exit status 1."""
    threshold = threshold_of(task, options.threshold)
    results = [_labelled_or_error(task, datamodule, path, threshold=threshold) for path in options.inputs]
    failed = [result for result in results if "error" in result]
    text = as_json(results, indent=2)
    if options.output is None:
        show(text)
    else:
        write_text(options.output, text + "\n")
        show(f"{len(results) - len(failed)} of {len(results)} videos -> {options.output}")
    for result in failed[:MAX_NAMED]:
        warn(result["error"].splitlines()[0])
    return 1 if failed else 0


def answer_together(
    task: "Classification", datamodule: "VideoDataModule", paths: list[Path], options: argparse.Namespace
) -> list[dict[str, Any] | VidexpError]:
    """What `predict` writes of each file, or why there is nothing; the network sees several at once."""
    from videxp.deploy.labels import label_videos

    return label_videos(task, datamodule, paths, threshold=threshold_of(task, options.threshold))


def parts(options: argparse.Namespace) -> list[InputPart]:
    """The labels of each file go into a file of their own, until `join`."""
    folder = jobs_folder(options) / "labels"
    names = [
        f"{hashlib.blake2b(os.fsencode(path.absolute()), digest_size=12).hexdigest()}.json" for path in options.inputs
    ]
    return [
        InputPart(path, {"output": str(folder / name)}, [folder / name]) for path, name in zip(options.inputs, names)
    ]


def join(options: argparse.Namespace, parts: Sequence[InputPart], failed: Mapping[Path, str]) -> None:
    """One list of all labels, as without jobs."""
    results: list[dict[str, Any]] = []
    for part in parts:
        written = part.files[0]
        results += (
            read_json(written) if written.exists() else [{"path": str(part.source), "error": failed[part.source]}]
        )
    write_text(options.output, as_json(results, indent=2) + "\n")


def threshold_of(task: "Classification", asked: float | None) -> float:
    """Of the labels that are told. Raises BadRequest where it means nothing."""
    from videxp.tasks.multi_label import THRESHOLD

    if asked is None:
        return THRESHOLD
    if "labels" not in task.contract.needs:
        raise BadRequest(f"--threshold {asked:g}: this run gives each video one label, the likeliest")
    return asked


def _labelled_or_error(
    task: "Classification", datamodule: "VideoDataModule", path: Path, *, threshold: float
) -> dict[str, Any]:
    """One unreadable file among thousands must not cost the others."""
    from videxp.deploy.labels import label_video

    try:
        return label_video(task, datamodule, path, threshold=threshold)
    except VidexpError as error:
        return {"path": str(path), "error": str(error)}
