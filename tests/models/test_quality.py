"""What sets the networks of deblurring and of compression clean-up apart."""

import numpy as np
import torch
from torch import Tensor, nn

from tests.models.restorers import build_tiny, clip
from videxp.models.restoration.stdf import luma

# BT.601 in studio range as the standard writes it: RGB -> Y, Cb, Cr in 0 to 255
YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])


def ycbcr(video: Tensor) -> np.ndarray:
    """[B,T,3,H,W] in [0,1] -> the same shape."""
    return np.einsum("yc,btchw->btyhw", YCBCR, video.double().numpy()) + np.array([16, 128, 128]).reshape(3, 1, 1)


def test_stdf_changes_luma_and_keeps_chroma():
    net, video = build_tiny("stdf_r3"), clip(1, 4, 3, 12, 20)
    with torch.no_grad():
        change = ycbcr(net(video)) - ycbcr(video)
    assert np.abs(change[:, :, 0]).max() > 0.1
    assert np.abs(change[:, :, 1:]).max() < 1e-3
    np.testing.assert_allclose(luma(video).numpy()[:, :, 0] * 255, ycbcr(video)[:, :, 0], atol=1e-4)


def test_stdf_adds_to_luma_what_its_last_layer_gives():
    net, video = build_tiny("stdf_r3"), clip(1, 2, 3, 8, 8)
    last = net.enhance[-1]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(10 / 255)
        np.testing.assert_allclose(ycbcr(net(video))[:, :, 0], ycbcr(video)[:, :, 0] + 10, atol=1e-3)
        last.bias.zero_()
        assert torch.equal(net(video), video)


def test_stdf_reads_a_window_whose_ends_are_repeated():
    net, video = build_tiny("stdf_r3"), clip(1, 3, 3, 8, 8)
    repeated = video[:, [0, 0, 0, 0, 1, 2, 2, 2, 2]]
    with torch.no_grad():
        torch.testing.assert_close(net(repeated)[:, 3:6], net(video))


def test_estrnn_equals_the_papers_frames_in_the_middle_and_mirrors_features_at_the_ends():
    net, video = build_tiny("estrnn"), clip(2, 7, 3, 8, 12)
    with torch.no_grad():
        output = net(video)
        state, features = torch.zeros(2, 4, 2, 3), []
        for t in range(7):
            feature, state = net.cell(video[:, t] - 0.5, state)
            features.append(feature)
        for t, around in ((3, (1, 2, 3, 4, 5)), (0, (2, 1, 0, 1, 2)), (6, (4, 5, 6, 5, 4))):
            expected = net.head(net.fusion([features[i] for i in around])) + 0.5
            torch.testing.assert_close(output[:, t], expected)


def test_estrnn_with_a_skip_adds_to_the_frame():
    net, video = build_tiny("estrnn", skip=True), clip(1, 3, 3, 8, 8)
    plain = build_tiny("estrnn")
    plain.load_state_dict(net.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(net(video) - (video - 0.5), plain(video))


def test_estrnn_without_state_and_neighbors_sees_one_frame_alone():
    net, video = build_tiny("estrnn", neighbors=0, recurrent=False), clip(1, 4, 3, 8, 8)
    assert net.radius == 0
    with torch.no_grad():
        alone = torch.cat([net(video[:, t : t + 1]) for t in range(4)], dim=1)
        torch.testing.assert_close(net(video), alone)
    net.train()(video).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
