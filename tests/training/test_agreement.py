"""Two ranks with two configs: the stock way averages their gradients and says nothing."""

import time
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from tests import forked
from tests.conftest import clean_environment
from tests.shrink import tiny
from tests.video.live.senders import free_port

pytestmark = pytest.mark.slow


FROM_OUTSIDE = "'${oc.decode:${oc.env:MY_LR}}'"


def ranks(
    cwd: Path, *, port: int, rates: list[str], timeout: float, variables: tuple[str, str] = ("", "")
) -> tuple[list[int], str]:
    """Started as a scheduler does, each with its own words and MY_LR: (exit statuses, what both printed on stderr)."""
    started = []
    for rank, rate in enumerate(rates):
        world = {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), "TORCHELASTIC_RUN_ID": "test"}
        environment = {**clean_environment(cwd), **world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        environment["MY_LR"] = variables[rank]
        words = tiny("logger=csv", "hardware=ddp_cpu", "hydra.run.dir=run", f"optimizer.lr={rate}")
        printed = cwd / f"stdout{rank}", cwd / f"stderr{rank}"
        arguments = ("train", "classification/moving_digits", *words)
        started.append(forked.start(*arguments, cwd=cwd, environment=environment, printed=printed))
    end = time.monotonic() + timeout
    for process in started:
        process.join(max(0.1, end - time.monotonic()))
    statuses = [process.exitcode for process in started]
    for process in started:
        process.kill()
    return statuses, (cwd / "stderr0").read_text() + (cwd / "stderr1").read_text()


def test_ranks_with_different_values_are_refused(tmp_path: Path):
    statuses, said = ranks(tmp_path, port=free_port(), rates=["0.1", "0.4"], timeout=240)
    assert statuses == [2, 2], said
    assert "rank 1 has another config: optimizer.lr is 0.4 there and 0.1 on rank 0" in said
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_ranks_whose_environments_differ_are_refused_and_no_value_is_shown(tmp_path: Path):
    statuses, said = ranks(
        tmp_path, port=free_port(), rates=[FROM_OUTSIDE, FROM_OUTSIDE], variables=("0.125", "0.375"), timeout=240
    )
    assert statuses == [2, 2], said
    assert "rank 1 has another config: optimizer.lr is MY_LR #" in said
    assert "0.125" not in said and "0.375" not in said


def _stock_rank(rank: int, port: int) -> None:
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    network = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=[0.1, 0.4][rank])
    network(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    distributed.destroy_process_group()


def test_stock_ranks_with_different_values_train_on():
    multiprocessing.start_processes(_stock_rank, args=(free_port(),), nprocs=2, start_method="forkserver")
