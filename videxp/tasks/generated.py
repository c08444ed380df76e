"""Generated clips to be looked at: grids that play, strips of frames, and what lies between two codes.

Legend: N clips, T frames, C = 3 channels, H, W. Videos are float [N,T,C,H,W] in [0,1].
"""

from collections.abc import Mapping, Sequence, Set
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from videxp.core.files import replacing
from videxp.tasks.comparisons import to_uint8
from videxp.video import write_video

GAP = 2  # pixels between clips


def to_unit(video: Tensor) -> Tensor:
    """As a generator gives it, in [-1,1] -> float [0,1]."""
    return ((video.float() + 1) / 2).clamp(0, 1)


def save_clip_grid(
    clips: Tensor | Sequence[Tensor],
    path: Path,
    *,
    fps: float | Fraction,
    columns: int = 4,
    least_side: int = 96,
    made_by: str = "",
) -> list[Path]:
    """All clips playing side by side: `path` (mp4), and a GIF beside it, which every page plays by itself."""
    grid_THWC = _grid(torch.stack(list(clips)), columns=columns, least_side=least_side)
    write_video(path, grid_THWC, fps=fps, made_by=made_by)
    first, *others = [Image.fromarray(frame).quantize(128, dither=Image.Dither.NONE) for frame in grid_THWC]
    gif = path.with_suffix(".gif")
    with replacing(gif) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=round(1000 / float(fps)), loop=0)
    return [path, gif]


def save_clip_strips(video_NTCHW: Tensor, path: Path, *, frames_shown: int = 8, least_side: int = 96) -> Path:
    """A row for each clip: some of its frames, evenly spread from the first to the last."""
    last = video_NTCHW.shape[1] - 1
    times = np.linspace(0, last, min(frames_shown, last + 1)).round().astype(int)
    rows = video_NTCHW[:, torch.from_numpy(times)].flatten(0, 1)[:, None]
    picture = _grid(rows, columns=len(times), least_side=least_side)[0]
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary)
    return path


def _grid(video_NTCHW: Tensor, *, columns: int, least_side: int) -> np.ndarray:
    """uint8 [T,H',W',C], row by row; small clips enlarged without smoothing, by a whole factor."""
    tiles = to_uint8(video_NTCHW.cpu())
    factor = max(1, -(-least_side // tiles.shape[-1]))
    tiles = tiles.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    tiles = torch.cat([tiles, tiles.new_zeros(-len(tiles) % columns, *tiles.shape[1:])])
    framed = F.pad(tiles, (0, GAP, 0, GAP))
    rows = framed.unflatten(0, (-1, columns)).permute(2, 3, 0, 4, 1, 5)  # [T,C,rows,H,columns,W]
    grid = rows.flatten(4, 5).flatten(2, 3).permute(0, 2, 3, 1)
    return np.ascontiguousarray(grid.numpy())


def interpolated(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], *, keys: Set[str], steps: int
) -> dict[str, Tensor]:
    """Codes from `one` to `other` [1,...] in `keys`, those of `one` in all others: each [steps,...].

    Normal codes go on the arc between them (slerp: White 2016), on which they stay as long as codes are; what is not
    of numbers, such as a category, changes halfway.
    """
    shares = torch.linspace(0, 1, steps)
    result = {}
    for key, a in one.items():
        if key not in keys:
            result[key] = a.expand(steps, *a.shape[1:])
        elif a.is_floating_point():
            result[key] = torch.cat([_on_arc(a, other[key], float(share)) for share in shares])
        else:
            result[key] = torch.cat([a if share < 0.5 else other[key] for share in shares])
    return result


def _on_arc(a: Tensor, b: Tensor, share: float) -> Tensor:
    cosine = F.cosine_similarity(a.flatten(), b.flatten(), dim=0).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if angle < 1e-4:
        return torch.lerp(a, b, share)
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
