"""More requests at once than a process takes on are refused, cheaply and before they are read; the others are not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.server import limits
from tests.service.raw_http import Echo, read_answer, request, run_echo
from tests.services import wait

LIMIT = 3
PREDICT = request(b"abc", path=b"/predict")
LASTING = request(b"ab", path=b"/predict")  # which the short way declines
NOT_PLAIN = PREDICT.replace(b"Host: x\r\n", b"Host: x\r\nExpect: 100-continue\r\n")


@pytest.fixture
def running() -> Iterator[Echo]:
    """A server that takes on three predictions at once."""
    with run_echo(limit=LIMIT) as started:
        yield started


@pytest.fixture
def full(running: Echo) -> Iterator[Echo]:
    """The server with as many predictions begun as it takes on, which do not come to their ends."""
    running.way.may_end.clear()
    with ExitStack() as callers:
        for _ in range(LIMIT):
            callers.enter_context(running.connect()).sendall(LASTING)
        for _ in wait():
            if running.way.overload.is_full:
                break
        yield running
    running.way.may_end.set()


def ask(running: Echo, sent: bytes = PREDICT) -> int:
    """The status of a request on a connection of its own."""
    with running.connect() as caller:
        caller.sendall(sent)
        return read_answer(caller)[0]


def n_refused(running: Echo) -> float | None:
    """What the metrics count."""
    return running.collectors.get_sample_value("treeserve_requests_total", {"route": "/predict", "status": "503"})


def test_what_came_in_one_round_of_the_event_loop_counts(running: Echo) -> None:
    """Requests that are answered at once leave no task behind; while one is answered, the others wait in sockets."""
    with ExitStack() as connections:
        first, *others = [connections.enter_context(running.connect()) for _ in range(11)]
        for _ in wait():
            if len(running.server.server_state.connections) == 11:
                break
        running.way.may_answer.clear()
        first.sendall(PREDICT)
        for _ in wait():
            if running.way.asked:
                break
        for caller in others:
            caller.sendall(PREDICT)
        running.way.may_answer.set()
        answers = [read_answer(caller) for caller in others]
        assert [status for status, _, _ in answers].count(200) == LIMIT
        assert [status for status, _, _ in answers].count(503) == 10 - LIMIT
        assert n_refused(running) == 10 - LIMIT
        for caller in others:  # all of these connections are good for another request
            caller.sendall(PREDICT)
            assert read_answer(caller)[0] == 200


def test_a_caller_who_waits_for_answers_is_never_refused() -> None:
    """However few are taken on, and however quickly the next request comes."""
    with run_echo(limit=1) as running, running.connect() as caller:
        for sent in [PREDICT, PREDICT, PREDICT.replace(b"abc", b"ab\n")] * 100:
            caller.sendall(sent)
            assert read_answer(caller)[0] == 200


def test_requests_that_last_count_until_they_are_answered(full: Echo) -> None:
    """A batch in a thread, say; when one of them ends, another is taken on."""
    asked = len(full.way.asked)
    assert ask(full) == 503
    assert len(full.way.asked) == asked
    next(iter(full.server.server_state.tasks)).cancel()
    for _ in wait():
        if not full.way.overload.is_full:
            break
    assert ask(full) == 200


def test_a_body_that_comes_slowly_takes_nobodys_place(running: Echo) -> None:
    """However many there are; once it is whole it counts, and is refused if there is no place left."""
    with ExitStack() as callers:
        slow = [callers.enter_context(running.connect()) for _ in range(10 * LIMIT)]
        for caller in slow:
            caller.sendall(LASTING[:-1])
        for _ in wait():
            if len(running.server.server_state.tasks) == len(slow):
                break
        assert ask(running) == 200
        running.way.may_end.clear()
        for caller in slow:
            caller.sendall(LASTING[-1:])
        for _ in wait():
            if running.way.overload.is_full and len(running.server.server_state.tasks) == LIMIT:
                break
        running.way.may_end.set()
        statuses = [read_answer(caller)[0] for caller in slow]
        assert (statuses.count(200), statuses.count(503)) == (LIMIT, len(slow) - LIMIT)


def test_other_paths_are_never_refused(full: Echo) -> None:
    """Probes and metrics matter most when there is too much to do."""
    assert ask(full, request(b"x", path=b"/livez")) == 200
    assert n_refused(full) is None


@pytest.mark.parametrize("sent", [PREDICT, NOT_PLAIN])
def test_a_refusal_is_a_problem_that_says_when_to_come_again(full: Echo, sent: bytes) -> None:
    """Whichever way it goes, it is the same but for its id, which is another each time."""
    ids = set()
    for number in range(1, 4):
        with full.connect() as caller:
            caller.sendall(sent)
            status, headers, body = read_answer(caller)
        document = json.loads(body)
        ids |= {document.pop("request_id"), headers["x-request-id"]}
        assert (status, headers["content-type"], headers["retry-after"]) == (503, "application/problem+json", "1")
        assert "date" in headers
        assert document == {
            "type": "urn:treeserve:problem:overloaded",
            "title": "The service is overloaded",
            "status": 503,
            "detail": "As many requests as TREESERVE_MAX_IN_FLIGHT allows wait for their answers already; "
            "send it again later.",
            "code": "overloaded",
        }
        assert n_refused(full) == number
    assert len(ids) == 3


def test_a_request_that_waits_behind_another_is_refused_when_its_turn_comes(running: Echo) -> None:
    """On one connection there is one answer after the other, and a caller who sends ahead gains nothing."""
    with ExitStack() as callers:
        ahead, *others = [callers.enter_context(running.connect()) for _ in range(LIMIT + 1)]
        ahead.sendall(request(b"a", path=b"/other")[:-1])
        for _ in wait():
            if running.server.server_state.tasks:
                break
        running.way.may_end.clear()
        for caller in others:
            caller.sendall(LASTING)
        for _ in wait():
            if running.way.overload.is_full:
                break
        ahead.sendall(b"a" + PREDICT)
        assert b"200 OK" in ahead.recv(65_536)
        for _ in wait():
            if n_refused(running):
                break
        running.way.may_end.set()


def test_the_body_of_a_refused_request_is_taken_in_if_it_is_small(full: Echo) -> None:
    """The refusal comes before it, and the connection lasts."""
    with full.connect() as caller:
        for _ in range(2):
            caller.sendall(PREDICT[:-3])
            assert read_answer(caller)[0] == 503
            caller.sendall(PREDICT[-3:])


@pytest.mark.parametrize(
    "head",
    [
        request(b"", path=b"/predict").replace(b"Length: 0", b"Length: 1000000"),
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_the_body_of_a_refused_request_is_not_read_if_it_is_large(full: Echo, head: bytes) -> None:
    """Nor if it may become so; the connection ends instead."""
    with full.connect() as caller:
        caller.sendall(head)
        status, headers, _ = read_answer(caller)
        assert (status, headers["connection"]) == (503, "close")
        assert caller.recv(1) == b""


def test_the_body_of_a_refused_request_that_does_not_come_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refusal holds no connection."""
    monkeypatch.setattr(limits, "HEAD_PATIENCE_S", 0.2)
    with run_echo(limit=LIMIT) as running, ExitStack() as callers:
        running.way.may_end.clear()
        for _ in range(LIMIT):
            callers.enter_context(running.connect()).sendall(LASTING)
        caller: socket.socket = callers.enter_context(running.connect())
        for _ in wait():
            if running.way.overload.is_full:
                break
        caller.sendall(PREDICT[:-1])
        assert read_answer(caller)[0] == 503
        assert caller.recv(1) == b""
        running.way.may_end.set()
