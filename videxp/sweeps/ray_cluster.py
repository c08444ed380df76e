"""A Ray cluster, as a sweep finds it: how it is reached, and how much of it a run gets."""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from videxp.config.checking.machine import count_cores
from videxp.core.errors import BadRequest

NAMESPACE = "videxp"
OBJECT_STORE_BYTES = 80_000_000
"""Next to nothing goes through it; Ray would take a third of the memory."""
CONNECT_SECONDS = 5.0
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}
LOCAL = {"RAY_kill_child_processes_on_worker_exit": "0"}
"""Otherwise a worker that ends takes its run along by SIGKILL, and there is no checkpoint."""


def nodes() -> list[tuple[float, float]]:
    """(cores, GPUs) of each."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [(resources.get("CPU", 0.0), resources.get("GPU", 0.0)) for resources in alive]


def refuse_unreachable(address: str) -> None:
    """Ray itself would try for minutes, and say so again and again."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdigit() or "/" in host:
        raise BadRequest(f"launcher.address={address}: is neither host:port nor auto nor null")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise BadRequest(f"launcher.address={address}: no Ray there ({error.strerror or error})") from error


def connect(address: str | None) -> None:
    """Raises BadRequest."""
    with _surroundings(address):
        import ray

        logging.getLogger("ray").setLevel(logging.CRITICAL)
        local: dict[str, Any] = {
            "num_cpus": count_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
        try:
            ray.init(
                address=address or "local",
                namespace=NAMESPACE,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.CRITICAL,
                **({} if address else local),
            )
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise BadRequest(f"launcher.address={address or 'null'}: Ray refuses: {last_line(error)}") from error


@contextmanager
def _surroundings(address: str | None) -> Iterator[None]:
    """Ray reads the environment, and takes SIGTERM for itself."""
    given, token_file = dict(os.environ), os.path.expanduser("~/.ray/auth_token")
    mine = dict(QUIET)
    if address is None:
        # The token keeps others on this machine out, and is written nowhere.
        token = {} if "RAY_AUTH_MODE" in given else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        mine |= {**LOCAL, **token}
    elif "RAY_AUTH_MODE" not in given and ("RAY_AUTH_TOKEN" in given or os.path.exists(token_file)):
        mine["RAY_AUTH_MODE"] = "token"
    before = signal.getsignal(signal.SIGTERM)
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)
        os.environ.update({name: given[name] for name in mine if name in given})
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def last_line(error: BaseException) -> str:
    """Of the error that began it all."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


# ---- what a run gets of it ------------------------------------------------------------------------------------------


def share_out(
    nodes: Sequence[tuple[float, float]],
    jobs: int | Literal["auto"],
    gpus: float | Literal["auto"],
    cpus: float | Literal["auto"],
) -> tuple[int, float, float]:
    """(runs at a time, GPUs of each, cores of each), for nodes of (cores, GPUs).

    Raises BadRequest where no node has what a run needs; a cluster that grows is taken at its word (jobs is a number).
    """
    each_gpus = float(any(has for _, has in nodes)) if gpus == "auto" else gpus
    by_gpus = [_fit(has, each_gpus) if each_gpus else 1 for _, has in nodes]
    each_cpus = _even(nodes, by_gpus, jobs) if cpus == "auto" else cpus
    if jobs != "auto":
        return jobs, each_gpus, each_cpus
    by_cpus = [_fit(cores, each_cpus) for cores, _ in nodes]
    room = sum(map(min, by_cpus, by_gpus)) if each_gpus else sum(by_cpus)
    if room < 1:
        raise BadRequest(
            f"launcher=ray: no node of the cluster has {each_cpus:g} cores and {each_gpus:g} GPUs; launcher.cpus and "
            "launcher.gpus are what a run needs (launcher.jobs=N waits until the cluster grows)"
        )
    return room, each_gpus, each_cpus


def _even(nodes: Sequence[tuple[float, float]], by_gpus: Sequence[int], jobs: int | Literal["auto"]) -> int:
    """Whole cores for each run, no more than any of the nodes that it may come to has."""
    able = [(cores, runs) for (cores, _), runs in zip(nodes, by_gpus) if runs and cores >= 1]
    if not able:
        return 1
    if jobs == "auto":
        return max(1, int(min(cores / runs for cores, runs in able)))
    return max(1, int(min(sum(cores for cores, _ in able) / jobs, *(cores for cores, _ in able))))


def _fit(has: float, needs: float) -> int:
    return int(has / needs + 1e-6)
