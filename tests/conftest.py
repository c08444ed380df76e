"""What several tests use: videxp in its own process, in a folder of its own, with no key and no cache of the user's."""

import gc
import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Two tests run at a time on two cores, on tiny networks: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests import forked
from tests.forked import PICTURES, clean_environment
from tests.shrink import tiny
from videxp.core.deferred import defer_torchmetrics

# Collecting the tests is importing libraries: as commands do it, which takes each process half the time.
defer_torchmetrics()
gc.disable()

Run = subprocess.CompletedProcess[str]


def videxp(*arguments: str, cwd: Path, timeout: float = 300, **environment: str) -> Run:
    """`videxp ARGUMENTS` as a user runs it, but for the time that imports and (without PICTURES) samples take."""
    return forked.videxp(*arguments, cwd=cwd, environment={**clean_environment(cwd), **environment}, timeout=timeout)


def videxp_anew(*arguments: str, cwd: Path, timeout: float = 300, **environment: str) -> Run:
    """`videxp ARGUMENTS` in an interpreter of its own: for what Python and its libraries read at their start."""
    return subprocess.run(
        [sys.executable, "-m", "videxp.cli", *arguments],
        cwd=cwd,
        env={**clean_environment(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def train(
    *overrides: str, cwd: Path, run: str = "run", recipe: str = "classification/moving_digits", **environment: str
) -> Path:
    """Train a shrunk recipe for real; returns the run folder."""
    words = tiny(f"hydra.run.dir={run}", *overrides, recipe=recipe, cwd=cwd)
    done = videxp("train", recipe, *words, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd / run


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of xdist's controller, for each worker."""
    node.workerinput["fork_server"] = forked.begin_server()


def pytest_configure(config: pytest.Config) -> None:
    if address := getattr(config, "workerinput", {}).get("fork_server"):
        forked.join_server(address)


def pytest_collection_finish() -> None:
    """What the libraries and the tests are made of is there to stay: it is looked through for garbage no more."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sweeps and the README first: they take long, and at the end one process would wait for them."""
    items.sort(key=lambda item: "sweeps" not in item.path.parts and item.path.stem != "test_readme")


@pytest.fixture(autouse=True)
def forget_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test wrote and imported is not there for the next test, which may write another of that name."""
    before = set(sys.modules)
    yield
    base = str(tmp_path_factory.getbasetemp())
    new = sys.modules.keys() - before
    if written := [name for name in new if str(getattr(sys.modules[name], "__file__", None)).startswith(base)]:
        for name in written:
            del sys.modules[name]
        importlib.invalidate_caches()


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a researcher's, shared by the tests that only need some run or the tiny data set."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(scope="session")
def finished(workplace: Path) -> tuple[Path, Run]:
    """One finished tiny run: its folder and what was printed."""
    words = tiny("hydra.run.dir=runs/finished")
    done = videxp("train", "classification/moving_digits", *words, cwd=workplace, **{PICTURES: "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    return workplace / "runs/finished", done


@pytest.fixture(scope="session")
def restored(workplace: Path) -> Path:
    """One finished tiny restoration run, in the same folder."""
    recipe = "super_resolution/sample_clips"
    return train("logger=csv", cwd=workplace, run="runs/restored", recipe=recipe, **{PICTURES: "1"})


@pytest.fixture(scope="session")
def alex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of AlexNet as torchvision names them, of no use."""
    import torch

    from tests.image_networks import random_features

    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save({f"features.{key}": value for key, value in random_features("alexnet").state_dict().items()}, path)
    return path


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few files to copy from: encoding one takes longer than copying a hundred."""
    from tests.films import moving_bar
    from videxp.video import write_video

    folder = tmp_path_factory.mktemp("films")
    for suffix in ("mp4", "avi", "webm"):
        codec = {"mp4": "libx264", "avi": "mpeg4", "webm": "libvpx"}[suffix]
        write_video(folder / f"bar.{suffix}", moving_bar(), fps=10, codec=codec)
    write_video(folder / "wide.mp4", moving_bar(width=64), fps=10)
    write_video(folder / "ntsc.mp4", moving_bar(num_frames=60), fps=30000 / 1001)
    (folder / "broken.mp4").write_bytes((folder / "bar.mp4").read_bytes()[:300])
    return {file.name: file for file in folder.iterdir()}


@pytest.fixture
def put(tmp_path: Path, films: dict[str, Path]) -> Callable[..., Path]:
    """put("train/walk/a.mp4", of="wide.mp4"): a real video at that place under `tmp_path/root`, in bytes of its own."""
    from tests.films import copy_apart

    def put(path: str, *, of: str | None = None) -> Path:
        file = tmp_path / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return copy_apart(films[of or f"bar{file.suffix}"], file, mark=path)

    return put


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME is not set, and the system does not know the user, as in a container that was given a user's number."""
    import pwd

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.fixture
def quiet_lightning() -> Iterator[None]:
    """Its advice on loaders and loggers, which are the test's own."""
    with warnings.catch_warnings():
        for text in ("many workers", "smaller than the logging", "exists and is not empty", "litlogger", "LeafSpec"):
            warnings.filterwarnings("ignore", message=f".*{text}.*")
        yield


@pytest.fixture
def listing() -> Callable[[Path], set[str]]:
    """All paths beneath a folder, to show that a refused command wrote nothing."""
    return lambda folder: {str(path.relative_to(folder)) for path in folder.rglob("*")}
