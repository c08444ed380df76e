"""Restoration of whole videos, however long and large, in constant memory.

Shapes: B = 1 clip, T frames, H, W = height and width in pixels, s = the network's enlargement, C = 3.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.outputs import (
    OVERWRITE,
    Identity,
    identities,
    refuse_inputs_and_runs,
    require_output_file,
    require_place,
)
from videxp.core.progress import progress
from videxp.core.windows import windows
from videxp.deploy.tiles import joined, spans
from videxp.video.remaking import picture_folder, remade_video
from videxp.video.sequence import Picture, PictureFolder, VideoFile, open_sequence, pictures_in

# A recurrent network of 64 channels keeps 512 bytes a pixel and frame: 2 GB for 30 frames of this size.
WHOLE_FRAME_PIXELS = 360 * 360
RECURRENT_WINDOW, RECURRENT_OVERLAP = 30, 6
"""Measured with the whole BasicVSR (64 channels, 30 blocks) on 44 real frames of 64 x 64: a window of 30 against the
whole clip, in levels of 255 at the first frame that is kept (mean, then greatest, of its pixels):

    overlap              0             2              4              6               10
    fresh weights        0.044 0.36    0.0063 0.048   0.0011 0.006   0.0001 0.001    < 0.0001, < 0.001
    a minute's training  0.055 0.26    0.0042 0.025   0.0005 0.003   0.0001 0.001    < 0.0001, < 0.001

Each frame of overlap divides the difference by 2 to 3. Networks trained for days were not measured and may remember
longer; at a rate of 2, 20 levels at the cut would be 0.3 after 6 frames.
"""
FRAMES_AT_ONCE = 8  # of a network that sees few frames: more only cost memory


@dataclass(frozen=True)
class RestorePlan:
    """How a video is cut up. `overlap` frames and `tile_overlap` pixels on each side of a window or tile serve as
    surroundings: of frames they are thrown away, of pixels the outer half is, and the inner fades over."""

    window: int
    overlap: int
    tile: int
    """Pixels along height and width; 0: whole frames."""
    tile_overlap: int

    def __str__(self) -> str:
        frames = f"windows of {self.window} frames (overlap {self.overlap})"
        return f"{frames}, " + (f"tiles of {self.tile} (overlap {self.tile_overlap})" if self.tile else "whole frames")


def plan_for(
    network: nn.Module,
    size: tuple[int, int],
    *,
    window: int | None = None,
    overlap: int | None = None,
    tile: int | None = None,
    tile_overlap: int | None = None,
) -> RestorePlan:
    """What is given, and for None what suits the network and frames of `size` (height, width).

    The overlap is the network's `radius`, so that windows change nothing; a recurrent network (radius None) sees all
    frames, the nearest ones best. Frames are cut into tiles only if they are large, and never for a network whose
    `whole_frames` is true: what it does to a pixel hangs on the whole picture. Raises `BadRequest`.
    """
    _, radius = scale_and_radius(network)
    if tile and sees_whole_frames(network):
        raise BadRequest(f"--tile {tile}: this network looks at whole frames, or tiles would differ: leave --tile out")
    if overlap is None:
        overlap = RECURRENT_OVERLAP if radius is None else radius
        if window is not None and radius is None:
            overlap = min(overlap, (window - 1) // 2)
    if window is None:
        window = 2 * overlap + (RECURRENT_WINDOW - 2 * RECURRENT_OVERLAP if radius is None else FRAMES_AT_ONCE)
    if tile is None:
        tile = 0 if size[0] * size[1] <= WHOLE_FRAME_PIXELS or sees_whole_frames(network) else 256
    if tile_overlap is None:
        tile_overlap = min(16, max(0, tile - 1) // 4)
    if min(window, overlap, tile, tile_overlap) < 0 or window <= 2 * overlap:
        raise BadRequest(f"--window {window} --overlap {overlap}: the window must be longer than twice the overlap")
    if tile and tile <= 2 * tile_overlap:
        raise BadRequest(f"--tile {tile} --tile-overlap {tile_overlap}: a tile must be larger than twice its overlap")
    return RestorePlan(window=window, overlap=overlap, tile=tile, tile_overlap=tile_overlap)


def scale_and_radius(network: nn.Module) -> tuple[int, int | None]:
    """(enlargement, frames to either side that one depends on; None: all). Raises `BadRequest` for other networks."""
    scale, radius = getattr(network, "scale", None), getattr(network, "radius", -1)
    if not isinstance(scale, int) or scale < 1 or not (radius is None or (isinstance(radius, int) and radius >= 0)):
        raise BadRequest(f"{type(network).__name__} restores no videos: it needs `scale` (1, 2, ...) and `radius`")
    return scale, radius


def sees_whole_frames(network: nn.Module) -> bool:
    """Whether tiles of a frame would come out otherwise than the frame."""
    return bool(getattr(network, "whole_frames", False))


Condition = Callable[[range, Tensor], Tensor]
"""What a network is told: (numbers of the frames of a window, these uint8 [T,H,W,C]) -> float [T,K,H,W]."""


class Restorer(nn.Module):
    """A trained task's network, called with what the task says: float [B,T,C,H,W] -> [B,T,C,sH,sW].

    told: of its pixels, such as "noise_level"; "": nothing. Raises `BadRequest` for a network that restores no videos.
    """

    def __init__(self, task: Any) -> None:
        super().__init__()
        self.network, self.network_inputs = task.deployed, task.network_inputs
        self.scale, self.radius = scale_and_radius(task.deployed)
        self.whole_frames = sees_whole_frames(task.deployed)
        self.told = str(getattr(task.deployed, "told", ""))

    def forward(self, video: Tensor, *condition: Tensor) -> Tensor:
        """condition: float [B,T,K,H,W] of a network that is told one."""
        return self.network(*self.network_inputs({"video": video, **dict(zip(("condition",), condition))}))


def restore_video(
    network: nn.Module,
    source: Path,
    destination: Path,
    *,
    window: int | None = None,
    overlap: int | None = None,
    tile: int | None = None,
    tile_overlap: int | None = None,
    device: str | torch.device = "cpu",
    condition: Condition | None = None,
    codec: str | None = None,
    crf: int = 18,
    pixel_format: str | None = None,
    overwrite: bool = False,
    made_by: str = "",
    show_progress: bool = True,
    say: Callable[[str], None] = print,
) -> int:
    """Writes `source` (a video file, a folder of numbered pictures) as the network restores it; returns its frames.

    `network`: float [B,T,C,H,W] in [0,1] -> [B,T,C,sH,sW], with `scale` (s) and `radius`; is put on `device` and into
    evaluation mode, and called with a `condition`, too, where one is given. A file gives a file with the same times,
    audio and color; a folder gives a folder of PNGs. The destination appears whole, at the end, or not at all. `say` is
    told how the work is cut up and what is not kept.

    Raises `BadRequest`, `UnreadableVideo` (before anything is written), `DecodeError`, `VidexpError`.
    """
    refuse_to_lose(source, destination, overwrite=overwrite)
    frames = open_sequence(source)
    height, width = frames.size
    scale, _ = scale_and_radius(network)
    size = (height * scale, width * scale)
    plan = plan_for(network, frames.size, window=window, overlap=overlap, tile=tile, tile_overlap=tile_overlap)
    say(f"{source}: {frames.num_frames} frames, {width}x{height} -> {size[1]}x{size[0]}, {plan}")
    pictures = restored(network.to(device).eval(), frames, plan=plan, device=device, condition=condition)
    return write_pictures(
        pictures,
        destination,
        like=frames,
        size=size,
        codec=codec,
        crf=crf,
        pixel_format=pixel_format,
        made_by=made_by,
        show_progress=show_progress,
        say=say,
    )


def write_pictures(
    pictures: Iterable[Picture],
    destination: Path,
    *,
    like: VideoFile | PictureFolder,
    size: tuple[int, int],
    codec: str | None = None,
    crf: int = 18,
    pixel_format: str | None = None,
    made_by: str = "",
    show_progress: bool = True,
    say: Callable[[str], None] = print,
) -> int:
    """Writes what was made of the frames of `like`, as `restore_video` says; returns their number. size: (height,
    width). Raises `VidexpError` where it is not that of `like`, and what comes from `pictures`."""
    if like.not_in_pictures:
        say(f"pictures: left out: {', '.join(like.not_in_pictures)}")
    if isinstance(like, PictureFolder):
        output: Any = picture_folder(destination)
    else:
        output = remade_video(
            destination,
            like=like,
            size=size,
            codec=codec,
            crf=crf,
            pixel_format=pixel_format,
            made_by=made_by,
            say=say,
        )
    bar = progress(like.path.name, like.num_frames, unit="frames") if show_progress else nullcontext(lambda: None)
    done = 0
    with output as write, bar as advance:
        for picture in pictures:
            write(picture)
            advance()
            done += 1
        if done != like.num_frames:
            raise VidexpError(f"{like.path}: {done} frames were read where {like.num_frames} are due")
    return done


class Pictures(Protocol):
    """A video of any length; `path` is what messages call it."""

    @property
    def path(self) -> Path: ...

    def __iter__(self) -> Iterator[Picture]: ...


def restored(
    network: nn.Module,
    frames: Pictures,
    *,
    plan: RestorePlan,
    device: str | torch.device = "cpu",
    condition: Condition | None = None,
) -> Iterator[Picture]:
    """The pictures that `network` makes of `frames`, with their times and names."""
    for window, places in windows(enumerate(frames), length=plan.window, overlap=plan.overlap):
        first, held = window[0][0], [picture for _, picture in window]
        clip_THWC = torch.from_numpy(np.stack([picture.pixels_HWC for picture in held]))
        told_TKHW = None if condition is None else condition(range(first, first + len(held)), clip_THWC)
        try:
            made_THWC = restored_clip(network, clip_THWC, places, plan=plan, device=device, told_TKHW=told_TKHW)
        except torch.OutOfMemoryError:
            smaller = "--window" if sees_whole_frames(network) else "--tile (or --window)"
            remedy = f"a smaller {smaller} needs less"
            raise VidexpError(f"{frames.path}: not enough memory on {device} for {plan}: {remedy}") from None
        for place, picture_HWC in zip(places, made_THWC.numpy()):
            yield replace(held[place], pixels_HWC=picture_HWC)


@torch.inference_mode()
def restored_clip(
    network: nn.Module,
    clip_THWC: Tensor,
    places: range,
    *,
    plan: RestorePlan,
    device: str | torch.device = "cpu",
    told_TKHW: Tensor | None = None,
) -> Tensor:
    """uint8 [T,H,W,C] -> uint8 [len(places),sH,sW,C] of the frames at `places`, tile by tile; on the CPU.

    told_TKHW: float, what the network is told of each pixel beside it.
    """
    _, height, width, _ = clip_THWC.shape
    scale, _ = scale_and_radius(network)
    rows = spans(height, size=plan.tile or height, overlap=plan.tile_overlap)
    columns = spans(width, size=plan.tile or width, overlap=plan.tile_overlap)
    kept = slice(places.start, places.stop)

    def tile(row: tuple[int, int], column: tuple[int, int]) -> Tensor:
        part_THWC = clip_THWC[:, row[0] : row[1], column[0] : column[1]]
        video = part_THWC.to(device).permute(0, 3, 1, 2).float().div_(255).unsqueeze(0)
        told = () if told_TKHW is None else (told_TKHW[None, :, :, row[0] : row[1], column[0] : column[1]].to(device),)
        output = network(video, *told)
        expected = (*video.shape[:3], video.shape[3] * scale, video.shape[4] * scale)
        if output.shape != expected:
            raise VidexpError(f"the network gave {list(output.shape)} where {list(expected)} is due")
        require_finite(output)
        pixels = output[0, kept].float().clamp_(0, 1).mul_(255).round_().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu()

    fade = plan.tile_overlap * scale

    def strip(row: tuple[int, int]) -> Tensor:
        return joined((tile(row, column) for column in columns), _scaled(columns, scale), axis=2, fade=fade)

    return joined((strip(row) for row in rows), _scaled(rows, scale), axis=1, fade=fade)


def require_finite(output: Tensor) -> None:
    """Raises VidexpError for pixels of a network that are not finite."""
    if not output.isfinite().all():
        raise VidexpError("the network gave pixels that are not finite: its training has diverged")


def _scaled(places: list[tuple[int, int]], scale: int) -> list[tuple[int, int]]:
    return [(start * scale, end * scale) for start, end in places]


def refuse_to_lose(
    source: Path, destination: Path, *, overwrite: bool, inputs: Mapping[Identity, Path] | None = None
) -> None:
    """Raises `BadRequest` if the destination is one of the inputs (by default the source), is there already and may
    not be replaced, or cannot be written."""
    inputs = identities([source]) if inputs is None else inputs
    refuse_inputs_and_runs(destination, inputs)
    if destination.exists() and destination.is_dir() != source.is_dir():
        kinds = "a folder of pictures gives a folder" if source.is_dir() else "a video file gives a file"
        raise BadRequest(f"{destination} cannot be the output: {kinds}")
    if not source.is_dir():
        require_output_file(destination, overwrite=overwrite, inputs=inputs)
        return
    entries = list(destination.iterdir()) if destination.is_dir() else []
    if entries and not overwrite:
        raise BadRequest(f"{destination} is there already: {OVERWRITE}")
    if len(entries) > len(pictures_in(destination) if entries else []):
        raise BadRequest(f"{destination} holds more than pictures, so it is not overwritten: choose another folder")
    require_place(destination)
