"""Steps of causal networks run outside torch, and as Triton would keep their state."""

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from tests.models.test_streaming import SIZE, network, stream, video
from videxp.core.errors import BadRequest
from videxp.deploy.exporting.steps import export_step, write_step
from videxp.deploy.exporting.triton import write_repository
from videxp.models.classification.movinet import VARIANTS, Widths

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


@pytest.mark.parametrize("name", NAMES)
def test_steps_through_onnxruntime_answer_what_the_whole_clip_answers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(VARIANTS, "a0", ONE_LAYER_A_STAGE)
    net, clip = network(name), video(frames=5, batch=3)
    step = export_step(net, size=SIZE)
    write_step(step, tmp_path / "step.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx", providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == step.inputs  # the export's batch was 2
    state = [np.zeros((3, *one.shape[1:]), np.float32) for one in step.example[1:]]
    answers = []
    for frame in clip.split(1, dim=1):
        answer, *state = session.run(step.outputs, dict(zip(step.inputs, [frame.numpy(), *state])))
        answers.append(torch.from_numpy(answer))
    whole, _ = stream(net, clip, frames=5)
    assert whole.std() > 1e-3
    assert (torch.cat(answers, dim=1) - whole).abs().max() < 1e-5 * max(1, float(whole.abs().max()))

    folder = write_repository(tmp_path / "step.onnx", tmp_path, name="digits", state=step.state)
    config = parse((folder / "config.pbtxt").read_text())
    assert (folder / "1/model.onnx").read_bytes() == (tmp_path / "step.onnx").read_bytes()
    assert config["name"] == ["digits"] and config["platform"] == ["onnxruntime_onnx"]
    assert config["input"] == [{"name": ["video"], "data_type": ["TYPE_FP32"], "dims": ["1", "3", *map(str, SIZE)]}]
    assert [one["name"] for one in config["output"]] == [["answers"]]
    (sequences,) = config["sequence_batching"]
    for kept, (before, after), example in zip(sequences["state"], step.state, step.example[1:], strict=True):
        dims = [str(length) for length in example.shape[1:]]
        assert (kept["input_name"], kept["output_name"], kept["dims"]) == ([before], [after], dims) and dims
        assert kept["initial_state"][0]["zero_data"] == ["true"] and kept["initial_state"][0]["dims"] == dims


class Doubled(nn.Module):
    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor]:
        return (video * 2,)


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
