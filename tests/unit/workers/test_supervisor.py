"""A supervisor outlives its workers, a fork that fails and a version that one of them cannot read."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.metrics import Metrics
from app.model_version import Role
from app.server.listener import listen
from app.settings import Settings
from app.standing import Standing
from app.workers import supervisor as module
from app.workers.channel import CANNOT_START
from app.workers.supervisor import Supervisor


class Silent:
    """A watch that tells nothing, and notes what it is told."""

    def __init__(self) -> None:
        self.distrusted: list[tuple[str, str]] = []
        self.n_refreshes = 0

    def start(self, tell: Callable[..., Any]) -> None:
        self.tell = tell

    def refresh(self) -> None:
        self.n_refreshes += 1

    def distrust(self, role: str, failure: str) -> None:
        self.distrusted.append((role, failure))

    def close(self) -> None:
        pass


class Supervised:
    """A supervisor whose workers are a script each, one after the other; the last one again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *scripts: str | OSError) -> None:
        self.source: Any = Silent()
        self.collectors = CollectorRegistry()
        self.n_started = 0
        spawn = asyncio.create_subprocess_exec

        async def start(*command: str, pass_fds: list[int], **options: Any) -> Any:
            script = scripts[min(self.n_started, len(scripts) - 1)]
            self.n_started += 1
            if isinstance(script, OSError):
                raise script
            return await spawn(command[0], "-c", script, *command[-3:], pass_fds=pass_fds, **options)

        monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.01)
        monkeypatch.setattr(asyncio, "create_subprocess_exec", start)

    def run(self, until: Callable[[Supervised], bool] = lambda _: False) -> int:
        """Run until it ends, or is told to; the exit status."""

        async def supervise() -> int:
            with listen("127.0.0.1", 0) as listener, tempfile.TemporaryFile() as lock:
                metrics = Metrics(self.collectors)
                settings = Settings(workers=1, shutdown_grace_s=0)
                supervised = Supervisor(
                    settings,
                    self.source,
                    metrics,
                    listener,
                    lock.fileno(),
                )
                running = asyncio.ensure_future(supervised.run())
                while not running.done() and not until(self):
                    await asyncio.sleep(0.01)
                if not running.done():
                    os.kill(os.getpid(), signal.SIGTERM)
                return await running

        return asyncio.run(asyncio.wait_for(supervise(), 30))

    @property
    def n_lost(self) -> float | None:
        """How many workers were lost, by the metric."""
        return self.collectors.get_sample_value("treeserve_workers_lost_total")


LASTS = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).recv(1000000); import time; time.sleep(60)"
SAYS = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); s.sendall(b'{message}' + bytes([10])); "
DIES = "raise SystemExit(1)"


def test_a_worker_that_dies_is_replaced(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Again and again; at SIGTERM the last one ends, and the supervisor with status 0."""
    supervised = Supervised(monkeypatch, DIES, DIES, LASTS)
    assert supervised.run(until=lambda one: one.n_started == 3) == 0
    assert supervised.n_lost == 2
    assert "worker 0 ended with status 1; another one takes its place" in caplog.messages


def test_a_fork_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It fails just when memory is short, and must not end those workers that are well."""
    supervised = Supervised(monkeypatch, BlockingIOError(11, "Resource temporarily unavailable"), LASTS)
    assert supervised.run(until=lambda one: one.n_started == 2) == 0
    assert supervised.n_lost == 1
    assert "worker 0 cannot be started: [Errno 11] Resource temporarily unavailable" in caplog.messages


def test_where_no_worker_can_start_the_service_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has said why, and another one could not either."""
    supervised = Supervised(monkeypatch, f"raise SystemExit({CANNOT_START})")
    assert supervised.run() == 1
    assert supervised.n_started == 1


def test_a_worker_that_took_anothers_place_and_cannot_start_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the log was renamed, say: those that have it open go on."""
    cannot = f"raise SystemExit({CANNOT_START})"
    supervised = Supervised(monkeypatch, DIES, cannot, LASTS)
    assert supervised.run(until=lambda one: one.n_started == 3) == 0
    assert supervised.n_lost == 2


def test_what_a_worker_cannot_read_is_prepared_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor alone can have that done."""
    message = '{"failed": {"champion": "is not whole"}, "refresh": true}'
    supervised = Supervised(monkeypatch, SAYS.replace("{message}", message) + DIES, LASTS)
    assert supervised.run(until=lambda one: one.n_started == 2) == 0
    assert supervised.source.distrusted == [("champion", "is not whole")]
    assert supervised.source.n_refreshes == 1


def test_a_hopeless_standing_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the status of a single process."""
    supervised = Supervised(monkeypatch, LASTS)
    told: list[bool] = []

    def tell(one: Supervised) -> bool:
        if one.n_started and not told:
            told.append(True)
            hopeless = Standing("models:/x/7")
            monkeypatch.setattr(Standing, "is_hopeless", True)
            one.source.tell(Role.CHAMPION, hopeless)
        return False

    assert supervised.run(until=tell) == 1
