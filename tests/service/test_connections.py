"""What a connection may take of the server: bytes, and time in every state that it can be in."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from app.server import limits, listener
from tests.service.raw_http import Address, Echo, read_answer, request, run_echo, talk
from tests.services import wait

MANY = b"x" * 100_000


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """Where the server listens, around an app that answers with the request."""
    with run_echo(is_short=False) as running:
        yield running.address


def test_headers_without_end_are_refused(address: Address) -> None:
    """Before they cost memory; and a body of any size after a head is none."""
    endless = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000
    assert [status for status, _ in talk(address, endless, b"a" * 40_000)] == [431]
    pieces = [b"b" * 50_000] * 4
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n"
    ((status, answer),) = talk(address, head, *pieces)
    assert (status, len(json.loads(answer)[4])) == (200, 200_000)


@pytest.mark.parametrize("path", [b"/short", b"/other"])
def test_who_sends_far_ahead_is_answered_what_fits_and_told_to_come_again(path: bytes) -> None:
    """In order, whichever way it goes; then the connection ends, and nothing that waited is lost without an answer."""
    with run_echo(is_short=True) as running:
        sent = b"".join(request(b"%d" % number, path=path) for number in range(200))
        answers = [json.loads(body)[4] for status, body in talk(running.address, sent) if status == 200]
    assert len(answers) >= 33
    assert answers == [str(number) for number in range(len(answers))]
    assert len(answers) < 200 or path == b"/short"


@pytest.mark.parametrize("sent", [b"GET /livez HTT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"])
def test_a_head_that_does_not_come_is_given_up(address: Address, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Whoever says half of something does not hold a connection."""
    monkeypatch.setattr(limits, "HEAD_PATIENCE_S", 0.2)
    assert [status for status, _ in talk(address, sent)] == [408]


def test_a_connection_between_two_requests_is_kept_for_long_and_not_for_ever(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than load balancers keep theirs; and a caller who is gone without a word does not hold it."""
    assert limits.KEEP_ALIVE_S > 60
    monkeypatch.setattr(limits, "HEAD_PATIENCE_S", 0.1)
    monkeypatch.setattr(limits, "KEEP_ALIVE_S", 0.3)
    ((status, _),) = talk(address, request(b"x"))  # which ends when the server closes
    assert status == 200


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    """A server that waits half a second for callers to read."""
    monkeypatch.setattr(listener, "UNREAD_PATIENCE_S", 0.5)
    with run_echo() as running:
        yield running


def connect_without_reading(running: Echo) -> socket.socket:
    """A caller whose side of the connection has next to no room."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    caller.settimeout(20)
    caller.connect(running.address)
    return caller


def await_unsent(running: Echo) -> int:
    """How many bytes of answers wait in this process, once some do."""
    for _ in wait():
        for connection in list(running.server.server_state.connections):
            if n_bytes := connection.transport.get_write_buffer_size():
                return n_bytes
    raise AssertionError


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such time")
@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
def test_a_caller_who_does_not_read_is_cut_off(unread: Echo, last: bytes) -> None:
    """Whether the server has closed its side already or not: the answer does not wait in memory for ever."""
    with connect_without_reading(unread) as caller:
        caller.sendall(request(MANY * 40, last, path=b"/other"))
        assert await_unsent(unread) > 0
        for _ in wait():
            if not unread.server.server_state.connections:
                break


def test_a_caller_who_reads_late_is_waited_for(unread: Echo) -> None:
    """Slow is not gone."""
    with connect_without_reading(unread) as caller:
        caller.sendall(request(MANY * 40, path=b"/other"))
        await_unsent(unread)
        status, _, body = read_answer(caller)
    assert (status, len(json.loads(body)[4])) == (200, 4_000_000)


@pytest.mark.parametrize(("path", "body"), [(b"/predict", b"abc" * 300), (b"/other", b"abc" * 300)])
def test_answers_that_nobody_reads_do_not_pile_up(path: bytes, body: bytes) -> None:
    """Whoever asks on and on without reading is not read any more himself, whichever way his requests go."""
    with run_echo() as running, connect_without_reading(running) as caller:
        caller.settimeout(0.5)
        n_sent = 0
        try:
            while n_sent < 64 * 1024 * 1024:
                n_sent += caller.send(request(body, path=path) * 100)
        except (TimeoutError, ConnectionError):  # it is cut off, or waits until it is
            pass
        assert n_sent < 64 * 1024 * 1024
        unsent = [one.transport.get_write_buffer_size() for one in list(running.server.server_state.connections)]
        assert sum(unsent) < 128 * 1024
