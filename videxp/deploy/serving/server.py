"""The server's process: from a loaded task to an address, until Ctrl-C or SIGTERM."""

import errno
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.lines import show
from videxp.deploy.serving.app import build_app
from videxp.deploy.serving.forking import Forker
from videxp.deploy.serving.meters import Meters
from videxp.deploy.serving.pool import Pool
from videxp.deploy.serving.served import Served

BACKLOG = 512
PORT_TROUBLES = (errno.EADDRINUSE, errno.EACCES)
GRACE_SECONDS = 10
"""For requests that are under way when the service is ended."""


@dataclass(frozen=True)
class Service:
    """How it is run. batch, queue: as `Pool` has them. token: "" for none. threads: of all workers together."""

    workers: int
    batch: int
    queue: int
    token: str
    threads: int


def listen(host: str, port: int) -> socket.socket:
    """Raises BadRequest where the address cannot be had. port 0: a free one."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        remedy = "--port 0 takes a free one" if error.errno in PORT_TROUBLES else "give an address of this machine"
        raise BadRequest(f"--host {host} --port {port}: {error.strerror or error}: {remedy}") from None


def serve(served: Served, listening: socket.socket, service: Service) -> None:
    """Returns when it was ended; until then this process must not use a GPU, nor have begun torch's threads, which
    would not be there after a fork. Raises VidexpError."""
    threads = max(1, service.threads // service.workers)
    forker = Forker(served, threads=threads, closing=[listening])
    meters, failures = Meters(), list[BaseException]()
    counts = {"workers": service.workers, "batch": service.batch if served.answers_together else 1}
    pool = Pool(forker, **counts, queue=service.queue, limits=served.limits, meters=meters)
    with tempfile.TemporaryDirectory(prefix="videxp-serve-") as spool:

        def ended(error: BaseException) -> None:
            failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

        app = build_app(served, pool, spool=Path(spool), token=service.token, ended=ended)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        show(f"{served.title}: {_address(listening)} ({_counted(service.workers, 'worker')}); Ctrl-C ends it")
        try:
            Server(config).run(sockets=[listening])
        finally:
            forker.end()
    for error in failures:
        raise error if isinstance(error, VidexpError) else VidexpError(f"{type(error).__name__}: {error}")
    show("ended")


class Server(uvicorn.Server):
    """uvicorn's, which ends as it is asked to instead of by the signal once more."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
