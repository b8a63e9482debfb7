"""Traces of the running command: every worker sends its own, and nothing about them holds up its end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.servers import Start
from tests.otlp import Collector, run_collector
from tests.service.problems import GOOD
from tests.services import wait


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Takes spans."""
    with run_collector() as collector:
        yield collector


def test_each_worker_sends_its_own_before_it_ends(start: Start, collector: Collector) -> None:
    """All that they have, with the number of the process that the log has; the one above them sends nothing."""
    server = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TREESERVE_WORKERS="2", OTEL_BSP_SCHEDULE_DELAY="60000")
    server.wait_until_ready()
    n_requests = 0
    for _ in wait(every_s=0):  # each by a connection of its own, and so by either worker
        server.predict(GOOD)
        n_requests += 1
        if n_requests >= 40:
            break
    workers = set(server.workers)
    assert server.end() == 0
    spans = collector.spans(4 * n_requests)
    assert len(spans) == 4 * n_requests
    assert {span.resource["process.pid"] for span in spans} == workers
    roots = {span.attributes["http.request.id"]: span.trace for span in spans if not span.parent}
    lines = server.lines("treeserve.prediction")
    assert {line["http.request.id"]: line["trace.id"] for line in lines} == roots


@pytest.mark.alone
def test_a_collector_that_hangs_holds_up_neither_requests_nor_the_end(start: Start, collector: Collector) -> None:
    """Its deadline holds, and what is lost is told."""
    collector.status = 0
    server = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="50", TREESERVE_SHUTDOWN_DEADLINE_S="4"
    )
    server.wait_until_ready()
    server.predict(GOOD)
    for _ in wait():
        if collector.n_asked:
            break
    began_s = time.monotonic()
    for _ in range(20):
        server.predict(GOOD)
    assert time.monotonic() - began_s < 5
    began_s = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - began_s < 4
    assert "84 of 84 spans have been lost since the start" in [line["message"] for line in server.lines()]


def test_traces_that_cannot_be_had_are_told_and_the_service_serves(start: Start, collector: Collector) -> None:
    """In a warning, with what to do."""
    server = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    server.wait_until_ready()
    server.predict(GOOD)
    assert server.end() == 0
    [line] = [line for line in server.lines() if "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in line["message"]]
    assert line["log.level"] == "warning"
    assert collector.n_asked == 0
