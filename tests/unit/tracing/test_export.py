"""Spans leave by a thread of their own, for no longer than they are given at the end, and what is lost is told."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from app.tracing.environment import open_tracing
from app.tracing.spans import Tracing
from tests.otlp import Collector, collect_spans
from tests.services import wait

N_SPANS = 20


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Takes spans; nothing is sent before a queue is closed, or half a minute is over."""
    with collect_spans(monkeypatch, within_ms=30_000) as collector:
        yield collector
    for thread in threading.enumerate():  # or its last words would be those of the next test
        if thread.name == "last-spans":
            thread.join(10)


def trace(n_spans: int = N_SPANS) -> Tracing:
    """Some requests without steps."""
    tracing = open_tracing(os.environ)
    assert tracing is not None
    add(tracing, n_spans)
    return tracing


def add(tracing: Tracing, n_spans: int) -> None:
    """More of them."""
    for _ in range(n_spans):
        span = tracing.open({}, None, time.time_ns() // 1000, time.perf_counter())
        assert span is not None
        span.end("id", "/predict", "/predict", 200, time.perf_counter_ns())


def close(tracing: Tracing, timeout_s: float) -> float:
    """Close it; how long that took, in seconds."""
    began_s = time.perf_counter()
    tracing.close(timeout_s)
    return time.perf_counter() - began_s


def test_what_waits_is_sent_at_the_end(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """All of it, in as many batches as it takes; and nothing is told."""
    tracing = trace(1200)
    close(tracing, 10)
    assert collector.count_in(0) == 1200
    assert not caplog.records


def test_the_end_does_not_wait_for_a_collector_that_hangs(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """Longer than it is given; what it has not taken is lost."""
    collector.status = 0
    assert close(trace(), 0.2) == pytest.approx(0.2, abs=0.15)
    assert caplog.messages == [f"{N_SPANS} of {N_SPANS} spans have been lost since the start"]


def test_the_end_does_not_wait_for_a_collector_that_is_away(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there to be tried again."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    with socket.socket() as taken:  # so that nobody else listens there
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        tracing = trace()
        for _ in wait():
            if caplog.messages:
                break
        assert close(tracing, 10) < 1
    first, last = caplog.messages
    assert first.startswith("spans are not taken by the collector: ")
    assert "refused" in first
    assert last == f"{N_SPANS} of {N_SPANS} spans have been lost since the start"


def test_a_queue_that_is_full_loses_the_oldest_and_says_so(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """It is as long as the SDK's variable says; nobody waits."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    collector.status = 0
    tracing = trace(8)
    for _ in wait():
        if collector.n_asked:
            break
    add(tracing, 20)  # while the first eight are on their way
    collector.status = 200
    collector.has_ended.set()
    close(tracing, 10)
    assert collector.count_in(0) == 8 + 8
    assert caplog.messages[-1] == "12 of 28 spans have been lost since the start"
