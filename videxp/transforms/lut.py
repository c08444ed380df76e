"""3D lookup tables: a color for each of size^3 colors, and what lies between them by trilinear interpolation.

A table is float [3,S,S,S]: [channel, blue, green, red], as a `.cube` file lists it and Image-Adaptive-3DLUT keeps it.
Frames are RGB in [0,1]; what a table gives may lie beyond.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.core.files import replacing
from videxp.core.precision import without_autocast

MAX_SIZE = 256  # of the .cube format
_UNIT = {"DOMAIN_MIN": (0.0, 0.0, 0.0), "DOMAIN_MAX": (1.0, 1.0, 1.0)}


def identity_lut(size: int) -> Tensor:
    """The table that changes nothing: [3,S,S,S]."""
    steps = torch.linspace(0, 1, size)
    blue, green, red = torch.meshgrid(steps, steps, steps, indexing="ij")
    return torch.stack([red, green, blue])


def apply_lut(frames: Tensor, lut: Tensor) -> Tensor:
    """frames [N,3,H,W] by a table [3,S,S,S], or by a table for each of them [N,3,S,S,S]: [N,3,H,W], in 32 bits.

    Colors beyond [0,1] are taken as the nearest within.
    """
    tables = lut.expand(frames.shape[0], *lut.shape[-4:]).float()
    with without_autocast(frames):
        places_N1HW3 = (frames.float() * 2 - 1).movedim(1, -1).unsqueeze(1)
        return F.grid_sample(tables, places_N1HW3, mode="bilinear", padding_mode="border", align_corners=True)[:, :, 0]


def write_cube(path: Path, lut: Tensor, *, title: str = "videxp") -> None:
    """A `.cube` file, which editors and ffmpeg's `lut3d` filter read: red runs fastest."""
    size = lut.shape[-1]
    lines = [f'TITLE "{title}"', f"LUT_3D_SIZE {size}"]
    lines += ["{:.7f} {:.7f} {:.7f}".format(*color) for color in lut.detach().cpu().flatten(1).T.tolist()]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def read_cube(path: str | Path) -> Tensor:
    """float [3,S,S,S]. Raises `BadRequest` for what is no 3D table of colors in [0,1]."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path}: not a .cube file that can be read: {error}") from None
    size, colors = 0, []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#") or words[0] == "TITLE":
            continue
        try:
            if words[0] == "LUT_3D_SIZE":
                size = int(words[1])
            elif words[0] in _UNIT:
                if tuple(map(float, words[1:])) != _UNIT[words[0]]:
                    raise BadRequest(f"{path}, line {number}: {line.strip()}: only tables of colors in [0,1] are read")
            else:
                red, green, blue = map(float, words)
                colors.append((red, green, blue))
        except (ValueError, IndexError):
            raise BadRequest(f"{path}, line {number}: {line.strip()[:80]!r} belongs to no 3D table") from None
    if not 2 <= size <= MAX_SIZE or len(colors) != size**3:
        raise BadRequest(f"{path}: LUT_3D_SIZE {size} and {len(colors):,} colors, where size^3 are due, of 2 to 256")
    return torch.tensor(colors).T.reshape(3, size, size, size).contiguous()
