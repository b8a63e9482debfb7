"""
Load at a rate of its own, whatever the answers take: each request has its time, and its latency counts from then.

Callers that wait for their answers slow down with the server, and so never ask for more than it has. This one sends
over many connections from one thread that waits for nothing but the next request's time; no connection has two requests
at once. A request that finds none of them free waits here, and its waiting counts.

``python -m benchmarks.open_loop PORT BODIES RATE SECONDS CONNECTIONS`` prints what came of it as a line of JSON.
"""

from __future__ import annotations

import json
import math
import select
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load import LoadFailed
from tests.processes import PROJECT

# Of the time, the beginning is not counted: queues fill first.
_SHARE_WARMING = 0.25
# What is not answered so long after the last request was due is lost.
_PATIENCE_S = 5.0
_OK, _REFUSED = b"HTTP/1.1 200", b"HTTP/1.1 503"


@dataclass(frozen=True)
class Offered:
    """
    What came of a load.

    Attributes
    ----------
    core_share : float
        How much of its core's time the load had, which it always wants all of; with less, the figures are those of
        whatever else ran there.
    answered_per_s, refused_per_s : float
        Answers of status 200 and 503.
    p50_ms, p99_ms : float
        Of the answers of status 200, from the time that their requests were due.
    n_lost : int
        Requests without an answer, or with another one.
    """

    core_share: float
    answered_per_s: float
    refused_per_s: float
    p50_ms: float
    p99_ms: float
    n_lost: int


def offer(port: int, bodies: Path, *, rate: float, seconds: float, connections: int, core: int | None) -> Offered:
    """
    Offer a load to a server of loopback, from a process of its own.

    Parameters
    ----------
    port : int
    bodies : pathlib.Path
        One body of ``POST /predict`` a line; they are sent in turn.
    rate : float
        Requests a second; infinite sends the next one as soon as a connection is free.
    seconds : float
    connections : int
        More than are ever waiting, or the rate is not kept.
    core : int or None
        Where the load runs; None leaves it to the system.

    Raises
    ------
    LoadFailed
        If the load could not be run.
    """
    given = [str(port), str(bodies), str(rate), str(seconds), str(connections)]
    command = [sys.executable, "-m", "benchmarks.open_loop", *given]
    if core is not None:
        command = ["taskset", "--cpu-list", str(core), *command]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise LoadFailed(f"the load ended with status {done.returncode}: {done.stderr}")
    return Offered(**json.loads(done.stdout))


class _Load:
    """The connections, what each of them waits for, and what has come."""

    def __init__(self, port: int, requests: list[bytes], connections: int) -> None:
        self._requests = requests
        self._n_sent = 0
        self._poll = select.epoll()
        self._callers: dict[int, socket.socket] = {}
        self._due: dict[int, float] = {}
        self._begun: dict[int, bytes] = {}
        for _ in range(connections):
            caller = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            caller.setblocking(False)
            self._callers[caller.fileno()] = caller
            self._poll.register(caller.fileno(), select.EPOLLIN)
        self._free = deque(self._callers)
        self.waiting: deque[float] = deque()
        # When due, when answered, and with what.
        self.answers: list[tuple[float, float, bytes]] = []

    def send(self) -> None:
        """Send what is due, as far as connections are free."""
        while self.waiting and self._free:
            number = self._free.popleft()
            self._due[number] = self.waiting.popleft()
            self._callers[number].send(self._requests[self._n_sent % len(self._requests)])
            self._n_sent += 1

    def receive(self, timeout_s: float) -> None:
        """Take in what has come, or comes within some seconds."""
        for number, _ in self._poll.poll(timeout_s):
            try:
                piece = self._callers[number].recv(65_536)
            except ConnectionError:
                piece = b""
            if not piece:
                self._poll.unregister(number)
            if number not in self._due:
                continue
            answer = self._begun.pop(number, b"") + piece
            if piece and not _is_whole(answer):
                self._begun[number] = answer
                continue
            self.answers.append((self._due.pop(number), time.perf_counter(), answer[:12]))
            if piece:
                self._free.append(number)

    @property
    def n_free(self) -> int:
        """Connections without a request."""
        return len(self._free)

    @property
    def n_open(self) -> int:
        """Requests without an answer."""
        return len(self._due) + len(self.waiting)


def _is_whole(answer: bytes) -> bool:
    head_ends = answer.find(b"\r\n\r\n")
    at = answer.find(b"content-length: ") + 16
    return head_ends >= 0 and len(answer) == head_ends + 4 + int(answer[at : answer.index(b"\r", at)])


def _run(port: int, bodies: Path, rate: float, seconds: float, connections: int) -> Offered:
    requests = [
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
        for body in bodies.read_bytes().splitlines()
    ]
    load = _Load(port, requests, connections)
    begun = now = time.perf_counter()
    had = time.process_time()
    n_due = 0
    while now < begun + seconds:
        n_until_now = int((now - begun) * rate) + 1 if rate < math.inf else n_due + load.n_free
        load.waiting.extend(begun + number / rate if rate < math.inf else now for number in range(n_due, n_until_now))
        n_due = n_until_now
        load.send()
        load.receive(0)
        now = time.perf_counter()
    core_share = (time.process_time() - had) / (now - begun)
    while load.n_open and time.perf_counter() < begun + seconds + _PATIENCE_S:
        load.send()
        load.receive(0.01)
    return _sum_up(load, begun + seconds * _SHARE_WARMING, begun + seconds, core_share)


def _sum_up(load: _Load, since: float, until: float, core_share: float) -> Offered:
    """What was due between two times; answers a second are those that came between them."""
    seconds = until - since
    taken = sorted(answered - due for due, answered, status in load.answers if due >= since and status == _OK)
    came = [status for _, answered, status in load.answers if since <= answered < until]
    n_lost = load.n_open + sum(status not in (_OK, _REFUSED) for _, _, status in load.answers)
    return Offered(
        core_share=core_share,
        answered_per_s=came.count(_OK) / seconds,
        refused_per_s=came.count(_REFUSED) / seconds,
        p50_ms=1e3 * taken[len(taken) // 2] if taken else 0.0,
        p99_ms=1e3 * taken[len(taken) * 99 // 100] if taken else 0.0,
        n_lost=n_lost,
    )


if __name__ == "__main__":
    _port, _bodies, _rate, _seconds, _connections = sys.argv[1:]
    print(json.dumps(asdict(_run(int(_port), Path(_bodies), float(_rate), float(_seconds), int(_connections)))))
