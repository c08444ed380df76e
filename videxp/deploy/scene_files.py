"""A film's shots: as a list, for a program or an editor, as a page to look at, or as one file for each."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.lines import show_error, warn
from videxp.core.options import Options, add_device
from videxp.core.ranges import real_number
from videxp.deploy.inputs import add_inputs, expand
from videxp.deploy.parts import InputPart

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from torch import Tensor

    from videxp.data.loading.decoding import Decoding
    from videxp.data.loading.file_clips import NetworkClips
    from videxp.data.module import VideoDataModule
    from videxp.deploy.scenes.film import CutFilm
    from videxp.tasks.scenes import Scenes

FRAMES_AHEAD = 100  # decoded while the network works
ANSWER = "answer.json"  # of one file, as `videxp serve` asks for it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    from videxp.deploy.scenes.outputs import add_outputs

    add_inputs(parser, what="video files, folders or globs")
    add_outputs(parser)
    add_threshold(parser)
    add_device(parser)


def add_threshold(parser: Options) -> None:
    """Of transitions."""
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=real_number(0, 1, above=True),
        help="probability above which a frame is a transition; default: the run's own",
    )


def check(options: argparse.Namespace) -> None:
    """Finds the inputs, and whether all outputs can be written; raises BadRequest."""
    from videxp.deploy.scenes.outputs import check_outputs

    options.inputs = expand(options.inputs)
    if folders := [path for path in options.inputs if path.is_dir()]:
        raise BadRequest(f"{folders[0]}: pictures have no times, by which shots are told: give video files")
    check_outputs(options)


def parts(options: argparse.Namespace) -> list[InputPart]:
    """Each film with its own lists; the films of --split have one folder in any case."""
    from videxp.deploy.scenes.outputs import output_path

    outputs = {film: [output_path(output, film) for output in options.outputs] for film in options.inputs}
    return [InputPart(film, {"outputs": list(map(str, paths))}, paths) for film, paths in outputs.items()]


def predict(task: "Scenes", datamodule: "VideoDataModule", options: argparse.Namespace) -> int:
    """One film after the other; one that fails costs a line and the exit status 1, not the others."""
    from videxp.deploy.restore_files import usable_device
    from videxp.deploy.scenes.outputs import write_outputs

    require_all_frames(datamodule)
    task = task.to(usable_device(options.device))
    frames, seconds = 0, 0.0
    failed: list[str] = []
    for path in options.inputs:
        try:
            start = time.perf_counter()
            film = find_shots(task, path, decoding=datamodule.decoding, threshold=options.threshold)
            seconds += time.perf_counter() - start
            frames += film.clock.num_frames
            write_outputs(film, options)
        except (VidexpError, OSError) as error:
            if len(options.inputs) == 1:
                raise
            failed.append(str(error).splitlines()[0])
    if frames:
        show_error(f"{frames:,} frames in {seconds:.1f} s ({frames / seconds:,.0f} frames/s)")
    for line in failed:
        warn(line)
    return 1 if failed else 0


def require_all_frames(datamodule: "VideoDataModule") -> None:
    """Raises BadRequest for a run that looks at some frames of a film only."""
    if datamodule.stride_frames != 1 or datamodule.clips.clip_fps is not None:
        raise BadRequest("this run looks at some frames of a film only, so it cannot tell where its shots end")


def find_shots(task: "Scenes", path: Path, *, decoding: "Decoding", threshold: float | None = None) -> "CutFilm":
    """The film, gone over in constant memory. threshold: None: the task's own.

    Raises UnreadableVideo, DecodeError.
    """
    import torch

    from videxp.core.windows import read_ahead
    from videxp.deploy.scenes.film import read_film
    from videxp.metrics.transitions import predict_transitions
    from videxp.models.scenes.inference import inference_form

    with torch.inference_mode():
        frames = read_ahead(small_frames(path, decoding), count=FRAMES_AHEAD)
        logits = task.film_logits(frames, network=inference_form(task.network))
        probability_T = logits.one_hot.sigmoid().cpu()
    threshold = float(task.threshold) if threshold is None else threshold
    found = predict_transitions(probability_T, threshold=threshold)
    return read_film(path, found, probabilities=probability_T.numpy(), threshold=threshold)


def read_explained(task: "Scenes", datamodule: "VideoDataModule", path: Path) -> "NetworkClips":
    """The surroundings of the film's likeliest transition, found in constant memory; for `videxp explain`."""
    import torch

    from videxp.core.windows import read_ahead
    from videxp.data.loading.file_clips import read_file_clips, with_times

    require_all_frames(datamodule)
    with torch.inference_mode():
        frames = read_ahead(small_frames(path, datamodule.decoding), count=FRAMES_AHEAD)
        probability_T = task.film_logits(frames).one_hot
    center, reach = int(probability_T.argmax()), task.window_frames
    numbers = range(max(0, center - reach), min(len(probability_T), center + reach))
    read = read_file_clips(path, choice=datamodule.choice_of("test"), decoding=datamodule.decoding, frames=numbers)
    return with_times({"video": read.clip.permute(0, 1, 4, 2, 3).to(task.device)}, read)


def small_frames(path: Path, decoding: "Decoding") -> Iterator["Tensor"]:
    """Each frame of a video as a run's test reads it: uint8 [C,h,w]."""
    from videxp.data.loading.file_clips import whole_view
    from videxp.data.loading.views import as_tensor, scaled_size
    from videxp.video import open_video

    with open_video(path, decoder=decoding.decoder) as reader:
        view = whole_view(reader.size, decoding)
        numbers = range(reader.num_frames)
        due = 0
        for number, picture_HWC in reader.pictures(numbers, size=scaled_size(reader.size, decoding)):
            if number == due:  # some may come twice
                yield view(as_tensor(picture_HWC)[None])[0].permute(2, 0, 1).clone()
                due += 1
