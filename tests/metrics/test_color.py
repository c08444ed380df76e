"""CIEDE2000 is Sharma's and scikit-image's; the others are worked out with numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from skimage import color

from videxp.metrics import CDC, MABD, Colorfulness, DeltaE2000
from videxp.metrics.color import delta_e_2000

SHARMA = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 0, 0), (50, -1, 2), 2.3669),  # a grey has no hue
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0009), 7.1792),  # the mean of opposite hues, on either side of half a turn
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0011), 7.2195),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
]


@pytest.fixture(scope="module")
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    """8-bit noise, darker towards the end, and the same with other colors: float [2,6,3,12,16]."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 256, (2, 6, 3, 12, 16)) * np.linspace(1, 0.4, 6)[:, None, None, None]
    output = np.clip(target * np.array([0.9, 1.0, 0.7])[:, None, None], 0, 255)
    return tuple(torch.from_numpy(np.rint(clip) / 255).float() for clip in (output, target))


def test_ciede2000_is_what_sharma_prints_both_ways_round():
    for one, other, expected in SHARMA:
        a, b = (torch.tensor(lab, dtype=torch.float64) for lab in (one, other))
        assert abs(float(delta_e_2000(a, b)) - expected) < 6e-5
        assert abs(float(delta_e_2000(b, a)) - expected) < 6e-5


def test_ciede2000_of_frames_is_scikit_images(clips):
    output, target = (np.moveaxis(clip.double().numpy(), 2, -1) for clip in clips)
    expected = color.deltaE_ciede2000(color.rgb2lab(output), color.rgb2lab(target)).mean((2, 3))
    np.testing.assert_allclose(DeltaE2000()(*clips).numpy(), expected, atol=1e-4)
    assert DeltaE2000()(clips[0], clips[0]).abs().max() == 0


def test_colorfulness_is_hasler_and_suesstrunks(clips):
    r, g, b = clips[0][1, 2].double().numpy() * 255
    rg, yb = r - g, (r + g) / 2 - b
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert Colorfulness()(*clips)[1, 2].item() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(Colorfulness(of="target")(*clips), Colorfulness()(clips[1], clips[0]))
    assert Colorfulness()(*[clip[:, :, :1].repeat(1, 1, 3, 1, 1) for clip in clips]).abs().max() == 0


def test_cdc_is_the_divergence_of_histograms_and_0_for_a_constant_video(clips):
    histograms = [
        [np.bincount(np.rint(channel * 255).astype(int).ravel(), minlength=256) for channel in frame.numpy()]
        for frame in clips[0][0].double()
    ]
    expected = np.mean(
        [
            np.mean([jensenshannon(p, q) ** 2 for t in range(6 - d) for p, q in zip(histograms[t], histograms[t + d])])
            for d in (1, 2, 4)
        ]
    )
    assert CDC()(*clips)[0].item() == pytest.approx(expected, rel=1e-6)
    still = clips[0][:, :1].expand(-1, 6, -1, -1, -1)
    assert CDC()(still, still).tolist() == [[0], [0]]
    assert CDC()(clips[0][:, :1], clips[1][:, :1]).shape == (2, 0)  # no score of one frame
    assert CDC(steps=[1])(clips[0][:, :2], clips[1][:, :2]).shape == (2, 1)


def test_mabd_is_the_mean_change_of_luma_in_levels(clips):
    luma = np.tensordot(clips[0].double().numpy(), [0.299, 0.587, 0.114], axes=([2], [0])) * 255
    np.testing.assert_allclose(MABD()(*clips).numpy(), np.abs(np.diff(luma, axis=1)).mean((2, 3)), rtol=1e-4)
    assert MABD()(clips[0][:, :1], clips[1][:, :1]).shape == (2, 0)


def test_each_says_how_it_judges():
    assert [metric.protocol.split(" ")[0] for metric in (DeltaE2000(), Colorfulness(), CDC(), MABD())] == [
        *("CIEDE2000", "colorfulness", "CDC", "MABD"),
    ]
    assert "target" in CDC(of="target").protocol and DeltaE2000.better == CDC.better == "min"
