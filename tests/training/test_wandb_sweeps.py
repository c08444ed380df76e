"""W&B directs a sweep: its real client creates it and its real agent starts `videxp train`, against a loopback server.

Not played: the choice of values and of runs to end early, which the real server makes.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from tests import forked
from tests.conftest import clean_environment
from tests.shrink import tiny
from tests.training.wandb_server import serving
from tests.training.wandb_sweeps import SWEEP, SweepServer
from videxp import config
from videxp.core.errors import BadRequest
from videxp.training.loggers.metrics_file import read_metrics

ROOT = Path(__file__).parents[2]


def wandb_sweep(path: str) -> None:
    """As `wandb sweep PATH` in a shell."""
    from wandb.cli.cli import cli

    cli(["sweep", path], standalone_mode=False)


def wandb_agent(name: str) -> None:
    """The agent itself, which looks three times a second, not every five: for a started run, for an ended one."""
    from wandb import wandb_agent
    from wandb.cli.cli import cli

    wandb_agent.Agent.POLL_INTERVAL = 0.3
    cli(["agent", name], standalone_mode=False)


def documented() -> dict[str, Any]:
    """The sweep in docs/wandb_sweeps.md."""
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/wandb_sweeps.md").read_text(), re.DOTALL)
    return yaml.safe_load(text)


def agents_words(values: dict[str, Any]) -> list[str]:
    """What wandb's agent puts in the place of ${args_no_hyphens}."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    told = {"args": {key: {"value": value} for key, value in values.items()}}
    return create_sweep_command_args(told)["args_no_hyphens"]


def composed(values: dict[str, Any]) -> DictConfig:
    recipe = documented()["command"][2]
    found = config.compose(recipe, agents_words(values))
    config.refuse(config.check(found))
    return found.cfg


@pytest.mark.slow
def test_every_value_of_the_documented_sweep_is_accepted_as_the_agent_writes_it():
    sweep = documented()
    assert sweep["command"][:2] == ["videxp", "train"]
    choices = {key: told.get("values") or [told["min"], told["max"]] for key, told in sweep["parameters"].items()}
    for number in range(max(map(len, choices.values()))):
        values = {key: those[number % len(those)] for key, those in choices.items()}
        cfg = composed(values)
        for key, value in values.items():
            if key != "model":
                assert OmegaConf.select(cfg, key) == (None if value == "null" else value), key
    assert {composed({"model": name}).model._target_ for name in choices["model"]} == {
        "videxp.models.classification.small.SmallCNN3D",
        "videxp.models.classification.small.FrameCNN",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "word", "read"),
    [
        (True, "run.notes=True", True),
        (1e-05, "run.notes=1e-05", 1e-05),
        ("two words", "run.notes=two words", "two words"),
        ("null", "run.notes=null", None),
        ("'a, b'", "run.notes='a, b'", "a, b"),
        (["a", "b c"], "run.notes=['a', 'b c']", ["a", "b c"]),
    ],
)
def test_a_value_as_the_agent_writes_it_is_read_as_it_was_meant(value: Any, word: str, read: Any):
    assert agents_words({"run.notes": value}) == [word]
    cfg = config.compose("classification/moving_digits", [word]).cfg
    assert cfg.run.notes == read
    assert type(cfg.run.notes) is type(read) or read == ["a", "b c"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"run.notes": None}, "run.notes=None: a word, not nothing; write run.notes=null"),
        ({"dataset.batch_size": 32.0}, "dataset.batch_size=32.0"),
        ({"optimizer": {"lr": 0.1}}, "optimizer"),
        ({"optimizer.lrr": 0.1}, "optimizer.lrr"),
    ],
)
def test_a_value_that_would_mean_something_else_is_refused(values: dict[str, Any], words: str):
    with pytest.raises(BadRequest, match=re.escape(words)):
        composed(values)


def environment(cwd: Path, server: SweepServer) -> dict[str, str]:
    return clean_environment(cwd) | {
        "PYTHONPATH": str(ROOT),
        "VIDEXP_ALLOW": "tests",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": "x" * 40,
    }


@pytest.mark.slow
def test_the_agent_starts_trials_stops_one_early_and_all_ranks_of_another_have_its_values(tmp_path: Path):
    sweep = documented()
    small = tiny("dataset.layout.test_videos=10", "trainer.limit_test_batches=1", recipe=sweep["command"][2])
    small = [word for word in small if not word.startswith("trainer.max_epochs")]
    watch = [f"+callbacks.{name.lower()}._target_=tests.training.watching.{name}" for name in ("Told", "Hashes")]
    sweep["command"][3:3] = [*small, *watch]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    runs = tmp_path / "runs/wandb"

    def has_begun() -> bool:
        path = runs / "early/metrics.csv"
        return path.exists() and len(path.read_text().splitlines()) > 3

    trials = {
        "early": {"optimizer.lr": 0.004, "trainer.max_epochs": 12},
        "ranks": {"optimizer.lr": 0.00123, "trainer.max_epochs": 2, "hardware": "ddp_cpu", "run.notes": "two words"},
    }
    with serving(SweepServer(trials, stop={"early": has_begun})) as server:
        assert isinstance(server, SweepServer)
        forked.call(wandb_sweep, "sweep.yaml", cwd=tmp_path, environment=environment(tmp_path, server))
        assert yaml.safe_load(server.config)["command"] == sweep["command"]
        agents = f"me/videxp/{SWEEP}"
        said = forked.call(wandb_agent, agents, cwd=tmp_path, environment=environment(tmp_path, server))

        states = {path.parent.name: json.loads(path.read_text())["state"] for path in runs.glob("*/status.json")}
        assert states == {"early": "interrupted", "ranks": "finished"}, said
        assert (runs / "early/checkpoints/last.ckpt").exists()

        cfg = OmegaConf.load(runs / "ranks/config.yaml")
        assert (cfg.optimizer.lr, cfg.hardware.devices, cfg.run.notes) == (0.00123, 2, "two words")
        assert sorted((runs / "ranks/told.txt").read_text().split("\n")) == ["", "0 2 2 0.00123", "1 2 2 0.00123"]
        hashes = dict(line.split() for line in (tmp_path / "hashes.txt").read_text().splitlines())
        assert hashes["0"] == hashes["1"]

        for name in trials:
            assert json.loads((runs / name / "provenance.json").read_text())["wandb_id"] == name
            logged = [{k: v for k, v in r.items() if not k.startswith("_")} for r in server.rows(name)]
            sent = [r for r in logged if not any(isinstance(v, dict) for v in r.values())]  # without the samples
            assert sent == read_metrics(runs / name / "metrics.csv")
    assert server.sweep_of == {"early": SWEEP, "ranks": SWEEP}
    assert set(server.history) == set(trials)
