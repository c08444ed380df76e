"""Video files, and folders of frames, with what a mask hides filled; all else of a frame stays as it is.

Times, audio tracks, color and pixel proportions are kept, as `restore_files` keeps them.
"""

import argparse
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest
from videxp.core.ranges import whole_number
from videxp.deploy.inputs import add_inputs
from videxp.deploy.parts import InputPart
from videxp.deploy.restore_files import add_output_arguments, check_outputs, make_each, output_parts, usable_device

ANSWER = "answer.mp4"  # of one file, as `videxp serve` asks for it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    add_inputs(parser, what="video files, folders of videos, folders of frames, or globs")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="what is hidden is bright in it: a video, a folder of numbered pictures, or one picture for all frames",
    )
    where.add_argument("--box", type=_numbers(4), metavar="X,Y,W,H", help="a rectangle of each frame, in pixels")
    parser.add_argument(
        "--mask-threshold",
        type=whole_number(1, 255),
        default=128,
        metavar="N",
        help="hidden is what has at least this level, of 255, in some channel of the mask; default 128",
    )
    parser.add_argument("--mask-color", type=_numbers(3), metavar="R,G,B", help="hidden is what is of about this color")
    parser.add_argument(
        "--dilate",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="pixels by which holes are made larger; default 0",
    )
    parser.add_argument("--window", type=whole_number(1), metavar="N", help="frames in a row that the network sees")
    parser.add_argument(
        "--margin", type=whole_number(0), metavar="N", help="pixels around the holes that it sees; 0: whole frames"
    )
    add_output_arguments(parser)


def check(options: argparse.Namespace) -> None:
    """Finds the inputs and the mask, and whether all outputs can be written; raises BadRequest."""
    from videxp.data.annotations.masks import rgb
    from videxp.deploy.inpaint import Holes

    if options.mask is not None and not options.mask.exists():
        raise BadRequest(f"--mask {options.mask}: there is no such file or folder")
    if options.box is not None and min(options.box[2:]) < 1:
        raise BadRequest(f"--box {','.join(map(str, options.box))}: its width and height must be 1 or more")
    if options.mask_color is not None:
        rgb(options.mask_color, key="--mask-color")
        if options.box is not None:
            raise BadRequest("--mask-color is of a --mask, and there is a --box: leave one of them out")
    check_outputs(options, others=[options.mask] if options.mask is not None else [])
    options.holes = Holes(options.mask, options.box, options.mask_threshold, options.mask_color, options.dilate)
    if len(options.inputs) > 1 and not options.holes.is_still:
        raise BadRequest(
            f"--mask {options.mask}: masks of single frames are of one video, and {len(options.inputs)} are given: "
            "fill them one by one, or with one picture or a --box for all"
        )


def parts(options: argparse.Namespace) -> list[InputPart]:
    """Each input with its own output."""
    return output_parts(options)


def predict(task: Any, datamodule: Any, options: argparse.Namespace) -> int:
    """Fills one input after the other; one that fails costs a line and the exit status 1, not the others."""
    from videxp.core.lines import show
    from videxp.deploy.inpaint import inpainted, plan_for
    from videxp.deploy.restore import Restorer, write_pictures
    from videxp.video.sequence import open_sequence

    device = usable_device(options.device)
    network = Restorer(task).to(device).eval()
    fill = float(getattr(getattr(datamodule, "test_transform", None), "fill", 0.5))

    def make(source: Path, destination: Path) -> int:
        frames = open_sequence(source)
        masks = options.holes.of(frames)
        plan = plan_for(task.deployed, frames.size, window=options.window, margin=options.margin)
        show(f"{source}: {frames.num_frames} frames, {frames.size[1]}x{frames.size[0]}, {plan}")
        return write_pictures(
            inpainted(network, frames, masks, plan=plan, device=device, fill=fill),
            destination,
            like=frames,
            size=frames.size,
            codec=options.codec,
            crf=options.crf,
            pixel_format=options.pixel_format,
            made_by=options.made_by,
        )

    return make_each(options, make)


def read_explained(task: Any, datamodule: Any, path: Path) -> Any:
    """Raises BadRequest: `videxp explain` is given no mask."""
    raise BadRequest(
        f"{path}: this network is also given its mask, which a video alone does not have: explain this run on its "
        "data set, videxp evaluate RUN --on explanation"
    )


def _numbers(count: int) -> Any:
    """`3,4,5` -> (3, 4, 5), `count` whole numbers from 0."""

    def read(text: str) -> tuple[int, ...]:
        parts = text.split(",")
        if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
            raise argparse.ArgumentTypeError(
                f"{text}: takes {count} whole numbers with commas, such as 8,8,64,16"[:200]
            )
        return tuple(int(part) for part in parts)

    return read
