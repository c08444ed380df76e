"""SIGTERM, SIGUSR1 and Ctrl-C: the first asks a run to stop where it can go on exactly, a second one ends it at once.

SIGUSR1 is what Slurm sends before a pre-emption (`--signal=USR1@60`). A terminal, `timeout` and Slurm send to every
process of the group, some twice; what arrives within half a second counts as one request.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from videxp.core.lines import warn
from videxp.core.parent import die_with_parent

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
ONE_REQUEST_SECONDS = 0.5


class Interrupted(BaseException):
    """A signal asked for the end. Not an Exception: nothing that answers errors may take it for one."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)

    @property
    def exit_status(self) -> int:
        """What shells and schedulers expect: 130 after Ctrl-C, else 143."""
        return 130 if self.args[0] == "SIGINT" else 143


class Signals:
    """Answer to SIGINT and SIGTERM within `with Signals(...) as signals:`, in the main thread.

    A signal raises `Interrupted` there, except within `with signals.held():`, where `received` is set and the loop is
    to look at it.

    at_once: called on the second request, from another thread, before the process ends. It is asked even while the
        main thread is held up in a system call or in native code.
    """

    def __init__(self, *, at_once: Callable[[], None], say: bool = True) -> None:
        self.received: int | None = None
        self.since = 0.0
        self.say = say
        self._at_once = at_once
        self._held = False
        self._raised = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread may; a program that calls us from another one answers signals itself
        _shelter_forked_children()
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._before = {number: signal.signal(number, self._handle) for number in STOPPING}
        self._wakeup = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        if (
            self._before and self.received is None
        ):  # otherwise the process is about to end; a late twin must not kill it
            signal.set_wakeup_fd(self._wakeup)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._write.close()  # ends the thread

    @contextmanager
    def held(self) -> Iterator[None]:
        """Signals are only noted; one that nobody answered inside raises on the way out."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.received is not None:
            self._raised = True
            raise Interrupted(self.received)

    def _handle(self, signum: int, frame: Any) -> None:
        if not self._held and not self._raised:
            self._raised = True  # once: what is closed on the way out is not to be cut short
            raise Interrupted(signum)

    def _listen(self) -> None:
        """The wake-up socket gets each signal's number at once, whatever the main thread does."""
        while numbers := self._read.recv(64):
            for number in numbers:
                if number in STOPPING:
                    self._arrived(number)
        self._read.close()

    def _arrived(self, signum: int) -> None:
        if self.received is None:
            self.since, self.received = time.monotonic(), signum
            if self.say:
                name = signal.Signals(signum).name
                warn(f"{name}: stopping at the next step; once more ends at once")
        elif time.monotonic() - self.since > ONE_REQUEST_SECONDS:
            try:
                self._at_once()
            finally:
                os._exit(Interrupted(self.received).exit_status)


@cache
def _shelter_forked_children() -> None:
    """What this process forks (data workers) is ended by it alone, and together with it.

    A data worker that dies of a signal sent to the whole group would be taken for a failure before the run has had time
    to stop.
    """
    os.register_at_fork(after_in_child=_be_sheltered)


def _be_sheltered() -> None:
    signal.set_wakeup_fd(-1)  # the socket is the parent's
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    die_with_parent()


def end_with(parent: int) -> None:
    """From now on a SIGTERM arrives when the parent ends; at once where it has ended already."""
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(Interrupted(signal.SIGTERM).exit_status)
