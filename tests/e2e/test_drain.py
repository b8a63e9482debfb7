"""SIGTERM under load, as a rollout sends it: not ready at once, no request lost, the log whole, the end in time."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.boosters import make_table, to_instances
from tests.e2e.measured_service import SERVE
from tests.e2e.servers import SOON_S, Server, Start
from tests.processes import PROJECT, clean_environment, free_port, run_process, wait_for_exit
from tests.services import wait

GOOD = {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": 8.5}
GRACE_S, DEADLINE_S = 1.5, 8.0
N_CALLERS = 8
# A batch that takes for ever, as far as the end is concerned.
STUCK = """
import time
from app.forest.kernel_forest import KernelForest
answer = KernelForest.predictions
def stick(self, matrix):
    if len(matrix) == 2345:
        time.sleep(60)
    return answer(self, matrix)
KernelForest.predictions = stick
"""
# An end that does not come.
HUNG = """
import time
from app.payload_log import PayloadLog
PayloadLog.close = lambda *_: time.sleep(60)
"""


class Caller(threading.Thread):
    """Asks on and on, over one connection as long as it lasts, until nobody listens any more."""

    def __init__(self, port: int, *, keeps: bool) -> None:
        super().__init__(daemon=True)
        body = json.dumps({"instances": [GOOD]}).encode()
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._sent = head.encode() + (b"" if keeps else b"Connection: close\r\n") + b"\r\n" + body
        self._port = port
        self.n_answered = 0
        self.lost: list[str] = []

    def run(self) -> None:
        while not self.lost:
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), timeout=SOON_S)
            except ConnectionRefusedError:
                return
            try:
                with connection:
                    while self._ask(connection):
                        pass
            except OSError as error:
                self.lost.append(repr(error))

    def _ask(self, connection: socket.socket) -> bool:
        """Ask once; whether the connection lasts."""
        connection.sendall(self._sent)
        received = b""
        while not received.endswith(b"]}"):
            more = connection.recv(65_536)
            received += more
            if not more:
                self.lost.append(f"closed after {received!r}")
                return False
        assert received.startswith(b"HTTP/1.1 200 OK")
        self.n_answered += 1
        return b"connection: close" not in received


@contextmanager
def callers(server: Server) -> Iterator[list[Caller]]:
    """Several at once, half of whom open a connection for each request."""
    running = [Caller(int(server.port), keeps=bool(number % 2)) for number in range(N_CALLERS)]
    for caller in running:
        caller.start()
    for _ in wait():
        if all(caller.n_answered for caller in running):
            break
    yield running
    for caller in running:
        caller.join(SOON_S)
        assert not caller.is_alive()


def test_a_process_that_ends_under_load_loses_no_request(start: Start, tmp_path: Path) -> None:
    """For the grace it answers all that comes, alive and not ready; then what it has accepted; and logs all of it."""
    server = start(
        TREESERVE_SHUTDOWN_GRACE_S=str(GRACE_S),
        TREESERVE_SHUTDOWN_DEADLINE_S=str(DEADLINE_S),
        TREESERVE_PAYLOAD_LOG=str(tmp_path / "payload.log"),
    )
    server.wait_until_ready()
    with callers(server) as asking:
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for _ in wait():
            answer = server.get("/readyz")
            if answer.status_code == 503:
                break
        assert answer.json()["code"] == "ending"
        assert server.get("/livez").status_code == 200
        n_before = sum(caller.n_answered for caller in asking)
        assert wait_for_exit(server.process, SOON_S) == 0
        assert GRACE_S <= time.monotonic() - told < DEADLINE_S
    assert [caller.lost for caller in asking] == [[]] * N_CALLERS
    n_answered = sum(caller.n_answered for caller in asking)
    assert n_answered > n_before
    assert len((tmp_path / "payload.log").read_text(encoding="utf-8").splitlines()) == n_answered
    assert server.errors == ""


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_whoever_waits_for_the_end_need_not_wait_for_the_grace(start: Start, numbers: list[signal.Signals]) -> None:
    """Ctrl-C has none, and a second signal ends it."""
    server = start(TREESERVE_SHUTDOWN_GRACE_S="60", TREESERVE_SHUTDOWN_DEADLINE_S="90")
    server.wait_until_ready()
    *first, last = numbers
    for number in first:
        server.process.send_signal(number)
        for _ in wait():
            if server.get("/readyz").status_code == 503:
                break
        time.sleep(0.3)  # or it would count as the same signal
    assert server.end(last) == 0


@contextmanager
def changed_server(changes: str, model_folder: Path, folder: Path) -> Iterator[Server]:
    """A server whose code was changed, and that has three seconds to end."""
    port = free_port()
    environment = clean_environment(
        folder,
        PYTHONPATH=str(PROJECT),
        TREESERVE_MODEL_URI=str(model_folder),
        TREESERVE_CACHE_DIR=str(folder / "cache"),
        TREESERVE_SHUTDOWN_DEADLINE_S="3",
        TREESERVE_PORT=str(port),
    )
    command = [sys.executable, "-c", changes + SERVE]
    with run_process(command, environment, folder / "output") as process:
        server = Server(process, str(port), folder / "output")
        server.wait_until_ready()
        yield server


def test_the_deadline_holds_where_the_event_loop_hangs(model_folder: Path, tmp_path: Path) -> None:
    """It cannot say so any more, and no orchestrator need kill it."""
    with changed_server(HUNG, model_folder, tmp_path) as server:
        told = time.monotonic()
        assert server.end() == 0
        assert 2.5 < time.monotonic() - told < 3.5


def test_the_deadline_holds_whatever_is_in_flight(model_folder: Path, tmp_path: Path) -> None:
    """A body that does not come gets 503; a batch that cannot be interrupted is left; the status is 0."""
    batch = json.dumps({"instances": to_instances(make_table(n_rows=2345))}).encode()
    with changed_server(STUCK, model_folder, tmp_path) as server:
        port, process = int(server.port), server.process
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(batch)
        asking = [socket.create_connection(("127.0.0.1", port), timeout=SOON_S) for _ in range(2)]
        for caller, sent in zip(asking, (head + batch, head), strict=True):
            caller.sendall(sent)
        for _ in wait():
            if "treeserve_requests_in_flight 3.0" in server.get("/metrics").text:
                break
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        for caller in asking:
            with caller:
                answer = b"".join(iter(lambda caller=caller: caller.recv(65_536), b""))  # type: ignore[misc]
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'"code": "ending"' in answer
        assert wait_for_exit(process, SOON_S) == 0
        assert time.monotonic() - told < 3.5
    assert server.errors == ""
