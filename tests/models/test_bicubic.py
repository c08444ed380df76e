"""Bicubic enlargement against Pillow and against MATLAB's formula; torch's own is another one."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from videxp.models.restoration.bicubic import Bicubic, bicubic

PLANE = np.random.default_rng(0).random((13, 11), dtype=np.float32)


def ours(plane: np.ndarray, scale: int) -> np.ndarray:
    return bicubic(torch.from_numpy(plane)[None, None, None], scale)[0, 0, 0].numpy()


def pillow(plane: np.ndarray, scale: int) -> np.ndarray:
    height, width = plane.shape
    return np.asarray(Image.fromarray(plane).resize((scale * width, scale * height), Image.Resampling.BICUBIC))


def matlab(plane: np.ndarray, scale: int) -> np.ndarray:
    """`imresize(plane, scale, 'bicubic')` from Keys' kernel with a = -1/2, edges mirrored."""

    def weights(length: int) -> np.ndarray:
        matrix = np.zeros((scale * length, length))
        for row in range(scale * length):
            place = (row + 0.5) / scale - 0.5
            for i in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
                t = abs(place - i)
                weight = 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
                matrix[row, min(i % (2 * length), 2 * length - 1 - i % (2 * length))] += weight
        return matrix

    return weights(plane.shape[0]) @ plane @ weights(plane.shape[1]).T


@pytest.mark.parametrize("scale", [2, 4])
def test_it_is_matlabs_everywhere_and_pillows_but_for_the_edges(scale: int):
    np.testing.assert_allclose(ours(PLANE, scale), matlab(PLANE, scale), atol=1e-5)
    inner = (slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    np.testing.assert_allclose(ours(PLANE, scale)[inner], pillow(PLANE, scale)[inner], atol=1e-5)


def test_torchs_plain_bicubic_is_another():
    stock = F.interpolate(torch.from_numpy(PLANE)[None, None], scale_factor=4, mode="bicubic")[0, 0].numpy()
    assert np.abs(stock - matlab(PLANE, 4)).max() > 0.02


def test_it_enlarges_any_clip_and_keeps_to_the_range():
    net = Bicubic(scale=4)
    assert list(net.parameters()) == [] and net.radius == 0
    edge = (torch.arange(8) > 3).float().expand(2, 3, 3, 1, 8)
    assert bicubic(edge, 4).max() > 1.01
    output = net(edge)
    assert output.shape == (2, 3, 3, 4, 32) and output.min() == 0 and output.max() == 1
    torch.testing.assert_close(Bicubic(scale=1)(edge), edge)
    torch.testing.assert_close(net(torch.full((1, 1, 3, 1, 1), 0.3)), torch.full((1, 1, 3, 4, 4), 0.3))
