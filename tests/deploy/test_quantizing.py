"""Int8 of exported files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from videxp.core.errors import BadRequest
from videxp.deploy.compressing.quantizing import quantize

onnxruntime = pytest.importorskip("onnxruntime", reason="the int8 of a file is not checked: videxp[export]")


@pytest.fixture
def exported(tmp_path: Path) -> tuple[nn.Module, Path]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 2 * 6 * 6, 4))
    path = tmp_path / "net.onnx"
    torch.onnx.export(
        network.eval(), (torch.rand(1, 3, 4, 8, 8),), path, input_names=["clip"], dynamo=True, verbose=False
    )
    return network, path


def test_int8_answers_nearly_as_float(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    network, path = exported
    clips = [torch.rand(1, 3, 4, 8, 8).numpy() for _ in range(8)]
    assert quantize(path, tmp_path / "int8.onnx", [{"clip": clip} for clip in clips], min_share=0.9) == 1
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"clip": clips[0]})[0]
    ours = network(torch.from_numpy(clips[0])).detach().numpy()
    assert 0 < np.abs(theirs - ours).max() < 0.05 * np.abs(ours).max()


def test_a_share_too_low_leaves_no_file(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"--min-share 1\.1"):
        quantize(exported[1], tmp_path / "int8.onnx", [{"clip": np.zeros((1, 3, 4, 8, 8), "float32")}], min_share=1.1)
    assert not (tmp_path / "int8.onnx").exists()
