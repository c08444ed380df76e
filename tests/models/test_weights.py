"""`weights=`: tensors by name from a file or a URL; another number of classes renews the classifier only."""

import logging
import pickle
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.models.zoo import CLASSIFIERS, MODELS, OPTIONAL, build_tiny, cases
from videxp.core.errors import BadRequest
from videxp.models.classification.torchvision_video import r2plus1d_18, r3d_18
from videxp.models.classification.x3d import X3D
from videxp.models.restoration.basicvsr import BasicVSR
from videxp.models.weights import load_weights, loaded_weights, weights_unread

TINY = {"width_factor": 0.7, "depth_factor": 0.2, "head_width": 16}


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(name for name in CLASSIFIERS if "weights" in MODELS[name].config))
def test_saved_weights_come_back_and_another_number_of_classes_renews_the_classifier_alone(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    caplog.set_level(logging.INFO, logger="videxp")
    state = build_tiny(name).state_dict()
    path = saved(tmp_path / "weights.pt", state)
    again = build_tiny(name, weights=path).state_dict()
    assert all(torch.equal(state[key], again[key]) for key in state)
    assert len(caplog.messages) == 1 and "afresh" not in caplog.messages.pop()

    other = build_tiny(name, weights=path, num_classes=7).state_dict()
    renewed = {key for key in state if not torch.equal(state[key], other[key])}
    assert len(renewed) == 2 and all(other[key].shape[0] == 7 for key in renewed)  # its weight and its bias
    assert "starts afresh: 5 classes there, 7 here" in caplog.messages[-1]


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "network."])
def test_checkpoints_of_other_trainers_are_unwrapped(wrapper: str, prefix: str, tmp_path: Path):
    state = X3D(num_classes=5, **TINY).state_dict()
    checkpoint = {"epoch": 3, wrapper: {**{prefix + key: value for key, value in state.items()}}}
    if prefix:
        checkpoint[wrapper]["loss.weight"] = torch.ones(5)  # what else a LightningModule keeps
    loaded = X3D(num_classes=5, weights=saved(tmp_path / "last.ckpt", checkpoint), **TINY).state_dict()
    assert all(torch.equal(state[key], loaded[key]) for key in state)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_a_url_is_fetched_once_and_loaded(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    state = X3D(num_classes=5, **TINY).state_dict()
    path = Path(saved(tmp_path / "x3d.pt", state))
    for _ in range(2):
        loaded = X3D(num_classes=5, weights=f"{server}/x3d.pt", **TINY).state_dict()
        assert all(torch.equal(state[key], loaded[key]) for key in state)
        path.unlink(missing_ok=True)  # the second time it comes from torch.hub's cache
    with pytest.raises(BadRequest, match=r"weights=http.*none\.pt: could not be fetched: HTTP Error 404"):
        X3D(weights=f"{server}/none.pt")


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code in the file was run')",))


def test_a_file_that_holds_code_is_refused_unrun(tmp_path: Path):
    path = saved(tmp_path / "evil.pt", {"state_dict": RunsCode()})
    with pytest.raises(SystemExit):
        torch.load(path, weights_only=False)  # what plain torch.load used to do
    with pytest.raises(BadRequest, match=r"evil.pt: holds more than tensors \(exec\)"):
        X3D(weights=path)


def test_each_way_of_not_fitting_is_one_short_message(tmp_path: Path):
    state = X3D(num_classes=5, **TINY).state_dict()
    first = "blocks.0.conv.conv_t.weight"
    cases = {
        "no such file": str(tmp_path / "none.pt"),
        "holds no state dict": saved(tmp_path / "list.pt", [1, 2]),
        f"{first} has shape [16, 3, 1, 3, 3], not [8, 3, 1, 3, 3]".replace("[", r"\["): saved(
            tmp_path / "wide.pt", {**state, first: torch.zeros(16, 3, 1, 3, 3)}
        ),
        "match; 1 difference: blocks.0.norm.bias is missing": saved(
            tmp_path / "short.pt", {key: value for key, value in state.items() if key != "blocks.0.norm.bias"}
        ),
        "extra.bias is not part of it": saved(tmp_path / "long.pt", {**state, "extra.bias": torch.zeros(2)}),
    }
    for message, path in cases.items():
        with pytest.raises(BadRequest, match=message) as caught:
            X3D(num_classes=5, weights=path, **TINY)
        assert len(str(caught.value).splitlines()) <= 3


def test_on_the_meta_device_weights_are_checked_but_nothing_is_copied(tmp_path: Path):
    path = saved(tmp_path / "weights.pt", X3D(num_classes=5, **TINY).state_dict())
    with torch.device("meta"):
        assert next(X3D(num_classes=5, weights=path, **TINY).parameters()).is_meta
        with pytest.raises(BadRequest, match="doesn't fit"):
            X3D(num_classes=5, weights=path)


def test_safetensors_files_are_read(tmp_path: Path):
    state = X3D(num_classes=5, **TINY).state_dict()
    save_file(state, tmp_path / "model.safetensors")
    loaded = X3D(num_classes=5, weights=str(tmp_path / "model.safetensors"), **TINY).state_dict()
    assert all(torch.equal(state[key], loaded[key]) for key in state)


def refusal(source: str, model: Callable[..., nn.Module] = X3D) -> str:
    with pytest.raises(BadRequest) as caught:
        model(weights=source)
    text = str(caught.value)
    assert text.startswith(f"weights={source}: ") and len(text.splitlines()) <= 2
    assert not set("\x1b\t") & set(text)  # no codes for the terminal
    return text


@pytest.mark.slow
def test_a_file_that_is_none_of_tensors_is_named_with_its_fault_and_the_remedy(tmp_path: Path):
    state = {"a": torch.zeros(500)}
    whole, old = Path(saved(tmp_path / "whole.pth", state)).read_bytes(), tmp_path / "old.pth"
    torch.save(state, old, _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "whole.safetensors")
    damaged = "the file is cut short or damaged: download or copy it again"
    cases: dict[str, tuple[bytes, str]] = {
        "text.pth": (b"hello", "no file of tensors, it begins with 'hello'"),
        "page.pth": (b"<!DOCTYPE html>\n<html>", "no file of tensors, it begins with '<!DOCTYPE html>'"),
        "empty.pth": (b"", "the file is empty: download or copy it again"),
        "cut.pth": (whole[: len(whole) // 2], damaged),
        "old_cut.pth": (old.read_bytes()[:-900], damaged),
        "older_cut.pth": (old.read_bytes()[:40], damaged),
        "cut.safetensors": ((tmp_path / "whole.safetensors").read_bytes()[:300], damaged),
        "plain.pkl": (pickle.dumps({"a": np.zeros(3)}), "pickled by something else than torch.save"),
    }
    stock = set()
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert message in refusal(str(path))
        if path.suffix == ".pth":
            with pytest.raises((EOFError, KeyError, RuntimeError, pickle.UnpicklingError)) as caught:
                torch.load(path, weights_only=True)
            stock.add(str(caught.value))
    assert {"", "101"} < stock  # what torch says names neither the file nor the fault
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    text = refusal(str(tmp_path / "module.pth"))
    assert "holds more than tensors (torch.nn.modules.linear.Linear)" in text
    assert text.endswith("Save the tensors alone: torch.save(model.state_dict(), path)")


def test_what_cannot_be_fetched_is_asked_for_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    text = refusal("http://127.0.0.1:9/r3d.pth")
    assert "could not be fetched: " in text and text.endswith("\nGive the path of a file")
    cached = tmp_path / "hub/checkpoints/r3d.pth"
    cached.write_bytes(b"PK\x03\x04")
    assert refusal("http://127.0.0.1:9/r3d.pth").endswith(f"damaged: delete {cached}, so that it is fetched anew")


def test_a_folder_is_called_one_and_a_runs_has_its_checkpoint_named(tmp_path: Path):
    assert refusal(str(tmp_path)).endswith("is a folder; give a file in it")
    best = tmp_path / "checkpoints/best.ckpt"
    best.parent.mkdir()
    best.touch()
    assert refusal(str(tmp_path)).endswith(f"is a run folder; give {best}")


@pytest.mark.parametrize("name", ["KINETICS400_V2", "kinetics400_v1"])
def test_a_name_of_published_weights_that_is_nearly_right_is_put_right(name: str):
    small = partial(r3d_18, width=4, depths=(1, 1, 1, 1))
    assert refusal(name, small).endswith("no such file; did you mean KINETICS400_V1?")
    assert "did you mean" not in refusal(name)  # none of X3D's are known by name


def test_weights_of_another_network_are_told_by_how_much_of_it_they_are(tmp_path: Path):
    shape: dict[str, Any] = {"width": 4, "depths": (1, 1, 1, 1)}
    path = saved(tmp_path / "r3d.pth", r3d_18(**shape).state_dict())
    with pytest.raises(
        BadRequest, match=r"fit VideoResNet: (\d+) of its (\d+) tensors match; (\d+) differences"
    ) as caught:
        r2plus1d_18(weights=path, **shape)
    matched, total, differences = (int(text) for text in re.findall(r"(\d+) (?:of|tensors|diff)", str(caught.value)))
    assert matched < total / 2 and differences > total / 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged_are_refused(value: float, tmp_path: Path):
    state = X3D(num_classes=5, **TINY).state_dict()
    key = [key for key in state if key.endswith("running_var")][1]
    state[key][0] = value
    X3D(num_classes=5, **TINY).load_state_dict(state)  # torch takes them
    path = saved(tmp_path / "nan.pth", state)
    assert f"{key} holds NaN or infinity" in refusal(path, partial(X3D, num_classes=5, **TINY))


def test_a_mask_that_is_infinite_by_design_loads(tmp_path: Path):
    net = nn.Linear(2, 2)
    net.register_buffer("mask", torch.full((2, 2), float("-inf")).triu(1))
    load_weights(net, saved(tmp_path / "masked.pth", net.state_dict()))
    (loaded,) = loaded_weights(net)
    assert (loaded.matched, loaded.total, loaded.head) == (3, 3, "")


def test_where_a_checkpoint_follows_the_same_network_is_built_without_its_weights():
    begun: dict[str, Any] = {"channels": 4, "blocks": 1, "weights": "gone.pth", "flow_weights": "gone.pth"}
    with weights_unread():
        net = BasicVSR(flow="spynet", **begun)
    assert net.flow is not None and net.flow.weights_path == "gone.pth" and loaded_weights(net) == []
    with pytest.raises(BadRequest, match="no such file"):
        BasicVSR(flow="spynet", **begun)
