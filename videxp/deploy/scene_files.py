"""A film's shots: as a list, for a program or an editor, as a page to look at, or as one file for each.

Times are those at which frames are shown, never frame / fps.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.lines import show, show_error, warn
from videxp.core.outputs import identities, require_output_file, require_place
from videxp.core.ranges import real_number, whole_number
from videxp.deploy.inputs import add_inputs, expand
from videxp.deploy.scenes.split import require_split_folder

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from torch import Tensor

    from videxp.data.loading.decoding import Decoding
    from videxp.data.module import VideoDataModule
    from videxp.deploy.scenes.film import CutFilm
    from videxp.tasks.scenes import Scenes

KINDS = ("json", "csv", "edl", "otio", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    add_inputs(parser, what="video files, folders or globs")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help=f"a file ({', '.join('.' + kind for kind in KINDS)}), of several films a folder; default: the terminal",
    )
    parser.add_argument("--kind", choices=KINDS, help="of the files in a folder; default: json")
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=real_number(0, 1, above=True),
        help="probability above which a frame is a transition; default: the run's own",
    )
    parser.add_argument("--drop-frame", action="store_true", help="timecode of an EDL at 29.97 or 59.94 fps")
    parser.add_argument("--split", metavar="FOLDER", type=Path, help="write each shot there, as NAME-scene-001.mp4")
    parser.add_argument("--copy", action="store_true", help="of --split: cut at key frames, and encode nothing again")
    parser.add_argument(
        "--crf",
        type=whole_number(0, 51),
        default=18,
        metavar="N",
        help="of --split: quality, 0 (best) to 51; default 18",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1; default: a GPU if there is one")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")


def check(options: argparse.Namespace) -> None:
    """Finds the inputs, and whether all outputs can be written; raises BadRequest."""
    options.inputs = expand(options.inputs)
    if folders := [path for path in options.inputs if path.is_dir()]:
        raise BadRequest(f"{folders[0]}: pictures have no times, by which shots are told: give video files")
    if options.copy and options.split is None:
        raise BadRequest("--copy is of --split FOLDER: give both")
    given = identities(options.inputs)
    for destination in destinations(options).values():
        require_output_file(destination, overwrite=options.overwrite, inputs=given)
    if options.split is not None:
        require_split_folder(options.split, options.inputs, overwrite=options.overwrite)


def destinations(options: argparse.Namespace) -> dict[Path, Path]:
    """Film -> the file that its shots go to; empty where they go to the terminal. Raises BadRequest."""
    from videxp.deploy.scenes.files import require_shots_suffix

    output: Path | None = options.output
    films: list[Path] = options.inputs
    if output is None:
        if options.kind:
            raise BadRequest(f"--kind {options.kind} is of files: give -o FOLDER")
        return {}
    if len(films) == 1 and output.suffix and not output.is_dir():
        if options.kind:
            raise BadRequest(f"--kind {options.kind} is of a folder: -o {output} says by its suffix what it is")
        require_shots_suffix(output)
        return {films[0]: output}
    if output.is_file() or (output.suffix and not output.is_dir()):
        raise BadRequest(f"-o {output}: {len(films)} films need a folder")
    require_place(output / "x")
    found = {film: output / f"{film.stem}.{options.kind or 'json'}" for film in films}
    taken: dict[Path, Path] = {}
    for film, file in found.items():
        if (other := taken.setdefault(file, film)) is not film:
            raise BadRequest(f"{other} and {film} would both become {file}: take them one by one")
    return found


def predict(task: "Scenes", datamodule: "VideoDataModule", options: argparse.Namespace) -> int:
    """One film after the other; one that fails costs a line and the exit status 1, not the others."""
    from videxp.deploy.restore_files import usable_device

    require_all_frames(datamodule)
    task = task.to(usable_device(options.device))
    files = destinations(options)
    start, frames = time.perf_counter(), 0
    failed: list[str] = []
    for path in options.inputs:
        try:
            film = find_shots(task, path, decoding=datamodule.decoding, threshold=options.threshold)
            frames += film.clock.num_frames
            _write(film, files.get(path), options)
        except (VidexpError, OSError) as error:
            if len(options.inputs) == 1:
                raise
            failed.append(str(error).splitlines()[0])
    seconds = time.perf_counter() - start
    show_error(f"{frames:,} frames in {seconds:.1f} s ({frames / seconds:,.0f} frames/s)")
    for line in failed:
        warn(line)
    return 1 if failed else 0


def _write(film: "CutFilm", file: Path | None, options: argparse.Namespace) -> None:
    from videxp.core.printable import as_json
    from videxp.deploy.scenes.files import write_shots
    from videxp.deploy.scenes.lists import json_list
    from videxp.deploy.scenes.split import split_film

    if file is not None:
        write_shots(file, film, drop_frame=options.drop_frame, say=show_error)
        show(f"{film.path}: {len(film.shots):,} shots -> {file}")
    elif options.split is None:
        show(as_json(json_list(film), indent=2))
    if options.split is not None:
        parts = split_film(
            film, options.split, copy=options.copy, overwrite=options.overwrite, crf=options.crf, say=show_error
        )
        show(f"{film.path}: {len(parts):,} files -> {options.split}")


def require_all_frames(datamodule: "VideoDataModule") -> None:
    """Raises BadRequest for a run that looks at some frames of a film only."""
    clips = datamodule.clips
    if clips.stride_frames != 1 or clips.clip_fps is not None:
        raise BadRequest("this run looks at some frames of a film only, so it cannot tell where its shots end")


def find_shots(task: "Scenes", path: Path, *, decoding: "Decoding", threshold: float | None = None) -> "CutFilm":
    """The film, gone over in constant memory. threshold: None: the task's own.

    Raises UnreadableVideo, DecodeError.
    """
    import torch

    from videxp.deploy.scenes.film import read_film
    from videxp.metrics.transitions import predict_transitions

    with torch.inference_mode():
        probability_T = task.film_logits(small_frames(path, decoding)).one_hot.sigmoid().cpu()
    threshold = float(task.threshold) if threshold is None else threshold
    found = predict_transitions(probability_T, threshold=threshold)
    return read_film(path, found, probabilities=probability_T.numpy(), threshold=threshold)


def small_frames(path: Path, decoding: "Decoding") -> Iterator["Tensor"]:
    """Each frame of a video as a run's test reads it: uint8 [C,h,w]."""
    from videxp.data.loading.cropping import whole_box
    from videxp.data.loading.views import as_tensor, fitted
    from videxp.video import open_video

    with open_video(path, decoder=decoding.decoder) as reader:
        box = whole_box(decoding.size or reader.size, multiple=1)
        view = box.cut if decoding.size is None else fitted(decoding.size, decoding.frame_fit, box=box)
        for _, picture_HWC in reader.pictures(list(range(reader.num_frames))):
            yield view(as_tensor(picture_HWC)[None])[0].permute(2, 0, 1).clone()
