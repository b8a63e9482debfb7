"""A collector of traces: takes spans over OTLP as the real one does, or does not, as a test wants it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.http_servers import serving
from tests.services import wait

SERVER = Span.SPAN_KIND_SERVER
FAILED = Status.STATUS_CODE_ERROR


class Received(NamedTuple):
    """A span, its ids in hexadecimal digits; `parent` is empty where it has none."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    began_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    trace_state: str
    status: int
    resource: dict[str, Any]


class Collector:
    """
    What has come, and what is answered.

    Attributes
    ----------
    url : str
        For ``OTEL_EXPORTER_OTLP_ENDPOINT``.
    status : int
        What is answered; 0 for nothing at all, until `has_ended`.
    has_ended : threading.Event
    n_asked : int
        How many batches have come, taken or not.
    """

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.n_asked = 0
        self.has_ended = threading.Event()
        self._spans: list[Received] = []

    def take(self, path: str, body: bytes) -> None:
        """Take in what was posted."""
        assert path == "/v1/traces"
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _read_attributes(group.resource.attributes)
            self._spans += [_read(span, resource) for scope in group.scope_spans for span in scope.spans]

    def spans(self, n_spans: int) -> list[Received]:
        """All that has come, once it is so many, in the order in which it began; requests before their steps."""
        for _ in wait():
            if len(self._spans) >= n_spans:
                break
        return sorted(self._spans, key=lambda span: (span.began_ns, -span.ended_ns))

    def count_in(self, seconds: float) -> int:
        """How many have come some time from now."""
        time.sleep(seconds)
        return len(self._spans)


def _read(span: Span, resource: dict[str, Any]) -> Received:
    return Received(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _read_attributes(span.attributes),
        span.trace_state,
        span.status.code,
        resource,
    )


def _read_attributes(attributes: Any) -> dict[str, Any]:
    def read(one: KeyValue) -> Any:
        return getattr(one.value, one.value.WhichOneof("value") or "")

    return {one.key: read(one) for one in attributes}


@contextmanager
def run_collector() -> Iterator[Collector]:
    """Collect, on a free port of loopback."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.n_asked += 1
            if collector.status == 0:
                collector.has_ended.wait(60)
                self.close_connection = True
                return
            if collector.status == 200:
                collector.take(self.path, body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server) as collector.url:
        try:
            yield collector
        finally:
            collector.has_ended.set()


@contextmanager
def collect_spans(patch: pytest.MonkeyPatch, within_ms: int) -> Iterator[Collector]:
    """Collect, and have this process's environment name the collector alone, which is sent spans so often."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        patch.delenv(name)
    with run_collector() as collector:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", str(within_ms))
        yield collector
