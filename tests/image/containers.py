"""Containers that a test runs and ends, as an operator would who trusts nobody."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from delivery.engine import Engine
from tests.services import wait

# As `restricted` in Kubernetes has it, and more: no network, and nothing to write into but what a test mounts.
LOCKED_DOWN = (
    "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges",
    "--network", "none", "--memory", "256m", "--cpus", "1", "--pids-limit", "64",
)  # fmt: skip
_ASK = """
import json, sys
from http.client import HTTPConnection
method, path, body = json.loads(sys.argv[1])
connection = HTTPConnection("127.0.0.1", 8080, timeout=10)
connection.request(method, path, body, {"Content-Type": "application/json"})
answer = connection.getresponse()
print(json.dumps([answer.status, answer.read().decode()]))
"""


@dataclass(frozen=True)
class Container:
    """A container that was started and may have ended since."""

    engine: Engine
    name: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return _call(self.engine, "exec", self.name, *command)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the service in it, from the inside: it has no network. The status, and the JSON or text of the answer."""
        request = json.dumps([method, path, None if body is None else json.dumps(body)])
        ended = self.run("python", "-c", _ASK, request)
        if ended.returncode:
            return 0, ended.stderr
        status, text = json.loads(ended.stdout)
        return status, json.loads(text) if text[:1] in "{[" else text

    def is_healthy(self) -> bool:
        """What the engine says after its HEALTHCHECK."""
        return _call(self.engine, "healthcheck", "run", self.name).returncode == 0

    def wait_until_ready(self) -> None:
        """Wait until its model serves; with its log in the error if it never does."""
        for _ in wait(60, every_s=0.5):
            if self.ask("GET", "/readyz")[0] == 200:
                return
            if not self.state["Running"]:
                break
        raise AssertionError(self.log())

    @property
    def state(self) -> dict[str, Any]:
        """Whether it runs, and how it ended."""
        found: dict[str, Any] = json.loads(_call(self.engine, "inspect", self.name).stdout)[0]["State"]
        return found

    def log(self) -> str:
        """All that it wrote."""
        ended = _call(self.engine, "logs", self.name)
        return ended.stdout + ended.stderr

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log().splitlines()]

    def stop(self) -> int:
        """Tell it to end, as an orchestrator does; its exit status."""
        _call(self.engine, "stop", "--time", "30", self.name)
        status: int = self.state["ExitCode"]
        return status


def _call(engine: Engine, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([engine.program, *arguments], capture_output=True, text=True, timeout=120, check=False)


def run_once(
    engine: Engine, image: str, *command: str, options: Sequence[str] = LOCKED_DOWN
) -> subprocess.CompletedProcess[str]:
    """Run a command in a container of its own, in place of the image's."""
    entry, *rest = command
    return _call(engine, "run", "--rm", *options, "--entrypoint", entry, image, *rest)


@contextmanager
def run_container(
    engine: Engine, image: str, *options: str, limits: Sequence[str] = LOCKED_DOWN
) -> Iterator[Container]:
    """Start a container with the image's own command, and remove it in the end."""
    started = _call(engine, "run", "--detach", *limits, *options, image)
    assert started.returncode == 0, started.stderr
    container = Container(engine, started.stdout.strip())
    try:
        yield container
    finally:
        _call(engine, "rm", "--force", "--time", "0", container.name)
