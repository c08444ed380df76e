"""A run's status.json tells what its training took, by the counters that there are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor

from tests.core.test_energy import zone
from tests.training.small_tasks import Mean, trainer
from videxp.runs.folder import RunFolder
from videxp.training.callbacks.energy import RecordEnergy
from videxp.training.terminal import energy

BATCH = {"video": torch.rand(2, 3, 3, 4, 4), "label": torch.zeros(2), "index": torch.arange(2), "epoch": torch.zeros(2)}


class Burn(Callback):
    """Half a joule in each of three batches; the last attempt ends with an error."""

    def __init__(self, counter: Path, *, fails: bool = False) -> None:
        self.counter, self.fails = counter, fails

    def on_train_batch_end(self, *_: Any) -> None:
        (self.counter / "new").write_text(str(int((self.counter / "energy_uj").read_text()) + 500_000))
        (self.counter / "new").replace(self.counter / "energy_uj")
        if self.fails:
            raise RuntimeError("no more")


class Batches:
    """Three, as a loader gives them."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return iter([BATCH] * 3)


def fit(run: RunFolder, folder: Path, powercap: Path, *others: Callback) -> dict[str, Any]:
    run.set_state("running")
    recorder = RecordEnergy(run, powercap=powercap)
    trainer(folder, recorder, *others).fit(Mean(), Batches())
    run.set_state("finished")
    return json.loads(run.state.read_text())["energy"]


@pytest.mark.filterwarnings("ignore:.*val_dataloader.*")
@pytest.mark.usefixtures("quiet_lightning")
def test_the_joules_of_all_attempts_are_summed_those_that_failed_too(tmp_path: Path) -> None:
    package = zone(tmp_path / "powercap", "intel-rapl:0", "package-0", microjoules=7_000_000)
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    with pytest.raises(RuntimeError, match="no more"):
        fit(run, tmp_path, tmp_path / "powercap", Burn(package, fails=True))
    assert run.status()["energy"] == {"joules": {"package-0 (RAPL)": 0.5}, "attempts": 1}
    found = fit(run, tmp_path, tmp_path / "powercap", Burn(package))
    assert found == {"joules": {"package-0 (RAPL)": 2.0}, "attempts": 2}
    assert energy(run) == [("took", "5.556e-07 kWh (2 attempts, package-0 (RAPL))")]


@pytest.mark.filterwarnings("ignore:.*val_dataloader.*")
@pytest.mark.usefixtures("quiet_lightning")
def test_without_a_counter_the_run_says_that_nothing_was_measured(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    found = fit(run, tmp_path, tmp_path / "none")
    assert found == {"not_measured": [f"CPU: no RAPL counter in {tmp_path / 'none'}"]}
    assert energy(run) == []
