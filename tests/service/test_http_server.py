"""The web server over a real socket: what a client offers or breaks in HTTP itself."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from app.server.listener import listen
from tests.service.raw_http import Address, Answering, request, run_echo, talk

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """Where the server listens, around an app that answers with the request."""
    with run_echo(is_short=False) as running:
        yield running.address


LAST = request(b"last", b"Connection: close\r\n")


@pytest.mark.parametrize("n_bytes", [None, 1, 7, 100])
def test_an_offer_of_another_protocol_is_ignored_and_the_body_read(
    address: Address, n_bytes: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Java's own client offers h2c with its first request; it is answered as one without an offer, in any pieces."""
    sent = request(b'{"instances": []}', OFFER, b"X-Own: 1\r\n") + LAST
    pieces = [sent] if n_bytes is None else [sent[at : at + n_bytes] for at in range(0, len(sent), n_bytes)]
    (status, answer), (last_status, last_answer) = talk(address, *pieces)
    method, path, query, headers, body = json.loads(answer)
    assert (status, method, path, query, body) == (200, "POST", "/predict", "a=%201", '{"instances": []}')
    assert headers["x-own"] == "1"
    assert "upgrade" not in headers
    assert (last_status, json.loads(last_answer)[-1]) == (200, "last")
    assert caplog.text == ""


def test_an_offer_with_a_chunked_body_or_none_is_ignored_too(address: Address) -> None:
    """However the body comes, it is the request's."""
    chunked = (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + OFFER + b"\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    without = b"GET /model HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n"
    answers = [json.loads(answer) for _, answer in talk(address, chunked, without, LAST)]
    assert [(answer[0], answer[-1]) for answer in answers] == [("POST", "abc"), ("GET", ""), ("POST", "last")]


def test_an_offer_to_close_is_not_lost_beside_it(address: Address) -> None:
    """The other options of the Connection header stay."""
    sent = request(b"x", b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n")
    ((status, _),) = talk(address, sent)
    assert status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"no HTTP at all\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" + OFFER + b"\r\n0\r\n\r\n",
        request(b"x", OFFER) + b"\0",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(
    address: Address, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """As the protocol says, in plain text, for no request of ours has begun."""
    status, text = talk(address, sent)[-1]
    assert status == 400
    assert text.startswith(b"it cannot be read as HTTP/1.1: ")
    assert "Traceback" not in caplog.text


def test_an_address_that_cannot_be_had_is_named_with_what_to_set(address: Address) -> None:
    """Whether it is taken or nobody's."""
    for host, port in [address, ("no.such.host.invalid", 80)]:
        with pytest.raises(OSError, match=rf"nothing can listen on {host} port {port} \(.*TREESERVE_HOST"):
            listen(host, port)


def test_all_addresses_means_both_families() -> None:
    """`::` is how a pod listens where its cluster has IPv6, and its probes may come over either."""
    try:
        listener = listen("::", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=20):
        pass


@pytest.fixture(scope="module")
def short() -> Iterator[tuple[Address, Answering]]:
    """A server around the same app, with a short way."""
    with run_echo() as running:
        yield running.address, running.way


def body_of(answer: bytes) -> str:
    """The body that was asked with: in capitals from the short way, in the app's JSON otherwise."""
    return answer.decode() if answer.isupper() else str(json.loads(answer)[-1])


PREDICT = {"path": b"/predict"}


def test_requests_on_one_connection_go_their_ways_in_order(short: tuple[Address, Answering]) -> None:
    """Whether they come in one piece or one by one, and whichever way the one before went."""
    address, way = short
    way.asked.clear()
    requests = [
        request(b"abc", **PREDICT),
        request(b"x", **PREDICT),  # declined
        request(b"def", **PREDICT),
        request(b"ghi", path=b"/other"),
        request(b"jkl", **PREDICT),
        request(b"mno", b"Connection: close\r\n", **PREDICT),  # its end is the app's
    ]
    expected = ["ABC", "x", "DEF", "ghi", "JKL", "mno"]
    answers = talk(address, *requests)
    assert [status for status, _ in answers] == [200] * 6
    assert [body.lower() for body in map(body_of, (answer for _, answer in answers))] == [e.lower() for e in expected]
    assert [body_of(answer) for _, answer in talk(address, b"".join(requests))][:2] == ["ABC", "x"]
    assert b"ghi" not in way.asked
    assert b"mno" not in way.asked


def test_a_body_in_pieces_waits_in_the_app(short: tuple[Address, Answering]) -> None:
    """Which limits how long, and how much."""
    address, way = short
    way.asked.clear()
    sent = request(b"abcdef", **PREDICT)
    with socket.create_connection(address, timeout=20) as caller:
        for piece in (sent[:30], sent[30:-3], sent[-3:]):
            caller.sendall(piece)
            threading.Event().wait(0.05)
        assert b'"abcdef"]' in caller.recv(65_536)
    assert way.asked == []


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /predict HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /predict?a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /predict HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_only_plain_posts_are_asked_for(short: tuple[Address, Answering], sent: bytes) -> None:
    """Another method, target or version, and a question before the body, are the app's."""
    address, way = short
    way.asked.clear()
    with socket.create_connection(address, timeout=20) as caller:
        caller.sendall(sent)
        received = b""
        while b" 200 OK" not in received:
            more = caller.recv(65_536)
            assert more
            received += more
    assert way.asked == []


def test_an_offer_and_chunks_may_be_short_too(short: tuple[Address, Answering]) -> None:
    """They are read in one piece; the answer has a date, as every answer."""
    address, way = short
    way.asked.clear()
    chunked = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with socket.create_connection(address, timeout=20) as caller:
        for sent in (request(b"abc", OFFER, **PREDICT), chunked):
            caller.sendall(sent)
            answer = caller.recv(65_536)
            assert answer.endswith(b"\r\n\r\nABC")
            assert b"\r\ndate: " in answer
    assert way.asked == [b"abc", b"abc"]
