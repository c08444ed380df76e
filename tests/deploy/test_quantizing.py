"""Int8 of exported files."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from tests.conftest import videxp
from videxp.core.errors import BadRequest
from videxp.deploy.compressing.compressing import metric_lines
from videxp.deploy.compressing.quantizing import count_layers, quantize

CLIPS = [{"clip": clip} for clip in np.random.default_rng(0).random((8, 1, 3, 4, 8, 8), dtype=np.float32)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv3d(3, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU()),
        *(nn.Conv3d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 8 * 8, 4)),
    )
    path = tmp_path_factory.mktemp("float") / "net.onnx"
    torch.onnx.export(
        network.eval(), (torch.rand(1, 3, 4, 8, 8),), path, input_names=["clip"], dynamo=True, external_data=False
    )
    return network, path


@pytest.mark.slow
@pytest.mark.parametrize(("min_channels", "int8", "kept"), [(0, 3, 0), (8, 2, 1)])
def test_int8_answers_nearly_as_float(
    min_channels: int, int8: int, kept: int, exported: tuple[nn.Module, Path], tmp_path: Path
) -> None:
    network, path = exported
    layers = quantize(path, tmp_path / "int8.onnx", CLIPS, min_share=0.9, min_channels=min_channels)
    assert (layers.of, layers.int8, len(layers.kept), layers.share) == (3, int8, kept, 1)
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    theirs = session.run(None, CLIPS[0])[0]
    ours = network(torch.from_numpy(CLIPS[0]["clip"])).detach().numpy()
    assert 0 < np.abs(theirs - ours).max() < 0.05 * np.abs(ours).max()
    assert [one.name for one in tmp_path.iterdir()] == ["int8.onnx"]


@pytest.mark.slow
def test_what_a_quantizer_passes_over_is_seen_in_its_file(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    """onnxruntime's dynamic way makes no convolution that could be int8, and says nothing."""
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(exported[1], tmp_path / "dynamic.onnx", op_types_to_quantize=["Gemm", "MatMul"])
    assert count_layers(onnx.load(tmp_path / "dynamic.onnx"), kept=[]).share < 0.9


@pytest.mark.slow
def test_a_share_too_low_leaves_no_file(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"2 of 3 .* 1 of few channels stays float: 100%, less than --min-share 1\.1"):
        quantize(exported[1], tmp_path / "int8.onnx", CLIPS[:1], min_share=1.1, min_channels=8)
    assert not [*tmp_path.iterdir()]


def test_differences_have_their_interval_where_samples_have_values_of_their_own() -> None:
    paired = {"low": -0.02, "high": 0.01, "units": 480}
    one, two = {"before": 0.9, "after": 0.89, "paired": paired}, {"before": 30.0, "after": 29.5}
    _, _, first, second = metric_lines({"int8": {"accuracy": one, "psnr": two}})
    assert first.split()[:2] == ["int8", "test/accuracy"]
    assert first.split()[2:] == ["0.9000", "0.8900", "-0.0100", "-0.0200", "to", "+0.0100", "480"]
    assert second.split() == ["int8", "test/psnr", "30.0000", "29.5000", "-0.5000"]


@pytest.mark.slow
def test_folders_that_are_there_are_left_alone(finished: tuple[Path, object], workplace: Path, tmp_path: Path) -> None:
    done = videxp("compress", str(finished[0]), "--quantize", "int8", "-o", str(tmp_path), cwd=workplace)
    assert done.returncode == 2 and "is there already: choose another name" in done.stderr
    assert not [*tmp_path.iterdir()]
