"""Clips from a generator: OUT/00000.mp4, 00001.mp4 ... and grid.mp4, which shows them side by side.

The same seed gives the same clips, whatever their number; a longer clip begins as a shorter one, where the generator
can make it longer.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from videxp.core.errors import BadRequest
from videxp.core.lines import show
from videxp.core.options import add_device
from videxp.core.outputs import refuse_inputs_and_runs, require_place
from videxp.core.ranges import real_number, whole_number
from videxp.deploy.restore_files import usable_device

if TYPE_CHECKING:  # torch: `--help` does not wait for it
    from videxp.data.module import VideoDataModule
    from videxp.tasks.generation import Generation

AT_ONCE = 8  # clips in memory
IN_GRID = 16
GRID = "grid.mp4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after RUN."""
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder")
    parser.add_argument("--num", type=whole_number(1), default=16, metavar="N", help="clips; default 16")
    parser.add_argument(
        "--seconds", type=real_number(0, above=True), metavar="S", help="length of each; default: as trained"
    )
    parser.add_argument("--seed", type=whole_number(0, 4294967295), default=0, metavar="N", help="default 0")
    parser.add_argument(
        "--class", dest="label", metavar="NAME", help="of all clips; default: one class after the other"
    )
    parser.add_argument(
        "--fps",
        type=real_number(0, 1000, above=True),
        metavar="F",
        help="of a generator in continuous time; default: the data's",
    )
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace clips that are there already")
    parser.set_defaults(made_by="")  # the comment of new files, which the command fills in


def check(options: argparse.Namespace) -> None:
    """Raises BadRequest for what needs no generator to be told."""
    folder: Path = options.output
    if folder.is_file() or folder.suffix in (".mp4", ".gif"):
        raise BadRequest(f"-o {folder}: give a folder, each clip is a file in it")
    if not options.overwrite and (there := sorted(folder.glob("*.mp4"))):
        raise BadRequest(f"-o {folder}: {there[0].name} is there already; --overwrite replaces it")
    refuse_inputs_and_runs(folder / GRID, {})
    require_place(folder / GRID)


def predict(task: "Generation", datamodule: "VideoDataModule", options: argparse.Namespace) -> int:
    """Writes the clips; a request that cannot be met leaves nothing behind."""
    from videxp.tasks.comparisons import to_uint8
    from videxp.tasks.generated import save_clip_grid
    from videxp.video import write_video

    folder: Path = options.output
    label = _class_number(task, options.label)
    fps = options.fps or task.clip_fps
    num_frames = task.num_frames if options.seconds is None else max(1, round(options.seconds * fps))
    task.require_length(num_frames, fps=fps)
    task.to(usable_device(options.device))
    shown = []
    for start in range(0, options.num, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, options.num))
        classes = None if label is None else [label] * len(numbers)
        video = task.generate(numbers, seed=options.seed, num_frames=num_frames, classes=classes, fps=fps).cpu()
        folder.mkdir(parents=True, exist_ok=True)
        for number, clip in zip(numbers, video):
            frames = to_uint8(clip).permute(0, 2, 3, 1).contiguous()
            write_video(folder / f"{number:05d}.mp4", frames, fps=fps, crf=12, made_by=options.made_by)
        shown += [clip for number, clip in zip(numbers, video) if number < IN_GRID]
    save_clip_grid(shown, folder / GRID, fps=fps, made_by=options.made_by)
    show(f"{options.num} clips of {num_frames} frames ({num_frames / fps:.1f} s at {fps:g} fps) -> {folder}")
    return 0


def _class_number(task: "Generation", name: str | None) -> int | None:
    if name is None:
        return None
    if task.num_classes is None:
        raise BadRequest(f"--class {name}: this generator knows no classes; train it with model.num_classes")
    if name in task.classes:
        return task.classes.index(name)
    if name.isdecimal() and int(name) < task.num_classes:
        return int(name)
    known = ", ".join(task.classes[:12]) or f"0 to {task.num_classes - 1}"
    raise BadRequest(f"--class {name}: no such class; {known}")
