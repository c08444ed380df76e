"""An axis is called free where another length of it was compared."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from videxp.deploy.exporting.exporting import other_sizes
from videxp.deploy.exporting.writing import described_ports, fixed_axes, free_axes
from videxp.tasks.deployable import DeployableRestorer

CLIP = {"clip": np.random.default_rng(0).integers(0, 256, (1, 4, 16, 24, 3), dtype=np.uint8)}


class Particular(nn.Module):
    """Takes frames in pairs, and one height; the graph of it would take any."""

    def forward(self, video: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():
            if video.shape[1] % 2:
                raise ValueError("frames come in pairs")
            if video.shape[3] != 16:
                raise ValueError(f"{video.shape[3]} rows: trained on 16\nand no other")
        return 1 - video


@pytest.mark.slow
@torch.no_grad()
def test_an_axis_whose_other_lengths_the_network_refuses_is_fixed_and_says_so() -> None:
    deployable = DeployableRestorer(Particular())
    sizes, refused = other_sizes(CLIP, deployable)
    assert {axis: given["clip"].shape for axis, (given, _) in sizes.items()} == {
        "frames": (1, 8, 16, 24, 3),
        "width": (1, 4, 16, 16, 3),
    }
    for given, answer in sizes.values():
        np.testing.assert_array_equal(answer["frames"], 255 - given["clip"])
    assert refused == {"height": "the network took no other length that was tried: 32 rows: trained on 16"}

    example = (torch.from_numpy(np.concatenate([CLIP["clip"]] * 2)),)

    def shape(free: tuple[str, ...]) -> tuple[list[int | str], dict[str, str]]:
        program = torch.export.export(deployable, example, dynamic_shapes=free_axes(deployable, free))
        ports = described_ports(deployable, program, example, deployable(*example))
        (of_clip,), (of_frames,) = ports["inputs"], ports["outputs"]
        assert of_clip.shape == of_frames.shape
        return list(of_clip.shape), fixed_axes(deployable, [of_clip], refused)

    every = ("batch", "frames", "height", "width")
    assert shape(every) == ([*every, 3], {})  # the exporter itself sees nothing
    assert shape(("batch", *sizes)) == (["batch", "frames", 16, "width", 3], {"height": f"16: {refused['height']}"})


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_that_cannot_be_shorter_is_tried_longer(frames: int) -> None:
    sizes, refused = other_sizes({"clip": CLIP["clip"][:, :frames, :8]}, DeployableRestorer(nn.Identity()))
    assert sizes["frames"][0]["clip"].shape[1] == {1: 2, 2: 1}[frames]
    assert sizes["height"][0]["clip"].shape[2] == 16 and not refused
