"""Several workers as one service: whatever one of them meets, callers are answered by the others, or it is said."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.e2e.servers import SOON_S, Server, Start
from tests.processes import listens, wait_for_exit
from tests.services import wait

GOOD = {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": 8.5}


def start_two(start: Start, **variables: str) -> Server:
    """A service with two workers, both of which serve."""
    server = start(TREESERVE_WORKERS="2", TREESERVE_PAYLOAD_LOG="off", **variables)
    server.wait_until_ready()
    wait_for_serving(server, 2)
    return server


def kill(server: Server, worker: int) -> None:
    """End a worker as the system does where memory runs out, and return when it has ended."""
    os.kill(worker, signal.SIGKILL)
    for _ in wait(every_s=0.02):
        if worker not in server.workers:
            return


def wait_for_serving(server: Server, n_times: int) -> None:
    """Until workers have begun to serve so many times."""
    for _ in wait(60):
        if server.output.count("serves as champion") >= n_times:
            return


def test_where_the_payload_log_cannot_be_written_the_service_ends(start: Start, tmp_path: Path) -> None:
    """As a single process does: no worker could do it better, so none takes another's place."""
    place = tmp_path / "no" / "log"
    server = start(TREESERVE_WORKERS="2", TREESERVE_PAYLOAD_LOG=str(place))
    assert wait_for_exit(server.process, SOON_S) == 1
    told = [line["message"] for line in server.lines() if line["log.level"] == "critical"]
    assert 1 <= len(told) <= 2
    assert set(told) == {f"cannot start: TREESERVE_PAYLOAD_LOG={place} cannot be written: No such file or directory"}
    assert not any("takes its place" in line["message"] for line in server.lines())


@pytest.mark.parametrize("after_s", [0.0, 0.4, 0.9])
def test_ctrl_c_while_workers_begin_ends_it_without_a_word(start: Start, after_s: float) -> None:
    """A terminal sends it to all of them, whatever they import just then."""
    server = start(TREESERVE_WORKERS="2")
    for _ in wait():
        if "listening on" in server.output:
            break
    time.sleep(after_s)
    os.killpg(server.process.pid, signal.SIGINT)
    # Before it can end in order, the signal ends it by itself.
    assert wait_for_exit(server.process, SOON_S) in (0, -signal.SIGINT)
    assert server.errors == ""
    assert not any(line["log.level"] in ("error", "critical") for line in server.lines())


def test_a_worker_that_cannot_read_what_was_prepared_has_it_prepared_anew(start: Start, tmp_path: Path) -> None:
    """The other one answers meanwhile."""
    server = start_two(start)
    (prepared,) = (tmp_path / "cache" / "prepared").iterdir()
    prepared.write_bytes(prepared.read_bytes()[:-1])
    killed, other = server.workers
    expected = server.predict(GOOD)
    kill(server, killed)
    for _ in wait(60, every_s=0.3):  # or nothing would be left of the cores for what prepares it
        assert server.predict(GOOD) == expected
        now = server.workers
        if len(now) == 2 and killed not in now and server.output.count("serves as champion") >= 3:
            break
    assert other in server.workers
    assert "what was prepared of it in" in server.output
    assert prepared.is_file()
    # The worker that could not read it has ended, and so was replaced as the killed one was.
    lost = re.search(r"^treeserve_workers_lost_total (\S+)$", server.get("/metrics").text, re.MULTILINE)
    assert lost is not None
    assert float(lost[1]) >= 2
    assert server.end() == 0
    assert server.errors == ""


def test_callers_keep_their_connections_while_a_worker_is_replaced(start: Start) -> None:
    """Those of the other worker, and while these are open, whoever comes anew is answered at once."""
    server = start_two(start)
    with ExitStack() as open_:
        kept = [open_.enter_context(httpx2.Client(trust_env=False, timeout=5)) for _ in range(32)]
        for client in kept:
            assert client.get(server.url + "/livez").status_code == 200
        killed = server.workers[0]
        held = connections_of(killed)
        kill(server, killed)
        n_lost = 0
        for client in kept:
            try:
                client.post(server.url + "/predict", json={"instances": [GOOD]}).raise_for_status()
            except httpx2.TransportError:
                n_lost += 1
        assert 0 < held < 32
        assert n_lost <= held  # a client that finds its connection closed before it sends opens another
        wait_for_serving(server, 3)
        began = time.monotonic()
        for _ in range(64):  # some of which either worker accepts
            with socket.create_connection(("127.0.0.1", int(server.port)), timeout=2) as caller:
                caller.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert caller.recv(1000).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 10
    assert server.end() == 0
    assert server.errors == ""


def test_workers_without_a_supervisor_keep_the_grace(start: Start) -> None:
    """They are told of its end in two ways, and a second signal would end the grace."""
    server = start_two(start, TREESERVE_SHUTDOWN_GRACE_S="2", TREESERVE_SHUTDOWN_DEADLINE_S="8")
    server.process.kill()
    server.process.wait(SOON_S)
    killed = time.monotonic()
    while time.monotonic() - killed < 1.8:
        server.predict(GOOD)
        time.sleep(0.05)
    for _ in wait(SOON_S):
        if not listens(int(server.port)):
            break
    assert server.output.count("told to end") == 2


def test_callers_who_come_too_late_are_refused(start: Start) -> None:
    """And not accepted by the system on behalf of nobody: a refusal sends them to another service at once."""
    server = start_two(start)
    server.process.send_signal(signal.SIGTERM)
    reset = []
    while server.process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", int(server.port)), timeout=5) as caller:
                caller.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                if not caller.recv(1000):
                    reset.append("closed")
        except ConnectionRefusedError:
            continue
        except OSError as error:
            reset.append(repr(error))
    assert reset == []


def connections_of(pid: int) -> int:
    """How many of a process's sockets are connections of callers."""
    established = {
        fields[9]
        for fields in map(str.split, Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:])
        if fields[3] == "01"
    }
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.startswith("socket:[") and link[8:-1] in established for link in links)
