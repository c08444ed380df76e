"""The colors of a video as a table for editors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from videxp.cli.commands import export
from videxp.core.errors import BadRequest
from videxp.deploy.cube import export_cube
from videxp.models.restoration.lut3d import Lut3D
from videxp.transforms.lut import apply_lut, read_cube
from videxp.video import write_video


def test_the_table_gives_the_video_what_the_network_gives_it(tmp_path: Path):
    torch.manual_seed(0)
    net = Lut3D(luts=2, size=5, channels=2).eval()
    nn.init.uniform_(net.luts[1].LUT)
    picture = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), dtype=np.uint8)
    still = picture.repeat(20, axis=0)
    write_video(tmp_path / "a.mkv", still, fps=25, codec="ffv1", pixel_format="bgr0")
    assert export_cube(net, tmp_path / "a.mkv", tmp_path / "a.cube") == 5
    video = torch.from_numpy(still).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode():
        torch.testing.assert_close(
            apply_lut(video[0], read_cube(tmp_path / "a.cube")), net(video)[0], atol=1e-5, rtol=0
        )


def test_what_has_no_table_is_refused(tmp_path: Path):
    with pytest.raises(BadRequest, match="Identity has no lookup tables"):
        export_cube(nn.Identity(), tmp_path / "a.mp4", tmp_path / "a.cube")
    for words in (["--format", "cube"], ["--format", "safetensors", "--video", "a.mp4"]):
        with pytest.raises(BadRequest, match="go together"):
            export.main(["runs/first", *words])
