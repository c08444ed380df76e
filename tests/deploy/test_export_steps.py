"""Steps of causal networks run outside torch, and as Triton would keep their state."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.deploy.untold import write_untold
from tests.models.test_streaming import network
from tests.models.zoo import RESTORERS, build_tiny
from videxp.core.errors import BadRequest, VidexpError
from videxp.deploy.exporting.opening import Exported, open_exported
from videxp.deploy.exporting.package import Package
from videxp.deploy.exporting.parity import answers_of_run, compare_answers, require_parity
from videxp.deploy.exporting.runs import step_of
from videxp.deploy.exporting.steps import answer_clip
from videxp.deploy.exporting.triton import write_repository
from videxp.deploy.exporting.writing import Kind
from videxp.models.classification.movinet import VARIANTS, Widths
from videxp.tasks.deployable import (
    Deployable,
    DeployableClassifier,
    DeployableRestorer,
    DeployableStep,
    require_streaming,
)
from videxp.transforms import EvalTransform

NAMES = [
    "cnn3d_small_stream",
    pytest.param("movinet_a0_stream", marks=pytest.mark.slow),
    pytest.param("tsm_r50_online", marks=pytest.mark.slow),
    pytest.param("basicvsr_forward", marks=pytest.mark.slow),
]

ONE_LAYER_A_STAGE = Widths(8, ((8, "24x1x5"), (32, "80x3x3"), (56, "184x5x3"), (56, "184x3x3"), (104, "280x1x5")), 480)
"""Of MoViNet: the exporter takes 30 s for all 16 layers."""


def parse(text: str) -> dict[str, list]:
    """Protobuf's text format: {field: values}, messages as dicts."""
    tokens = re.findall(r'"[^"]*"|[\w.-]+|[{}\[\]:,]', text)

    def message(until: str) -> dict[str, list]:
        found: dict[str, list] = {}
        while tokens and tokens[0] != until:
            name = tokens.pop(0)
            if tokens[0] == ":":
                tokens.pop(0)
            found.setdefault(name, []).extend(values())
        if until:
            assert tokens.pop(0) == until
        return found

    def values() -> list:
        first = tokens.pop(0)
        if first == "{":
            return [message("}")]
        if first != "[":
            return [first.strip('"')]
        listed = []
        while (token := tokens.pop(0)) != "]":
            if token != ",":
                listed.append(token)
        return listed

    return message("")


def deployable(name: str) -> Deployable:
    net = network(name)
    if name in RESTORERS:
        return DeployableRestorer(net).requires_grad_(False).eval()
    preparation = EvalTransform(size=32, resize=36).preparation()
    return DeployableClassifier(net, preparation=preparation, activation="softmax").requires_grad_(False).eval()


def clip(*shape: int) -> dict[str, np.ndarray]:
    return {"clip": np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)}


def write_step(name: str, kind: Kind, path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[DeployableStep, Package]:
    """Of frames of 36x48 pixels, all axes free; the file says nothing of a run."""
    monkeypatch.setitem(VARIANTS, "a0", ONE_LAYER_A_STAGE)
    step = step_of(deployable(name), clip(1, 1, 36, 48))
    return step, write_untold(step, clip(1, 2, 36, 48), path, kind=kind, free=("batch", "height", "width"))


def compare_with_whole_clip(file: Exported, step: DeployableStep, given: dict[str, np.ndarray]) -> None:
    """Frame by frame through the file, beside what torch answers of all frames at once."""
    (expected,) = answers_of_run(step, [given])
    found = {name: value.numpy() for name, value in answer_clip(file, given).items()}
    assert all(value.std() > 1e-3 for value in expected.values())
    require_parity(compare_answers([expected], [found]), file=file.path)
    if "logits" in found:
        assert np.abs(found["logits"] - expected["logits"]).max() < 1e-5 * max(1, np.abs(expected["logits"]).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_steps_of_a_file_answer_what_the_whole_clip_answers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    step, _ = write_step(name, "torch", tmp_path / "step.pt2", monkeypatch)
    file = open_exported(tmp_path / "step.pt2")  # the gate of plain graphs lets it pass
    for shape in ((1, 5, 36, 48), (3, 4, 36, 48), (1, 3, 41, 70)):  # the export's batch was 2
        compare_with_whole_clip(file, step, clip(*shape))
    with pytest.raises(VidexpError, match="takes clip, state_0"):
        file(**clip(1, 1, 36, 48))


@pytest.mark.slow
def test_triton_keeps_the_state_of_a_step_between_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    step, package = write_step("cnn3d_small_stream", "onnx", tmp_path / "step.onnx", monkeypatch)
    compare_with_whole_clip(open_exported(tmp_path / "step.onnx"), step, clip(3, 4, 41, 70))

    state = [(one.input, one.output) for one in package.state]
    folder = write_repository(tmp_path / "step.onnx", tmp_path, name="digits", state=state)
    config = parse((folder / "config.pbtxt").read_text())
    assert (folder / "1/model.onnx").read_bytes() == (tmp_path / "step.onnx").read_bytes()
    assert config["name"] == ["digits"] and config["platform"] == ["onnxruntime_onnx"]
    assert config["input"] == [
        {"name": ["clip"], "data_type": ["TYPE_UINT8"], "dims": ["1", "-1", "-1", "3"]}  # one frame of any size
    ]
    assert [one["name"] for one in config["output"]] == [["scores"], ["logits"]]
    (sequences,) = config["sequence_batching"]
    for kept, one in zip(sequences["state"], package.state, strict=True):
        dims = [str(length) for length in one.shape[1:]]
        assert (kept["input_name"], kept["output_name"], kept["dims"]) == ([one.input], [one.output], dims) and dims
        assert kept["initial_state"][0]["zero_data"] == ["true"] and kept["initial_state"][0]["dims"] == dims


def test_a_network_of_whole_clips_has_no_step():
    with pytest.raises(BadRequest, match="C3D takes whole clips, not a frame and a state: leave --step out"):
        require_streaming(build_tiny("c3d"))


class Doubled(nn.Module):
    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor]:
        return (video * 2,)


@pytest.mark.slow
@pytest.mark.parametrize("is_free", [True, False])
def test_a_repository_batches_requests_where_the_batch_is_free(is_free: bool, tmp_path: Path):
    shapes = ({0: torch.export.Dim.AUTO},) if is_free else None
    example = (torch.rand(2, 4),)
    program = torch.export.export(Doubled(), example, dynamic_shapes=shapes)
    model = torch.onnx.export(program, example, dynamo=True, input_names=["clip"], output_names=["out"], verbose=False)
    assert model is not None
    model.save(str(tmp_path / "model.onnx"), external_data=False)
    config = parse((write_repository(tmp_path / "model.onnx", tmp_path, name="d") / "config.pbtxt").read_text())
    assert config["max_batch_size"] == (["8"] if is_free else ["0"]) and ("dynamic_batching" in config) == is_free
    assert config["input"][0]["dims"] == (["4"] if is_free else ["2", "4"])
    with pytest.raises(BadRequest, match="is there already"):
        write_repository(tmp_path / "model.onnx", tmp_path, name="d")
    if not is_free:
        with pytest.raises(BadRequest, match="whose batch is free only"):
            write_repository(tmp_path / "model.onnx", tmp_path, name="e", state=[("clip", "out")])
