"""The end of the server: every answer says so, and no request is lost that was on its way."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.drain import Drain
from app.server import server
from tests.service.conftest import Serve
from tests.service.raw_http import Echo, read_answer, request, run_echo
from tests.services import WAIT_S, wait

PREDICT = request(b"abc", path=b"/predict")
LARGE_BODY = request(b"", path=b"/predict").replace(b"Length: 0", b"Length: 1000")


@pytest.fixture
def running() -> Iterator[Echo]:
    """A server that accepts for long after it was told to end."""
    with run_echo(drain=Drain(15, 18)) as started:
        yield started
        started.server.handle_exit(signal.SIGTERM, None)


@pytest.fixture
def ending() -> Iterator[Echo]:
    """A server that accepts no longer as soon as it is told to end."""
    with run_echo(drain=Drain(0, 2)) as started:
        yield started


def tell(running: Echo, number: signal.Signals = signal.SIGTERM) -> None:
    """Tell it to end, as the signal does to a server in the main thread."""
    running.server.handle_exit(number, None)


def is_closed(caller: socket.socket) -> bool:
    """Whether the server closes the connection, without another byte."""
    return caller.recv(1) == b""


@pytest.mark.parametrize("sent", [PREDICT, request(b"ab", path=b"/predict"), request(b"x", path=b"/readyz")])
def test_from_the_signal_on_each_answer_is_its_connections_last(running: Echo, sent: bytes) -> None:
    """Whichever way it goes, on old connections and new ones: callers go where others answer."""
    with running.connect() as old:
        old.sendall(PREDICT)
        assert "connection" not in read_answer(old)[1]
        tell(running)
        with running.connect() as new:
            for caller in (old, new):
                caller.sendall(sent)
                status, headers, _ = read_answer(caller)
                assert (status, headers["connection"]) == (200, "close")
                assert is_closed(caller)


def test_a_request_behind_the_last_answer_is_not_begun(running: Echo) -> None:
    """It has no answer, and so its caller may send it again elsewhere."""
    tell(running)
    with running.connect() as caller:
        caller.sendall(PREDICT + request(b"def", path=b"/predict") + request(b"x", path=b"/other"))
        assert read_answer(caller)[2] == b"ABC"
        assert is_closed(caller)
    assert running.way.asked == [b"abc"]
    assert running.server.server_state.total_requests == 0  # of the app


def test_a_refusal_while_it_ends_is_the_last_answer_too() -> None:
    """So that the caller asks another process the next time."""
    with run_echo(drain=Drain(5, 10), limit=1) as running, running.connect() as slow, running.connect() as caller:
        running.way.may_end.clear()
        slow.sendall(request(b"ab", path=b"/predict"))
        for _ in wait():
            if running.way.overload.is_full:
                break
        tell(running)
        caller.sendall(PREDICT)
        status, headers, _ = read_answer(caller)
        assert (status, headers["connection"]) == (503, "close")
        assert is_closed(caller)
        running.way.may_end.set()


def test_a_second_signal_ends_the_grace(running: Echo) -> None:
    """Whoever does not want to wait says so again."""
    tell(running)
    with running.connect() as caller:
        caller.sendall(PREDICT)
        read_answer(caller)
    time.sleep(0.3)  # or it would count as the same signal
    tell(running)
    running.running.join(WAIT_S / 2)
    assert not running.running.is_alive()


def test_an_interrupt_has_no_grace(running: Echo) -> None:
    """Ctrl-C comes from somebody who waits."""
    tell(running, signal.SIGINT)
    running.running.join(WAIT_S / 2)
    assert not running.running.is_alive()


def test_connections_that_the_system_has_accepted_are_answered(ending: Echo) -> None:
    """They wait in the queue of a busy process when that stops listening, and would be reset."""
    with ExitStack() as connections:
        busy = connections.enter_context(ending.connect())
        ending.way.may_answer.clear()
        busy.sendall(PREDICT)
        for _ in wait():
            if ending.way.asked:
                break
        callers = [connections.enter_context(ending.connect()) for _ in range(60)]
        for caller in callers:
            caller.sendall(PREDICT)
        tell(ending)
        threading.Event().wait(0.2)  # so that the server's next tick is due before it accepts any
        ending.way.may_answer.set()
        for caller in callers:
            status, headers, _ = read_answer(caller)
            assert (status, headers["connection"]) == (200, "close")


def test_a_request_on_its_way_over_an_idle_connection_is_answered(ending: Echo) -> None:
    """An idle connection is kept for a moment after the process has stopped listening."""
    with ending.connect() as caller:
        caller.sendall(PREDICT)
        read_answer(caller)
        tell(ending)
        for _ in wait():
            try:
                ending.connect().close()
            except ConnectionError:
                break
        caller.sendall(PREDICT)
        status, headers, _ = read_answer(caller)
    assert (status, headers["connection"]) == (200, "close")


def test_an_idle_connection_does_not_hold_up_the_end(ending: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that has said nothing yet."""
    monkeypatch.setattr(server, "LINGER_S", 0.1)
    with ending.connect() as idle, ending.connect() as silent:
        idle.sendall(PREDICT)
        read_answer(idle)
        tell(ending)
        assert is_closed(idle)
        assert is_closed(silent)


def test_a_request_that_has_begun_is_read_to_its_end(ending: Echo) -> None:
    """Its caller has until the deadline."""
    sent = request(b"abcdef", path=b"/predict")
    with ending.connect() as caller:
        caller.sendall(sent[:-3])
        for _ in wait():
            if ending.server.server_state.tasks:
                break
        tell(ending)
        caller.sendall(sent[-3:])
        status, headers, body = read_answer(caller)
    assert (status, headers["connection"], body[-9:]) == (200, "close", b'"abcdef"]')


def test_what_is_not_done_at_the_deadline_is_told_so(ending: Echo) -> None:
    """503, which sends the caller elsewhere; and the server ends."""
    with ending.connect() as caller:
        caller.sendall(LARGE_BODY)
        for _ in wait():
            if ending.server.server_state.tasks:
                break
        tell(ending)
        status, _, body = read_answer(caller)
    assert status == 503
    assert b'"code": "ending"' in body
    ending.running.join(5)
    assert not ending.running.is_alive()


def test_a_process_that_ends_is_alive_and_not_ready(serve: Serve) -> None:
    """A load balancer takes it out, and nobody restarts it; it goes on answering who has not noticed."""
    service = serve()
    assert service.client.get("/readyz").status_code == 200
    service.drain.begin(with_grace=True)
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "ending")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert service.client.get("/livez").json() == {"live": True}
    assert service.predict({"carrier": "UA", "hour": 17})
