"""A W&B server on loopback that has one sweep: what `wandb sweep` and `wandb agent` ask of it."""

import json
from collections.abc import Callable
from typing import Any

from tests.training.wandb_server import Server

SWEEP = "sweep1"


class SweepServer(Server):
    """Hands out `trials` one after another, in their order, and ends the agent after the last one."""

    def __init__(self, trials: dict[str, dict[str, Any]], *, stop: dict[str, Callable[[], bool]]) -> None:
        """trials: W&B run id -> values. stop: a run that is ended early, as soon as that is true."""
        super().__init__()
        self.waiting = dict(trials)
        self.stop = stop
        self.config = ""
        """The sweep's YAML, as the client sent it."""
        self.sweep_of: dict[str, str | None] = {}
        self.project_of: dict[str, str | None] = {}
        self.stopped: list[str] = []

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket" in query:
            run_id = variables["name"]
            self.sweep_of[run_id] = variables.get("sweep") or self.sweep_of.get(run_id)
            self.project_of[run_id] = variables.get("project")
        if "upsertSweep" in query:
            self.config = variables["config"]
            project = {"id": "p", "name": "videxp", "entity": {"id": "e", "name": "me"}}
            return {"upsertSweep": {"sweep": {"name": SWEEP, "project": project}, "configValidationWarnings": []}}
        if "SweepWithRuns" in query:
            sweep = {"id": "s", "name": SWEEP, "state": "RUNNING", "config": self.config, "runs": {"edges": []}}
            return {"project": {"sweep": sweep}}
        if "createAgent" in query:
            return {"createAgent": {"agent": {"id": "a"}}}
        if "agentHeartbeat" in query:
            commands = self._commands(list(json.loads(variables["runState"])))
            return {"agentHeartbeat": {"agent": {"id": "a"}, "commands": json.dumps(commands)}}
        return super().graphql(query, variables)

    def _commands(self, running: list[str]) -> list[dict[str, Any]]:
        if running:
            self.stopped += [run_id for run_id in running if run_id in self.stop and self.stop[run_id]()]
            return [{"type": "stop", "run_id": run_id} for run_id in running if run_id in self.stopped]
        if not self.waiting:
            return [{"type": "exit"}]
        run_id = next(iter(self.waiting))
        values = {key: {"value": value} for key, value in self.waiting.pop(run_id).items()}
        return [{"type": "run", "run_id": run_id, "program": "videxp", "args": values}]
