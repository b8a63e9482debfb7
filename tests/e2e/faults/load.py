"""Callers that ask a service without pause and look at every answer: what failed, what was wrong, how long it took."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from tests.services import wait

_PAUSE_S = 0.002
_TIMEOUT_S = 20.0
_N_SHOWN = 5


@dataclass
class Answers:
    """
    What came back.

    Attributes
    ----------
    n_sent : int
        Requests, those for which no connection could be made included.
    failures : list of str
        Of those, what was not an answer of status 200.
    n_wrong : int
        Answers that are not the predictions of the version that they name.
    by_version : Counter of str
    waits_s : list of float
    last_version : str
    """

    n_sent: int = 0
    failures: list[str] = field(default_factory=list)
    n_wrong: int = 0
    by_version: Counter[str] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    last_version: str = ""


@dataclass(frozen=True)
class Waits:
    """How long callers have waited for their answers, in order, in seconds."""

    waits_s: list[float]

    @property
    def p99_s(self) -> float:
        """What 99 % of them waited at most."""
        return self.waits_s[len(self.waits_s) * 99 // 100]


class Load:
    """
    Callers with a connection each, which they keep as long as the service lets them.

    As a context manager: they ask while its block runs.

    Attributes
    ----------
    answers : list of Answers
        Each caller's.
    """

    def __init__(
        self,
        ports: Sequence[int],
        instances: Sequence[Mapping[str, object]],
        expected: Mapping[str, Sequence[float]],
        n_callers: int = 4,
        *,
        host: str = "127.0.0.1",
        keeps: bool = True,
    ) -> None:
        """
        Make callers.

        Parameters
        ----------
        ports : sequence of int
            Where the service listens; a caller goes to the next one when it is told to close its connection, or
            nobody listens.
        instances : sequence of mapping
        expected : mapping of version to sequence of float
            The predictions of the instances.
        n_callers : int
        host : str
            Who listens there.
        keeps : bool
            Whether callers keep their connections, or make a new one for each request.
        """
        self._host, self._keeps = host, keeps
        self._ports = ports
        self._bodies = [json.dumps({"instances": [instance]}).encode() for instance in instances]
        self._expected = expected
        self._is_over = threading.Event()
        self.answers = [Answers() for _ in range(n_callers)]
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(n_callers)]

    def __enter__(self) -> Load:
        """Begin, and wait until every caller has had an answer."""
        self._began_s = time.monotonic()
        for thread in self._threads:
            thread.start()
        for _ in wait():
            if all(answers.waits_s for answers in self.answers):
                break
        return self

    def __exit__(self, *_: object) -> None:
        """Let every caller have its last answer."""
        self.took_s = time.monotonic() - self._began_s
        self._is_over.set()
        for thread in self._threads:
            thread.join(_TIMEOUT_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for(self, version: str, at_most_s: float = 90.0) -> float:
        """Go on until every caller is answered by a version; how long that took, in seconds."""
        began_s = time.monotonic()
        for _ in wait(at_most_s):
            if all(answers.last_version == version for answers in self.answers):
                break
        return time.monotonic() - began_s

    def go_on(self, n_requests: int = 200) -> None:
        """Go on for so many requests of each caller."""
        until = [answers.n_sent + n_requests for answers in self.answers]
        for _ in wait(60):
            if all(answers.n_sent >= n for answers, n in zip(self.answers, until, strict=True)):
                break

    @property
    def n_sent(self) -> int:
        """Requests, by all callers."""
        return sum(answers.n_sent for answers in self.answers)

    @property
    def failures(self) -> list[str]:
        """What was not an answer, by all callers."""
        return [failure for answers in self.answers for failure in answers.failures]

    @property
    def n_wrong(self) -> int:
        """Wrong answers, to all callers."""
        return sum(answers.n_wrong for answers in self.answers)

    @property
    def by_version(self) -> Counter[str]:
        """Answers to all callers."""
        return sum((answers.by_version for answers in self.answers), Counter())

    def take_waits(self) -> Waits:
        """How long callers have waited since this was asked last."""
        taken: list[float] = []
        for answers in self.answers:
            waits_s, answers.waits_s = answers.waits_s, []
            taken += waits_s
        return Waits(sorted(taken))

    def assert_flawless(self) -> None:
        """No request failed, and no answer was wrong."""
        assert self.failures == [], self.failures[:_N_SHOWN]
        assert self.n_wrong == 0

    def _ask(self, number: int) -> None:
        answers, ports = self.answers[number], cycle(self._ports)
        connection: socket.socket | None = None
        for at in cycle(range(len(self._bodies))):
            if self._is_over.is_set():
                break
            if connection and _is_closed(connection):
                connection.close()
                connection = None
            answers.n_sent += 1
            began_s = time.monotonic()
            try:
                connection = connection or self._connect(ports)
                is_last = self._exchange(connection, at, answers) or not self._keeps
            except (OSError, ValueError) as error:
                answers.failures.append(f"{type(error).__name__}: {error}")
                is_last = True
            answers.waits_s.append(time.monotonic() - began_s)
            if is_last and connection:
                connection.close()
                connection = None
            time.sleep(_PAUSE_S)
        if connection:
            connection.close()

    def _exchange(self, connection: socket.socket, at: int, answers: Answers) -> bool:
        """Ask once; whether it was the connection's last answer."""
        body = self._bodies[at]
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += _receive(connection)
        answered, _, rest = received.partition(b"\r\n\r\n")
        lines = answered.lower().split(b"\r\n")
        (length,) = (int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        while len(rest) < length:
            rest += _receive(connection)
        if b" 200 " not in lines[0] + b" ":
            raise ValueError(f"{lines[0].decode()} {rest[:300].decode()}")
        document = json.loads(rest)
        version = document["model"]["version"]
        answers.by_version[version] += 1
        answers.last_version = version
        if version not in self._expected or document["predictions"] != [self._expected[version][at]]:
            answers.n_wrong += 1
        return b"connection: close" in lines

    def _connect(self, ports: cycle[int]) -> socket.socket:
        """A connection to the next port where somebody listens."""
        for _ in range(len(self._ports) - 1):
            try:
                return socket.create_connection((self._host, next(ports)), _TIMEOUT_S)
            except ConnectionRefusedError:
                continue
        return socket.create_connection((self._host, next(ports)), _TIMEOUT_S)


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionError("the connection was closed before the answer was whole")
    return received


def _is_closed(connection: socket.socket) -> bool:
    """Whether the service has closed it since its last answer, which every client looks at before it asks again."""
    return bool(select.select([connection], [], [], 0)[0])
