"""A running ``treeserve serve``, as a test looks at it from outside."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx2

from tests.processes import wait_for_exit
from tests.services import wait

# Generous for a machine that runs other tests beside; on a free one the process has ended after a second or two.
SOON_S = 15.0


@dataclass
class Server:
    """A running `treeserve serve`."""

    process: subprocess.Popen[str]
    port: str
    folder: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx2.Response:
        """Ask it."""
        return httpx2.get(self.url + path, trust_env=False, timeout=10)

    def post(self, path: str) -> httpx2.Response:
        """Ask it to do something."""
        return httpx2.post(self.url + path, trust_env=False, timeout=10)

    def predict(self, *instances: Any) -> list[float]:
        """The predictions of valid instances."""
        response = httpx2.post(self.url + "/predict", json={"instances": instances}, trust_env=False, timeout=10)
        assert response.status_code == 200, response.text
        predictions: list[float] = response.json()["predictions"]
        return predictions

    def wait_until_ready(self, at_most_s: float = 30) -> None:
        """Return once /readyz answers 200."""
        for _ in wait(at_most_s, every_s=0.05):
            assert self.process.poll() is None, self.output
            try:
                if self.get("/readyz").status_code == 200:
                    return
            except httpx2.TransportError:
                continue

    @property
    def workers(self) -> list[int]:
        """Its child processes that serve."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and b"app.workers" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
        return sorted(found)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return wait_for_exit(self.process, SOON_S)

    @property
    def output(self) -> str:
        """Everything on standard output."""
        return (self.folder / "stdout").read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """Everything on standard error."""
        return (self.folder / "stderr").read_text(encoding="utf-8")

    def lines(self, dataset: str | None = None) -> list[dict[str, Any]]:
        """Standard output, every line of which must be an ECS document."""
        documents = [json.loads(line) for line in self.output.splitlines()]
        for document in documents:
            assert {"@timestamp", "log.level", "message", "ecs.version", "event.dataset"} <= set(document), document
        return [document for document in documents if dataset in (None, document["event.dataset"])]


class Start(Protocol):
    """Starts a server with settings, without waiting for it; a command may stand before it."""

    def __call__(self, stdout: int | None = None, /, prefix: Sequence[str] = (), **variables: str) -> Server: ...
