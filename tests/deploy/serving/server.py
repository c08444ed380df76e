"""A server of a test, and what it is sent."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from benchmarks.serve import descendants
from tests import forked

SECONDS = 60.0


@dataclass
class Server:
    """`videxp serve` in a process of its own. spool: where uploads are kept."""

    process: Any
    address: str
    spool: Path
    printed: Path
    token: str = ""

    def send(self, video: Path | bytes, *, name: str | None = None, **headers: str) -> requests.Response:
        content = video.read_bytes() if isinstance(video, Path) else video
        filename = name or (video.name if isinstance(video, Path) else "clip.mp4")
        return requests.post(
            f"{self.address}/predict",
            files={"video": (filename, content)},
            headers={**self.headers, **headers},
            timeout=SECONDS,
        )

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.address}{path}", headers={**self.headers, **headers}, timeout=SECONDS)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").text.splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)

    @property
    def workers(self) -> list[int]:
        """Those that were started by the process that the server has started for it."""
        return [process for process in descendants(self.process.pid)[1:] if is_running(process)]

    def signal_workers(self, signum: int) -> None:
        for worker in self.workers:
            os.kill(worker, signum)

    @contextmanager
    def held(self, *videos: Path) -> Iterator[list["Future[requests.Response]"]]:
        """Requests that have come in while the workers stand still."""
        self.signal_workers(signal.SIGSTOP)
        with ThreadPoolExecutor(len(videos)) as threads:
            answers = [threads.submit(self.send, video) for video in videos]
            wait_until(lambda: self.metric("videxp_requests_in_flight") == len(videos))
            yield answers

    @property
    def left(self) -> list[Path]:
        """Files of requests that are still there."""
        return [path for path in self.spool.rglob("*") if path.is_file()]


def is_running(process: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: Any) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "still not so"
        time.sleep(0.02)


@contextmanager
def serving(run: Path, *words: str, folder: Path, token: str = "", cwd: Path | None = None) -> Iterator[Server]:
    """Ends it by SIGTERM, if the test has not."""
    spool, printed = folder / "spool", folder / "printed"
    spool.mkdir()
    environment = {**forked.clean_environment(folder), "TMPDIR": str(spool), "OMP_NUM_THREADS": "1"}
    if token:
        environment["VIDEXP_SERVE_TOKEN"] = token
    arguments = ("serve", str(run), "--port", "0", *words)
    process = forked.start(
        *arguments, cwd=cwd or run.parent.parent, environment=environment, printed=(printed, printed)
    )
    try:
        wait_until(lambda: (printed.exists() and "http://" in printed.read_text()) or process.exitcode is not None)
        said = printed.read_text()
        assert "http://" in said, said
        address = next(word for word in said.split() if word.startswith("http://"))
        server = Server(process, address, spool, printed, token)
        wait_until(lambda: server.get("/health").status_code == 200)
        yield server
    finally:
        process.terminate()
        process.join(SECONDS)
        process.kill()
