"""What is no HTTP, or may be read in two ways, is refused, counted, and cannot fill a log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from app.server import unparsed
from tests.service.raw_http import Echo, request, run_echo, talk

CHUNKED = b"\r\n2\r\nab\r\n0\r\n\r\n"
LAST = request(b"last", b"Connection: close\r\n")


@pytest.fixture
def running() -> Iterator[Echo]:
    """A server whose app answers with the request, within all that every request goes through."""
    with run_echo() as server:
        yield server


def counted(running: Echo, status: int) -> float | None:
    """How many were refused so before their path was looked at."""
    labels = {"route": "unparsed", "status": str(status)}
    return running.collectors.get_sample_value("treeserve_requests_total", labels)


@pytest.mark.parametrize(
    ("line", "headers", "status", "code"),
    [
        (b"HTTP/1.1", b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", 501, "unknown_transfer_coding"),
        (b"HTTP/1.1", b"Host: x\r\nTransfer-Encoding: GZIP\r\nTransfer-Encoding: chunked\r\n", 501, None),
        (b"HTTP/1.1", b"Host: x\r\nTransfer-Encoding: identity, chunked\r\n", 501, None),
        (b"HTTP/1.0", b"Host: x\r\nTransfer-Encoding: chunked\r\n", 400, "invalid_head"),
        (b"HTTP/1.1", b"Host: x\r\nHost: y\r\nTransfer-Encoding: chunked\r\n", 400, "invalid_head"),
        (b"HTTP/1.1", b"Host: x\r\nhost: x\r\nTransfer-Encoding: chunked\r\n", 400, "invalid_head"),
        (b"HTTP/1.1", b"Transfer-Encoding: chunked\r\n", 400, "invalid_head"),
        (
            b"HTTP/1.1",
            b"Host: x\r\nContent-Type: application/json\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n",
            400,
            "invalid_head",
        ),
        (b"HTTP/2.0", b"Host: x\r\nTransfer-Encoding: chunked\r\n", 505, "unknown_http_version"),
        (b"HTTP/0.9", b"Host: x\r\nTransfer-Encoding: chunked\r\n", 505, "unknown_http_version"),
    ],
)
def test_a_head_that_may_be_read_in_two_ways_is_refused(
    running: Echo, line: bytes, headers: bytes, status: int, code: str | None
) -> None:
    """With a problem document, and nothing that comes after it is taken for a request."""
    sent = b"POST /other " + line + b"\r\n" + headers + CHUNKED
    ((answered, document),) = talk(running.address, sent + LAST)
    problem = json.loads(document)
    assert (answered, problem["status"]) == (status, status)
    assert code in (None, problem["code"])
    assert counted(running, status) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n" + CHUNKED,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: , chunked\r\nConnection: close\r\n" + CHUNKED,
        b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",  # HTTP/1.0 has no Host
        request(b"ab", b"Connection: close\r\n", b"Content-Type: a/b\r\n", b"Content-Type: a/b\r\n", b"Host:\r\n")
        .replace(b"Host: x\r\n", b""),
        request(b"ab", b"Connection: close\r\n", b"X-Own: 1\r\n", b"X-Own: 2\r\n"),
    ],
)  # fmt: skip
def test_what_can_be_read_in_one_way_alone_is_answered(running: Echo, sent: bytes) -> None:
    """Whatever is unusual about it."""
    ((status, answer),) = talk(running.address, sent)
    assert (status, json.loads(answer)[-1]) == (200, "ab")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"no HTTP at all\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),  # TLS
        (b"GET / HTTP/x.y\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),  # where it ends, nobody knows
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000, 431),
    ],
)
def test_what_is_no_http_is_counted_and_told(
    running: Echo, sent: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """In plain text, for there is no request; the log says from where it came."""
    (answered, text), *others = talk(running.address, sent)
    assert (answered, others) == (status, [])
    assert counted(running, status) == 1
    (told,) = caplog.messages
    assert told == f"no HTTP request: {text.decode()} (from 127.0.0.1, and 0 more since the last such line); " + (
        "more within 60 s are only counted"
    )


def test_what_is_no_http_cannot_fill_the_log(
    running: Echo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line a minute says how many there were."""
    times_s = iter([1000, 1001, 1059, 1060, 1061])
    monkeypatch.setattr(unparsed, "time", SimpleNamespace(monotonic=lambda: next(times_s)))
    for _ in range(5):
        talk(running.address, b"no HTTP\r\n\r\n")
    assert counted(running, 400) == 5
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "and 0 more" in caplog.messages[0]
    assert "and 2 more" in caplog.messages[1]
