"""Hostile targets are refused by the check and by build, and run nothing."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra.utils
import pytest

from videxp.config import build, check_config, load_resolved, save_resolved
from videxp.config.checking.targets import read_target
from videxp.config.gate import refusal_of_object, resolve
from videxp.core.errors import BadRequest

HOSTILE: list[dict[str, Any]] = [
    {"_target_": "os.system", "command": "touch ran"},
    {"_target_": "logging.os.system", "command": "touch ran"},
    {"_target_": "pathlib.Path.touch", "self": "ran"},
    {"_target_": "builtins.exec", "_args_": ["open('ran', 'w')"]},
    {"_target_": "torch.load", "f": "x.pt", "weights_only": False},
    {"_target_": "torch.nn.modules.container.torch.load", "f": "x.pt", "weights_only": False},
    {"_target_": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"},
    {"_target_": "torch.nn.Module.register_forward_hook"},
    {"_target_": "torch.utils.data.DataLoader", "dataset": []},
    {"_target_": "joblib.load", "filename": "x"},
    {"_target_": "numpy.load", "file": "x.npy", "allow_pickle": True},
    {"_target_": "pytorch_lightning.LightningModule.load_from_checkpoint", "checkpoint_path": "x"},
    {"_target_": "videxp.tasks.Classification.load_from_checkpoint", "checkpoint_path": "x"},
    {"_target_": "videxp.cli.main", "argv": []},
    {"_target_": "videxp.cli.os.system", "command": "touch ran"},
    {"_target_": "videxp.core.files.write_text", "path": "ran", "text": ""},
    {"_target_": "evil.Network"},
]


def target_of(node: dict[str, Any]) -> str:
    return str(node["_target_"])


@pytest.fixture
def evil(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in reach whose import alone leaves a mark."""
    (folder / "evil.py").write_text("open('ran', 'w').close()\nclass Network: ...\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return folder


@pytest.mark.parametrize("node", HOSTILE, ids=target_of)
def test_a_hostile_target_is_refused_and_runs_nothing(node: dict[str, Any], evil: Path):
    assert read_target(node["_target_"], key="model._target_").problem is not None
    for nested in (node, {"_target_": "videxp.core.limits.Accepts", "min_frames": node}, {"a": [{"b": node}]}):
        with pytest.raises(BadRequest, match="_target_"):
            build(nested)
    assert not (evil / "ran").exists() and "evil" not in sys.modules


def test_plain_hydra_would_run_what_another_module_brings_in(evil: Path):
    """The negative control: importing is enough."""
    hydra.utils.instantiate({"_target_": "evil.Network"})
    assert (evil / "ran").exists()


def test_a_hostile_run_folder_is_refused_when_it_is_read(folder: Path):
    (folder / "config.yaml").write_text("model:\n  layers:\n  - _target_: logging.os.system\n    command: touch ran\n")
    with pytest.raises(BadRequest, match=r"model.layers\[0\]._target_=logging.os.system: .*not on the list"):
        load_resolved(folder / "config.yaml")


def test_a_package_of_the_users_is_built_once_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "mine.py").write_text(
        "class Network:\n    def __init__(self, *, depth: int = 1) -> None:\n        self.depth = depth\n"
    )
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(BadRequest, match="VIDEXP_ALLOW=mine adds it"):
        build({"_target_": "mine.Network"})
    monkeypatch.setenv("VIDEXP_ALLOW", "mine")
    assert build({"_target_": "mine.Network", "depth": 3}).depth == 3
    monkeypatch.delenv("VIDEXP_ALLOW")
    (folder / "pyproject.toml").write_text('[tool.videxp]\nallow = ["mine"]\n')
    assert build({"_target_": "mine.Network"}).depth == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "target",
    [
        "torch.optim.AdamW",
        "torch.nn.Linear",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "torchmetrics.classification.MulticlassAccuracy",
        "torchvision.models.video.r3d_18",
    ],
)
def test_what_a_recipe_needs_passes_by_text_and_by_object(target: str):
    assert read_target(target, key="x").problem is None
    assert refusal_of_object(resolve(target)) == ""


@pytest.mark.slow
def test_build_injects_only_what_is_taken_and_left_out():
    linear = {"_target_": "torch.nn.Linear", "in_features": 2}
    assert build(linear, out_features=3, size=9).out_features == 3
    assert build({**linear, "out_features": 5}, out_features=3).out_features == 5
    # r3d_18 takes num_classes through two **kwargs
    assert build({"_target_": "torchvision.models.video.r3d_18"}, num_classes=7).fc.out_features == 7


@pytest.mark.slow
def test_build_returns_partials_and_plain_containers():
    made = build({"_target_": "torch.optim.AdamW", "_partial_": True, "betas": [0.9, 0.99]})
    assert made.keywords == {"betas": [0.9, 0.99]} and type(made.keywords["betas"]) is list
    assert build(None) is None


@pytest.mark.slow
def test_a_value_that_the_constructor_refuses_is_a_bad_request():
    with pytest.raises(BadRequest, match=r"torchvision.models.video.r3d_18: .*weights"):
        build({"_target_": "torchvision.models.video.r3d_18", "weights": "NO_SUCH_weights"})


@pytest.mark.slow
def test_secrets_do_not_reach_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Any]):
    from videxp.config import compose, config_hash

    monkeypatch.setenv("SECRET", "hunter2")
    overrides = ["+logger.wandb.api_key=hunter2", "run.notes='${oc.env:SECRET}'", "run.group='by-${run.notes}'"]
    with pytest.raises(BadRequest, match="api_key=<redacted>: unknown key"):
        compose("classification/moving_digits", [*overrides, "nothing=1"])
    composed = compose("classification/moving_digits", overrides)
    save_resolved(composed.cfg, folder / "config.yaml")
    text = (folder / "config.yaml").read_text()
    assert "hunter2" not in text and "notes: ${oc.env:SECRET}" in text and "group: by-${run.notes}" in text
    again = load_resolved(folder / "config.yaml")
    assert again.run.group == "by-hunter2"
    assert config_hash(again) == config_hash(composed.cfg)
    assert [problem.key for problem in check_config(again)] == ["logger.wandb.api_key"]
