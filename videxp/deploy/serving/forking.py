"""Workers, forked from a process that has loaded what they serve: one that ends is replaced in milliseconds.

The process that forks has one thread and has never used a GPU, so that forking it is safe; weights and libraries are
shared until they are written to. It ends with the server, and the workers with it.
"""

import json
import signal
import socket
from collections.abc import Sequence
from multiprocessing import active_children, get_context
from pathlib import Path

from videxp.core.errors import VidexpError
from videxp.core.lines import warn
from videxp.core.parent import die_with_parent
from videxp.deploy.serving.served import Served

CONTEXT = get_context("fork")
READY = b"ready\n"


class Forker:
    """Forks workers when it is asked to; to be made before the process has a second thread.

    threads: of each worker. closing: what only the server listens on.
    """

    def __init__(self, served: Served, *, threads: int, closing: Sequence[socket.socket]) -> None:
        self.control, theirs = socket.socketpair()
        arguments = (served, threads, theirs, [self.control, *closing])
        self.process = CONTEXT.Process(target=_fork_on_request, args=arguments)
        self.process.start()
        theirs.close()

    def fork(self) -> tuple[int, socket.socket]:
        """A new worker's number and the socket to it. It says READY, takes a line with a list of folders, and says a
        line with a list of outcomes; it ends when the socket is closed."""
        try:
            self.control.send(b"+")
            said, descriptors, _, _ = socket.recv_fds(self.control, 32, 1)
        except OSError:
            said, descriptors = b"", []
        if not descriptors:
            raise VidexpError("the process that starts workers has ended: start videxp serve again")
        return int(said), socket.socket(fileno=descriptors[0])

    def end(self) -> None:
        """Ends all workers."""
        self.control.close()
        self.process.join()


def _fork_on_request(served: Served, threads: int, control: socket.socket, closing: Sequence[socket.socket]) -> None:
    _begin(closing)
    while control.recv(1):
        active_children()  # forgets those that have ended
        ours, theirs = socket.socketpair()
        worker = CONTEXT.Process(target=_work, args=(served, threads, ours, [control, theirs]), daemon=True)
        worker.start()
        socket.send_fds(control, [str(worker.pid).encode()], [theirs.fileno()])
        ours.close()
        theirs.close()


def _work(served: Served, threads: int, connection: socket.socket, closing: Sequence[socket.socket]) -> None:
    import torch

    _begin(closing)
    torch.set_num_threads(threads)
    try:
        task = served.load(served.device, threads)
    except VidexpError as error:
        warn(str(error))
        return
    with connection, connection.makefile("rwb") as stream:
        stream.write(READY)
        stream.flush()
        for line in stream:
            outcomes = served.answer(task, [Path(folder) for folder in json.loads(line)])
            stream.write(json.dumps(outcomes).encode() + b"\n")
            stream.flush()


def _begin(closing: Sequence[socket.socket]) -> None:
    """Ctrl-C is answered by the server alone."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for each in closing:
        each.close()
