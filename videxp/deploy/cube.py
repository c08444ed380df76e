"""The colors that a network of lookup tables gives a video, as one `.cube` file for editors and FFmpeg."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from videxp.core.errors import BadRequest
from videxp.models.restoration.lut3d import Lut3D
from videxp.transforms.lut import write_cube
from videxp.video import open_video

FRAMES = 16  # of the video, evenly spread: the table is the mean of theirs


@torch.inference_mode()
def export_cube(network: nn.Module, video: Path, destination: Path) -> int:
    """Writes the table of the whole video and returns its size. Its shots have one for each in `videxp predict`.

    Raises `BadRequest` for a network without tables, `UnreadableVideo`.
    """
    if not isinstance(network, Lut3D):
        raise BadRequest(f"--format cube: {type(network).__name__} has no lookup tables: it is for runs of model=lut3d")
    with open_video(video) as reader:
        numbers = np.unique(np.linspace(0, reader.num_frames - 1, FRAMES).astype(int))
        frames_THWC = reader.frames(numbers)
    device = next(network.parameters()).device
    clip = frames_THWC.to(device).permute(0, 3, 1, 2).float().div_(255).unsqueeze(0)
    table = network.eval().mixed(network.weights_of(clip).mean(1))[0]
    write_cube(destination, table, title=video.stem.replace('"', "'"))
    return table.shape[-1]
