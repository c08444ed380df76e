"""A task's contract is read from its source, as Python would make it, or refused."""

from importlib import import_module

import pytest
import yaml

from videxp.config import compose
from videxp.config.checking.check import check_config
from videxp.config.places import own_folder
from videxp.core.contract import Contract, contract_of, contract_trouble

TARGETS = sorted({yaml.safe_load(path.read_text())["_target_"] for path in own_folder("conf/task").glob("*.yaml")})
OWN = """
from dataclasses import replace
from videxp.tasks import Contract, Restoration

class Inherits(Restoration):
    pass

class Replaces(Restoration):
    contract = Contract(metrics={"psnr": "max"})

class Computes(Restoration):
    contract = replace(Restoration.contract, headline=("ssim",))

class Calls(Restoration):
    contract = Contract(metrics=dict(psnr="max"))

class Misspells(Restoration):
    contract = Contract(metric={"psnr": "max"})

class Errs(Restoration):
    contract = Contract(metrics={"psnr": "higher"})

class Forgets(Restoration):
    contract = Contract(needs=("label"))

class Wanders(Restoration):
    contract = Contract(predictor="no.such.module")

class Dangles(Restoration):
    contract = Contract(predictor="contracted_tasks")

class Streams(Restoration):
    contract = Contract(streamer="contracted_tasks")

class Needs(Restoration):
    contract = Contract(needs=("lable",))

class Boasts(Restoration):
    contract = Contract(headline=("psnr",))
"""


@pytest.fixture(scope="module", autouse=True)
def own_tasks(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "contracted_tasks.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_read_is_what_the_class_has(target: str):
    module, _, name = target.rpartition(".")
    contract = contract_of(target)
    assert contract is not None and contract == getattr(import_module(module), name).contract
    assert not contract_trouble(target)


def test_a_contract_is_inherited_whole_or_replaced_whole():
    restoration = contract_of("videxp.tasks.Restoration")
    assert restoration is not None and restoration.needs == ("target",)
    assert contract_of("contracted_tasks.Inherits") == restoration
    assert contract_of("contracted_tasks.Replaces") == Contract(metrics={"psnr": "max"})
    assert contract_of("torch.nn.Linear") is None and not contract_trouble("torch.nn.Linear")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("Computes", "contract is read, not run: write contract = Contract(...), with literals"),
        ("Calls", "contract is read, not run: write a literal for metrics"),
        ("Misspells", "contract has no field metric, only network_parameter, needs, "),
        ("Errs", "contract: metrics: psnr is better when 'higher'; write 'max' or 'min'"),
        ("Boasts", "contract: headline: psnr is none of metrics"),
        ("Forgets", "contract: needs: write a tuple, ('label',)"),
        ("Wanders", "contract: predictor: there is no module no.such.module"),
        ("Dangles", "contract: predictor: contracted_tasks has no function add_arguments"),
        ("Streams", "contract: streamer: contracted_tasks has no function add_arguments"),
    ],
)
def test_what_cannot_be_read_is_said_by_the_check(name: str, trouble: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VIDEXP_ALLOW", "contracted_tasks")
    target = f"contracted_tasks.{name}"
    assert contract_trouble(target).startswith(trouble)
    assert contract_of(target) is None or "predictor" in trouble or "streamer" in trouble
    cfg = compose("classification/moving_digits", []).cfg
    cfg.task._target_ = target
    said = [problem.message for problem in check_config(cfg) if problem.key == "task._target_"]
    assert len(said) == 1 and said[0].startswith(trouble)


def test_a_field_that_no_layout_has_is_said_by_the_check(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VIDEXP_ALLOW", "contracted_tasks")
    cfg = compose("classification/moving_digits", []).cfg
    cfg.task = {"_target_": "contracted_tasks.Needs", "losses": {}, "monitor": "val/psnr"}
    said = [str(problem) for problem in check_config(cfg) if problem.key == "task"]
    assert said == [
        "task=Needs: needs the field lable of a sample, which this layout has not; did you mean label or labels?"
    ]
