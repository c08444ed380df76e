"""Runs in a Ray cluster: one that is there already, or one on this machine that ends with the sweep."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from videxp.core.errors import BadRequest, require_installed
from videxp.core.limits import Ge, Gt
from videxp.sweeps.launching import clean_environment, resume_command
from videxp.sweeps.ray_cluster import NAMESPACE, connect, last_line, nodes, refuse_unreachable, share_out
from videxp.sweeps.ray_keeper import Keeper

ANSWER_SECONDS = 2.0
"""What an actor has for its answer before it counts as one that has not begun."""


class Ray:
    """An actor for each run, named as the run's folder, by which another process finds it again. Folders are shared.

    In a cluster that is there already runs outlive this process. Those of a local one end with it, by SIGTERM, so they
    leave a checkpoint even if this process is killed.

    address: host:port; "auto": the one that RAY_ADDRESS names or that runs on this machine; None: a local one of its
    own. jobs: at a time; "auto": as many as the GPUs allow, one for each node where there are none. gpus: of each run;
    0.5: two runs share one; "auto": one where there are any. cpus: of each run; "auto": an even share.

    Raises NotInstalled without ray, and BadRequest where the cluster is not to be reached.
    """

    poll_seconds = 0.5
    queues = True

    def __init__(
        self,
        *,
        address: str | None = None,
        jobs: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
        gpus: Annotated[float, Ge(0)] | Literal["auto"] = "auto",
        cpus: Annotated[float, Gt(0)] | Literal["auto"] = "auto",
    ) -> None:
        require_installed("ray", extra="ray")
        if address is not None:
            refuse_unreachable(address)
        self.address, self.outlived = address, address is not None
        self._asked = jobs, gpus, cpus
        self._share: tuple[int, float, float] | None = None
        self._actors: dict[str, Any] = {}
        self._waits: dict[str, Any] = {}
        """Handle -> the future answer of `Keeper.wait`."""

    @property
    def slots(self) -> int:
        return self._shared()[0]

    def share(self) -> dict[str, int]:
        _, gpus, cpus = self._shared()
        cores = max(1, int(cpus))
        return {"hardware.num_threads": cores, "hardware.num_workers": cores if gpus else cores // 2}

    def start(self, run: Path) -> str:
        """One that an earlier sweep started, and was killed before it could write that down, is not started again."""
        handle = str(run.absolute())
        if not self.ended([handle]):
            return handle
        ray, (_, gpus, cpus) = self._connected(), self._shared()
        actor = ray.remote(Keeper).options(
            name=handle, lifetime="detached", num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0
        )
        command = resume_command(Path(handle), "--ends-with", "{pid}")
        self._watch(handle, actor.remote(handle, command=command, folder=os.getcwd(), environment=clean_environment()))
        return handle

    def ended(self, handles: Sequence[str]) -> dict[str, str]:
        found = {handle: how for handle in handles if (how := self._end(handle)) is not None}
        for handle in found:  # its resources are for the next one
            self._waits.pop(handle, None)
            if (actor := self._actors.pop(handle, None)) is not None:
                self._connected().kill(actor)
        return found

    def stop(self, handles: Sequence[str], *, at_once: bool = False) -> None:
        """What still waits for resources leaves the queue."""
        ray = self._connected()
        asked = {actor.stop.remote(at_once=at_once): actor for actor in map(self._found, handles) if actor is not None}
        if asked:
            _, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
            for answer in silent:
                ray.kill(asked[answer])

    def place(self, handle: str) -> str:
        return "local Ray" if self.address is None else f"Ray {self.address}"

    def close(self) -> None:
        """Ends a local Ray; in another one all goes on."""
        if self._share is not None:
            self._connected().shutdown()
            self._share = None

    def _end(self, handle: str) -> str | None:
        ray = self._connected()
        if self._found(handle) is None:
            return "was ended with its Ray cluster"
        answered, _ = ray.wait([self._waits[handle]], timeout=0)
        if not answered:
            return None
        try:
            return str(ray.get(answered[0]))
        except ray.exceptions.ActorUnavailableError:  # the network, for a while
            del self._waits[handle]
            return None
        except ray.exceptions.ActorDiedError:
            return "was ended with its Ray actor; node lost, or out of memory?"
        except ray.exceptions.RayError as error:
            return f"was not started ({last_line(error)})"

    def _found(self, handle: str) -> Any:
        """The actor of that name, watched from now on; None: there is none any more."""
        ray = self._connected()
        if handle not in self._actors:
            try:
                self._watch(handle, ray.get_actor(handle, namespace=NAMESPACE))
            except ValueError:
                return None
            ray.wait([self._waits[handle]], timeout=ANSWER_SECONDS)  # its run may have ended meanwhile
        if handle not in self._waits:
            self._watch(handle, self._actors[handle])
        return self._actors[handle]

    def _watch(self, handle: str, actor: Any) -> None:
        self._actors[handle], self._waits[handle] = actor, actor.wait.remote()

    def _connected(self) -> Any:
        """The library, connected."""
        self._shared()
        import ray

        return ray

    def _shared(self) -> tuple[int, float, float]:
        """(runs at a time, GPUs of each, cores of each)."""
        if self._share is None:
            connect(self.address)
            try:
                self._share = share_out(nodes(), *self._asked)
            except BadRequest:
                import ray

                ray.shutdown()
                raise
        return self._share
