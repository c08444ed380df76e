"""Restored videos for video files, and folders of PNGs for folders of frames.

Times, audio tracks, color and pixel proportions are kept, turned videos come out upright. Frames of an odd size are
written as yuv444p, those of more than 8 bits with 8. An output is there when it is whole, and not before.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.lines import show, show_error
from videxp.core.options import add_device
from videxp.core.outputs import identities
from videxp.core.ranges import whole_number
from videxp.deploy.inputs import add_inputs, expand
from videxp.deploy.parts import InputPart
from videxp.video.timed_files import TIMED_SUFFIXES, require_timed

if TYPE_CHECKING:  # `--help` does not wait for it
    import torch

    from videxp.data.loading.file_clips import NetworkClips
    from videxp.deploy.restore import Condition, Restorer

NUMBERS = {
    "--window": "frames that the network sees at once",
    "--overlap": "frames at each end of a window that only serve as surroundings",
    "--tile": "height and width in pixels that it sees at once; 0: whole frames",
    "--tile-overlap": "pixels at each side of a tile that serve as surroundings",
}
ANSWER = "answer.mp4"  # of one file, as `videxp serve` asks for it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    add_inputs(parser, what="video files, folders of videos, folders of frames, or globs")
    add_network_arguments(parser)
    add_output_arguments(parser)


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """What the network sees at once, and what it is told."""
    for name, what in NUMBERS.items():
        parser.add_argument(name, type=whole_number(0 if name.endswith("overlap") else 1), metavar="N", help=what)
    parser.add_argument(
        "--sigma",
        type=float,
        metavar="S",
        help="standard deviation of the noise, in levels of 255, for a network that is told it; default: estimated",
    )
    parser.add_argument(
        "--exemplar",
        type=Path,
        metavar="PICTURE",
        help="a picture of the video's size with the wanted colors, such as one frame of it, for a network shown one",
    )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the new videos go, and how they are made and written."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help=f"a file ({', '.join(sorted(TIMED_SUFFIXES))}); for folders of frames or several inputs a folder",
    )
    add_device(parser)
    parser.add_argument(
        "--crf", type=whole_number(0, 51), default=18, metavar="N", help="quality, 0 (best) to 51; default 18"
    )
    parser.add_argument("--codec", help="FFmpeg's name; default libx264, in WebM libvpx-vp9")
    parser.add_argument("--pixel-format", help="FFmpeg's name; default yuv420p, for odd sizes yuv444p")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")
    parser.set_defaults(made_by="")  # the comment of new files, which the command fills in


def check(options: argparse.Namespace) -> None:
    """Finds the inputs, and whether all outputs can be written; raises BadRequest."""
    check_outputs(options, others=[] if options.exemplar is None else [options.exemplar])


def check_outputs(options: argparse.Namespace, *, others: list[Path]) -> None:
    """The same. others: files that are read beside the inputs."""
    from videxp.deploy.restore import refuse_to_lose

    options.inputs = expand(options.inputs)
    inputs = identities([*options.inputs, *others])
    for source, destination in destinations(options.inputs, options.output):
        if not source.is_dir():
            require_timed(destination)
        refuse_to_lose(source, destination, overwrite=options.overwrite, inputs=inputs)


def parts(options: argparse.Namespace) -> list[InputPart]:
    """Each input with its own output."""
    return output_parts(options)


def output_parts(options: argparse.Namespace) -> list[InputPart]:
    """The same, for whatever writes a new video for each input."""
    pairs = destinations(options.inputs, options.output)
    return [InputPart(source, {"output": str(target)}, [target]) for source, target in pairs]


def window_frames(network: Any, size: tuple[int, int]) -> int:
    """Frames that the network sees at once of a video with frames of (height, width)."""
    from videxp.deploy.restore import plan_for

    return plan_for(network, size).window


def predict(task: Any, datamodule: Any, options: argparse.Namespace) -> int:
    """Restores one input after the other; one that fails costs a line and the exit status 1, not the others."""
    from videxp.deploy.restore import Restorer, restore_video

    device, network = usable_device(options.device), Restorer(task)
    condition = condition_of(network, sigma=options.sigma, exemplar=options.exemplar)

    def restore(source: Path, destination: Path) -> int:
        return restore_video(
            network,
            source,
            destination,
            window=options.window,
            overlap=options.overlap,
            tile=options.tile,
            tile_overlap=options.tile_overlap,
            device=device,
            condition=condition,
            codec=options.codec,
            crf=options.crf,
            pixel_format=options.pixel_format,
            overwrite=options.overwrite,
            made_by=options.made_by,
        )

    return make_each(options, restore)


def read_explained(task: Any, datamodule: Any, path: Path) -> "NetworkClips":
    """The video's middle frames as they are, and what the network is told of them; for `videxp explain`."""
    from videxp.data.loading.clips import ClipChoice
    from videxp.data.loading.file_clips import read_file_clips, with_times
    from videxp.deploy.noise_level import NoiseLevel
    from videxp.deploy.restore import Restorer
    from videxp.tasks.patches import MOST_FRAMES

    told_of = Restorer(task).told
    if told_of not in ("", "noise_level"):
        raise BadRequest(
            f"{path}: this network is also given its {told_of}, which a video alone does not have: explain this run on "
            "its data set, videxp evaluate RUN --on explanation"
        )
    told = NoiseLevel(None, say=lambda text: show(text.partition(";")[0])) if told_of else None
    read = read_file_clips(path, choice=ClipChoice(MOST_FRAMES, clips=1, short="clamp"))
    count = len({*read.frames_KT[0].tolist()})  # of a short video the last frame comes again
    read = replace(read, clip=read.clip[:, :count], frames_KT=read.frames_KT[:, :count])
    batch = {"video": read.clip.permute(0, 1, 4, 2, 3).float().div(255).to(task.device)}
    if told is not None:
        batch["condition"] = told(range(count), read.clip[0])[None].to(task.device)
    return with_times(batch, read)


def make_each(options: argparse.Namespace, make: Callable[[Path, Path], int]) -> int:
    """Calls make(source, destination) -> frames for each input; returns the exit status."""
    pairs = destinations(options.inputs, options.output)
    start = time.perf_counter()
    frames, failed = 0, []
    for source, destination in pairs:
        try:
            frames += make(source, destination)
        except (VidexpError, OSError, RuntimeError) as error:  # RuntimeError: a size that the network cannot take
            if len(pairs) == 1:
                raise
            failed.append(f"videxp: {source}: {_one_line(error, source)}")
    seconds = time.perf_counter() - start
    done = f"{len(pairs) - len(failed)} of {len(pairs)} videos" if len(pairs) > 1 else f"{frames} frames"
    show(f"{done} -> {options.output} in {seconds:.1f} s ({frames / seconds:.1f} frames/s)")
    for line in failed:
        show_error(line)
    return 1 if failed else 0


def condition_of(
    network: "Restorer", *, sigma: float | None = None, exemplar: Path | None = None
) -> "Condition | None":
    """What the network is told; sigma None: estimated. Raises `BadRequest` for what it is not told, or lacks."""
    from videxp.deploy.noise_level import NoiseLevel

    if sigma is not None and network.told != "noise_level":
        raise BadRequest(f"--sigma {sigma:g}: this network is told no level of noise: leave --sigma out")
    if exemplar is not None and network.told != "exemplar":
        raise BadRequest(f"--exemplar {exemplar}: this network is shown no picture: leave --exemplar out")
    if network.told == "noise_level":
        return NoiseLevel(sigma)
    if network.told == "exemplar":
        return _shown(exemplar)
    if network.told:
        raise BadRequest(f"this network is told a {network.told} of its input, which `videxp predict` cannot give it")
    return None


def _shown(exemplar: Path | None) -> "Condition":
    import torch

    from videxp.video.picture_file import BadPicture, decode_picture

    if exemplar is None:
        raise BadRequest("this network is shown a picture in color: --exemplar FRAME.png, such as a frame of the video")
    try:
        picture_3HW = torch.from_numpy(decode_picture(exemplar.read_bytes()).copy()).permute(2, 0, 1).float() / 255
    except (OSError, BadPicture) as error:
        raise BadRequest(f"--exemplar {exemplar}: no picture that can be read: {error}") from None

    def condition(numbers: range, clip_THWC: "torch.Tensor") -> "torch.Tensor":
        (height, width), (own_height, own_width) = clip_THWC.shape[1:3], picture_3HW.shape[1:]
        if (height, width) != (own_height, own_width):
            sizes = f"{own_width}x{own_height}, the video {width}x{height}"
            raise BadRequest(f"--exemplar {exemplar} is {sizes}: bring it to the video's size")
        return picture_3HW.expand(len(numbers), -1, -1, -1)

    return condition


def usable_device(name: str) -> "torch.device":
    """`auto`: a GPU if there is one. Raises `BadRequest` for what is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        cause = str(error).strip().splitlines()[0]
        raise BadRequest(f"--device {name}: not to be used here: {cause[:200]}") from None


def destinations(sources: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """(source, where its restoration goes): `output` itself for one, inside it for several.

    [a.mp4] x.mp4 -> x.mp4; [a.mp4, b.avi] out -> out/a.mp4, out/b.mp4; [frames] out -> out
    """
    if len(sources) == 1 and (sources[0].is_dir() or (output.suffix and not output.is_dir())):
        return [(sources[0], output)]
    if output.is_file() or output.suffix.lower() in TIMED_SUFFIXES:
        raise BadRequest(f"-o {output}: {len(sources)} inputs need a folder")
    pairs = [(source, output / _name(source)) for source in sources]
    taken: dict[Path, Path] = {}
    for source, destination in pairs:
        if (other := taken.setdefault(destination, source)) is not source:
            raise BadRequest(
                f"{other} and {source} would both become {destination}: restore them one by one, into other folders"
            )
    return pairs


def _name(source: Path) -> str:
    """The same name; .mp4 in place of what does not keep the times of frames."""
    kept = source.is_dir() or source.suffix.lower() in TIMED_SUFFIXES
    return source.name if kept else f"{source.stem}.mp4"


def _one_line(error: Exception, source: Path) -> str:
    return " ".join(str(error).split()).removeprefix(f"{source}: ")[:300]
