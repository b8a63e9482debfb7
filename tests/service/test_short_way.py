"""The short way answers what the app's way answers, byte for byte, or declines and leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.endpoints.short_way import ShortWay
from app.forest.kernel_forest import KernelForest
from tests.service.conftest import Serve
from tests.service.problems import GOOD
from tests.services import FakeRegistry, Service, run_service

BODY = json.dumps({"instances": [GOOD, {"hour": 3, "carrier": "AA", "wind": None}]}).encode()
JSON = (b"content-type", b"application/json")


def short_way(service: Service) -> ShortWay:
    """The service's."""
    way = service.app.short_way  # type: ignore[attr-defined]
    assert isinstance(way, ShortWay)
    return way


def answer(
    service: Service, body: bytes = BODY, *headers: tuple[bytes, bytes], host: bytes | None = b"x"
) -> tuple[dict[str, str], bytes] | None:
    """Headers and body of the answer; None where it declines."""
    given = [(b"content-length", b"%d" % len(body)), *(headers or (JSON,))]
    if host is not None:
        given.insert(0, (b"host", host))
    assert service.client.portal is not None  # where the service runs, as its lines are written later on the same loop
    answered = service.client.portal.call(short_way(service).answer, given, body)
    if answered is None:
        return None
    head, _, rest = answered.partition(b"\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")), rest


def trace(service: Service) -> list[float | None]:
    """What a request leaves in the metrics."""
    requests = {"route": "/predict", "status": "200"}
    return [
        service.sample("treeserve_requests_total", **requests),
        service.sample("treeserve_request_duration_seconds_count", route="/predict"),
        service.sample("treeserve_rows_total"),
        service.sample("treeserve_rows_per_request_count"),
        service.sample("treeserve_inference_duration_seconds_count"),
        service.sample("treeserve_requests_in_flight"),
    ]


def test_it_answers_as_the_app_does(service: Service) -> None:
    """The same bytes, headers, counts and lines of the log."""
    ids = (b"x-request-id", b"mine")
    traceparent = (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")
    found = answer(service, BODY, JSON, ids, traceparent)
    assert found is not None
    once = trace(service)
    asked = {"X-Request-ID": "mine", "traceparent": traceparent[1].decode(), "Content-Type": "application/json"}
    response = service.client.post("/predict", content=BODY, headers=asked)
    assert (found[1], found[0]) == (response.content, dict(response.headers))
    assert trace(service) == [2 * value if value else value for value in once]
    lines = service.log_lines(4)
    for line in lines:
        del line["@timestamp"], line["event.duration"]
    assert lines[:2] == lines[2:]
    assert lines[0]["trace.id"] == "a" * 32


def test_a_request_without_an_id_is_given_one(service: Service) -> None:
    """In the answer's header and body, another each time."""
    answers = [answer(service) for _ in range(2)]
    ids = [found[0]["x-request-id"] for found in answers if found]
    assert [json.loads(found[1])["request_id"] for found in answers if found] == ids
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", (JSON,)),
        (b"{", (JSON,)),
        (BODY, ((b"accept", b"*/*"),)),
        (BODY, ((b"content-type", b"application/json; charset=utf-8"),)),
        (BODY, ((b"content-type", b"text/csv"),)),
        (BODY, (JSON, (b"content-encoding", b"gzip"))),
        (BODY.replace(b'"AA"', b'"ZZ"'), (JSON,)),
        (BODY.replace(b'"hour"', b'"horu"'), (JSON,)),
        (BODY.replace(b'"AA"', b'"\\u0041A"'), (JSON,)),
        (b'{"instances": [' + b",".join([json.dumps(GOOD).encode()] * 100) + b"]}", (JSON,)),
        (BODY + b" " * 40_000, (JSON,)),
    ],
)
def test_whatever_is_not_the_plainest_of_cases_goes_the_apps_way(
    service: Service, body: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    """Valid or not; and nothing is counted or logged twice for it."""
    before = trace(service)
    assert answer(service, body, *headers) is None
    assert trace(service) == before
    assert service.payload_log.read_text() == ""


def test_a_head_that_is_not_clear_is_left_to_the_apps_way(service: Service) -> None:
    """Which refuses it; a header that comes twice and may do so is no reason."""
    unclear: list[tuple[tuple[bytes, bytes], ...]] = [
        (JSON, (b"host", b"y")),
        (JSON, (b"content-type", b"text/csv")),
        ((b"content-type", b"text/csv"), JSON),
        (JSON, (b"transfer-encoding", b"gzip, chunked")),
        (JSON, (b"transfer-encoding", b"gzip"), (b"transfer-encoding", b"chunked")),
    ]
    before = trace(service)
    assert answer(service, BODY, host=None) is None
    assert [answer(service, BODY, *headers) for headers in unclear] == [None] * len(unclear)
    assert trace(service) == before
    assert answer(service, BODY, JSON, JSON, (b"accept", b"a/b"), (b"accept", b"c/d")) is not None
    assert answer(service, BODY, JSON, (b"transfer-encoding", b"chunked")) is not None


def test_limits_hold_here_too(serve: Serve) -> None:
    """The app's way refuses these."""
    assert answer(serve(max_body_bytes=len(BODY) - 1)) is None
    assert answer(serve(max_instances=1)) is None
    assert answer(serve(max_body_bytes=len(BODY), max_instances=2)) is not None


def test_it_declines_before_a_model_serves(serve: Serve, tmp_path: Any) -> None:
    """The app's way says why none does."""
    assert answer(serve(tmp_path, ready=False)) is None


def test_a_failure_is_left_to_the_apps_way(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which meets it again, logs it and answers 500."""

    def fail(self: KernelForest, matrix: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(KernelForest, "predictions", fail)
    before = trace(service)
    assert answer(service) is None
    assert trace(service) == before


def test_lines_that_still_wait_are_written_at_the_end(champion_folder: Path, tmp_path: Path) -> None:
    """The end comes before their time has."""
    place = tmp_path / "payload.log"
    with run_service(FakeRegistry(champion_folder), place) as service:
        assert answer(service) is not None
    assert len(place.read_text().splitlines()) == 2
