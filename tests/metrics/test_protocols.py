import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from videxp.core.errors import BadRequest
from videxp.metrics.features import FeatureNetwork
from videxp.metrics.protocols import PROTOCOLS, Figure, GenerationProtocol
from videxp.metrics.torchscript import I3D

VIDEO = torch.randint(0, 256, (2, 4, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class SomeNetwork(FeatureNetwork):
    def __init__(self, name: str) -> None:
        super().__init__(torch.nn.Identity(), name=name, weights="0123456789abcdef", input_text="pixels")


@pytest.fixture
def i3d(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of TorchScript as such
        torch.jit.save(torch.jit.script(torch.nn.Identity()), tmp_path / "i3d.pt")
    return I3D(str(tmp_path / "i3d.pt"))


def test_the_field_s_names(i3d):
    assert [protocol.metric("frechet_distance", i3d) for protocol in PROTOCOLS.values()] == [
        "fvd2048_16f",
        "fvd2048_128f",
        "fvd2048_128f_subsample8f",
    ]
    assert [protocol.num_frames for protocol in PROTOCOLS.values()] == [16, 128, 16]
    assert PROTOCOLS["2048_16f"].metric("kernel_distance", i3d) == "kvd2048_16f"


def test_only_i3d_s_figure_is_called_fvd():
    for name in ("i3d", "fvd", "r3d_18"):  # whatever a network calls itself
        assert (
            PROTOCOLS["2048_16f"].metric("frechet_distance", SomeNetwork(name)) == f"frechet_distance_{name}_2048_16f"
        )


def test_a_figure_is_printed_with_all_it_depends_on():
    protocol = GenerationProtocol(num_clips=256, num_frames=8, stride_frames=2, resolution=64)
    text = protocol.text(SomeNetwork("r3d_18"), real=200, generated=256)
    assert text == (
        "200 real, 256 generated clips of 8 frames (stride 2); 64x64 (others bilinear, antialiased), 8-bit; "
        "features r3d_18 (weights sha256:0123456789ab; pixels); covariance / N-1"
    )
    assert str(Figure("fvd256_16f_subsample2f", 123.456, text)) == f"fvd256_16f_subsample2f = 123.5   [{text}]"


def test_clips_of_the_right_size_pass_bit_by_bit():
    protocol = GenerationProtocol(num_frames=4, resolution=24)
    assert torch.equal(protocol.prepared(VIDEO), VIDEO)
    assert torch.equal(protocol.prepared(VIDEO / 255), VIDEO)
    assert torch.equal(protocol.prepared(VIDEO[:, :, :1]), VIDEO[:, :, :1].expand(-1, -1, 3, -1, -1))


@pytest.mark.parametrize(
    ("resize", "filter_"), [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)]
)
def test_clips_of_another_size_are_resized_as_pil_does(resize, filter_):
    frames = VIDEO.permute(0, 1, 3, 4, 2).flatten(0, 1).numpy()
    resized = [np.asarray(Image.fromarray(frame).resize((10, 10), filter_)) for frame in frames]
    expected = np.stack(resized).reshape(2, 4, 10, 10, 3).astype(int)
    options = {"num_frames": 4, "resolution": 10, "resize": resize}
    found, aliased = (
        GenerationProtocol(**options, antialias=antialias).prepared(VIDEO).permute(0, 1, 3, 4, 2).int().numpy()
        for antialias in (True, False)
    )
    assert np.abs(aliased - expected).max() > 50  # negative control
    assert np.abs(found - expected).max() <= 2  # PIL rounds between the two directions


def test_clips_that_are_not_what_the_name_says_are_refused():
    with pytest.raises(BadRequest, match=r"dataset\.num_frames=16 dataset\.stride_frames=8"):
        PROTOCOLS["2048_128f_subsample8f"].prepared(VIDEO)
    with pytest.raises(BadRequest, match="24x20 would be squashed to 10x10: crop them"):
        GenerationProtocol(num_frames=4, resolution=10).prepared(VIDEO[..., :20])
