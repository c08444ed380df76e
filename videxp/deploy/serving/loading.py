"""What is served: a run, or a file that `videxp export` wrote.

A run's weights are loaded before workers are forked, and shared. A file's runtime has threads, which a fork would lose,
so each worker opens the file itself, and what the file says of itself is read by a process of its own.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.deploy.exporting.network import task_of
from videxp.deploy.exporting.opening import open_exported
from videxp.deploy.exporting.package import Package
from videxp.deploy.restore_files import usable_device
from videxp.deploy.serving.forking import CONTEXT
from videxp.runs.folder import RunFolder
from videxp.tasks.building import load_task

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class ServedModel:
    """A model to be served, of which nothing that has threads is loaded yet."""

    name: str
    cfg: "DictConfig"
    make_loader: Callable[[Any], Callable[[str, int], Any]]
    """Of the data module."""


def model_of_run(run: RunFolder) -> ServedModel:
    cfg = config.load_resolved(run.config)

    def make_loader(_: Any) -> Callable[[str, int], Any]:
        task = load_task(cfg, run.checkpoint())
        return lambda device, threads: task.to(usable_device(device))

    return ServedModel(run.path.name, cfg, make_loader)


def model_of_file(path: Path) -> ServedModel:
    """Raises BadRequest as `open_exported` does."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        package = pool.submit(_read_package, path).result()
    cfg = config.parse_resolved(package.config, path=path)
    return ServedModel(path.name, cfg, lambda datamodule: partial(_open_file, path, cfg, datamodule))


def _read_package(path: Path) -> Package:
    return open_exported(path, threads=1).package


def _open_file(path: Path, cfg: "DictConfig", datamodule: Any, device: str, threads: int) -> Any:
    """On the CPU: what runs exported files is not asked for a device."""
    return task_of(open_exported(path, threads=threads), cfg, datamodule.eval_transform)
