"""A W&B server on loopback that keeps what its client sends: enough for online runs, resumed runs and `wandb sync`."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Server:
    """`history[run id]`: rows by their offset, as the server of a real project stores them."""

    def __init__(self) -> None:
        self.history: dict[str, dict[int, dict[str, Any]]] = {}
        self.groups: dict[str, str | None] = {}
        self.summaries: dict[str, dict[str, Any]] = {}
        self.queries: list[str] = []
        self.lost_after: int | None = None  # rows beyond this are answered, and not kept: a kill on their way
        self.url = ""
        self.fault_when_streaming = ""  # the fault that begins when the first rows come
        self.fault = ""  # from then on: "hang" accepts and never answers, "500" answers that, "drop" closes connections

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        return [row for _, row in sorted(self.history.get(run_id, {}).items())]

    # ---- what the client asks --------------------------------------------------------------------------------------

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        self.queries.append(query)
        if "upsertBucket" in query:
            name = variables.get("name") or "run"
            inserted = name not in self.history
            self.history.setdefault(name, {})
            self.groups[name] = variables.get("groupName") or self.groups.get(name)
            return {"upsertBucket": {"bucket": self._bucket(name), "inserted": inserted}}
        if "model(" in query or "RunResumeStatus" in query:
            name = variables.get("name") or variables.get("run")
            return {
                "model": {"id": "p", "name": "videxp", "entity": {"id": "e", "name": "me"}, "bucket": self._state(name)}
            }
        if "serverInfo" in query:
            return {"serverInfo": {"features": [], "cliVersionInfo": {"max_cli_version": "9.9.9"}}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in variables.get("files", [])]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            return {"viewer": {"id": "v", "username": "me", "entity": "me", "flags": "{}", "teams": {"edges": []}}}
        return {}

    def _bucket(self, name: str) -> dict[str, Any]:
        project = {"id": "p", "name": "videxp", "entity": {"id": "e", "name": "me"}}
        return {
            "id": "r",
            "name": name,
            "displayName": name,
            "sweepName": None,
            "project": project,
            **self._lines(name),
        }

    def _state(self, name: str) -> dict[str, Any] | None:
        if name not in self.history:
            return None
        rows = self.rows(name)
        tail = json.dumps([json.dumps(row) for row in rows[-1:]])
        return {
            **self._bucket(name),
            "summaryMetrics": json.dumps(rows[-1] if rows else {}),
            "historyTail": tail,
            "eventsTail": "[]",
            "config": "{}",
            "tags": [],
            "wandbConfig": json.dumps({"t": 1}),
        }

    def _lines(self, name: str) -> dict[str, int]:
        return {"historyLineCount": len(self.history[name]), "eventsLineCount": 0, "logLineCount": 0}

    def file_stream(self, run_id: str, files: dict[str, Any]) -> None:
        sent = files.get("wandb-history.jsonl")
        for i, line in enumerate(sent["content"] if sent else []):
            if self.lost_after is None or sent["offset"] + i < self.lost_after:
                self.history.setdefault(run_id, {})[sent["offset"] + i] = json.loads(line)
        if summary := files.get("wandb-summary.json"):
            self.summaries[run_id] = json.loads(summary["content"][-1])


@contextmanager
def serving(server: Server | None = None) -> Iterator[Server]:
    server = server or Server()
    released = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            stream = re.match(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
            if stream and server.fault_when_streaming:
                server.fault = server.fault_when_streaming
            if server.fault:  # what comes now is not kept
                return self._answer({})
            if stream:
                server.file_stream(stream[1], json.loads(content).get("files") or {})
                self._answer({"exitcode": None, "limits": {}})
            elif self.path != "/graphql":
                self._answer({})
            else:
                body = json.loads(content)
                self._answer({"data": server.graphql(body.get("query", ""), body.get("variables") or {})})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer({})

        do_GET = do_PUT

        def _answer(self, value: dict[str, Any]) -> None:
            if server.fault == "hang":
                released.wait(60)
            if server.fault in ("hang", "drop"):
                self.close_connection = True
                return
            content = json.dumps(value).encode()
            self.send_response(500 if server.fault == "500" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        released.set()
        http.shutdown()
        http.server_close()
        thread.join()
