"""A body that does not come in time holds neither a connection nor the end of the process."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.types import Message

from tests.service.conftest import Serve
from tests.service.problems import GOOD, make_scope
from tests.services import Service

BODY = json.dumps({"instances": [GOOD]}).encode()


def call(service: Service, messages: AsyncIterator[Message], cancel_after_s: float | None = None) -> list[Message]:
    """POST /predict over ASGI itself; cancelled as the server does it at the end of its patience."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        task = asyncio.ensure_future(
            service.app(make_scope({"content-length": str(len(BODY))}), messages.__anext__, send)
        )
        if cancel_after_s is not None:
            asyncio.get_running_loop().call_later(cancel_after_s, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    assert service.client.portal is not None
    service.client.portal.call(run)
    return sent


async def drip(pause_s: float) -> AsyncIterator[Message]:
    """The body byte by byte, with a pause before each."""
    for at in range(len(BODY)):
        await asyncio.sleep(pause_s)
        yield {"type": "http.request", "body": BODY[at : at + 1], "more_body": at < len(BODY) - 1}


def answer_of(sent: list[Message]) -> tuple[int, dict[bytes, bytes], str]:
    """Status, headers and problem code."""
    start, rest = sent
    return start["status"], dict(start["headers"]), json.loads(rest["body"])["code"]


@pytest.fixture
def impatient(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service that waits for a fifth of a second."""
    monkeypatch.setattr("app.endpoints.predict.PATIENCE_S", 0.2)
    return serve()


def test_a_body_that_stalls_is_408_and_the_connection_closed(
    impatient: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow client is told and let go; it is no failure of the service."""
    with caplog.at_level(logging.INFO):
        status, headers, code = answer_of(call(impatient, drip(60)))
    assert (status, code, headers[b"connection"]) == (408, "body_too_slow", b"close")
    # The service may have begun to serve only just now, and said so.
    assert [record.message for record in caplog.records if record.name != "app.swaps"] == []
    assert impatient.sample("treeserve_requests_total", route="/predict", status="408") == 1


def test_bytes_that_come_buy_time(impatient: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long body over a slow line is no attack: every byte prolongs the patience."""
    assert answer_of(call(impatient, drip(0.01)))[0] == 408  # far slower than the rate
    monkeypatch.setattr("app.endpoints.body._BYTES_PER_S", 20)
    assert call(impatient, drip(0.01))[0]["status"] == 200


def test_a_request_that_outlives_the_end_is_503_and_no_failure(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """When the time to drain is over the server cancels what is left; the caller is told to ask again."""
    status, headers, code = answer_of(call(service, drip(60), cancel_after_s=0.1))
    assert (status, code, headers[b"connection"]) == (503, "ending", b"close")
    assert b"retry-after" in headers
    assert caplog.text == ""
    assert service.sample("treeserve_requests_total", route="/predict", status="503") == 1
    assert service.sample("treeserve_requests_in_flight") == 0
