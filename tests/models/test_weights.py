"""`weights=`: tensors by name from a file or a URL; another number of classes renews the classifier only."""

import logging
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.models.catalogue import CATALOGUE, OPTIONAL, build_tiny, cases
from videxp.errors import BadRequest
from videxp.models.x3d import x3d_xs

X3D = {"width_factor": 0.7, "depth_factor": 0.2, "head_width": 16}


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


@pytest.mark.parametrize("name", cases(name for name in CATALOGUE if CATALOGUE[name].module != "small"))
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
    state = x3d_xs(num_classes=5, **X3D).state_dict()
    checkpoint = {"epoch": 3, wrapper: {**{prefix + key: value for key, value in state.items()}}}
    if prefix:
        checkpoint[wrapper]["loss.weight"] = torch.ones(5)  # what else a LightningModule keeps
    loaded = x3d_xs(num_classes=5, weights=saved(tmp_path / "last.ckpt", checkpoint), **X3D).state_dict()
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
    state = x3d_xs(num_classes=5, **X3D).state_dict()
    path = Path(saved(tmp_path / "x3d.pt", state))
    for _ in range(2):
        loaded = x3d_xs(num_classes=5, weights=f"{server}/x3d.pt", **X3D).state_dict()
        assert all(torch.equal(state[key], loaded[key]) for key in state)
        path.unlink(missing_ok=True)  # the second time it comes from torch.hub's cache
    with pytest.raises(BadRequest, match=r"weights=http.*none\.pt: could not be fetched: HTTP Error 404"):
        x3d_xs(weights=f"{server}/none.pt")


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code in the file was run')",))


def test_a_file_that_holds_code_is_refused_unrun(tmp_path: Path):
    path = saved(tmp_path / "evil.pt", {"state_dict": RunsCode()})
    with pytest.raises(SystemExit):
        torch.load(path, weights_only=False)  # what plain torch.load used to do
    with pytest.raises(BadRequest, match=r"evil.pt: holds more than tensors \(exec\)"):
        x3d_xs(weights=path)


def test_each_way_of_not_fitting_is_one_short_message(tmp_path: Path):
    state = x3d_xs(num_classes=5, **X3D).state_dict()
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
            x3d_xs(num_classes=5, weights=path, **X3D)
        assert len(str(caught.value).splitlines()) <= 3


def test_on_the_meta_device_weights_are_checked_but_nothing_is_copied(tmp_path: Path):
    path = saved(tmp_path / "weights.pt", x3d_xs(num_classes=5, **X3D).state_dict())
    with torch.device("meta"):
        assert next(x3d_xs(num_classes=5, weights=path, **X3D).parameters()).is_meta
        with pytest.raises(BadRequest, match="doesn't fit"):
            x3d_xs(num_classes=5, weights=path)


def test_safetensors_files_are_read(tmp_path: Path):
    state = x3d_xs(num_classes=5, **X3D).state_dict()
    save_file(state, tmp_path / "model.safetensors")
    loaded = x3d_xs(num_classes=5, weights=str(tmp_path / "model.safetensors"), **X3D).state_dict()
    assert all(torch.equal(state[key], loaded[key]) for key in state)
