"""Traces are asked for by OpenTelemetry's own variables; what stands in their way is told with what to do."""

from __future__ import annotations

import os
import re
import sys
import threading

import pytest

from app.tracing.environment import find_trouble, open_tracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_EXPORTER": "otlp"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nobody_asks_for_traces(environ: dict[str, str]) -> None:
    """There are none, and nothing is said."""
    assert find_trouble(environ) is None
    assert open_tracing(environ) is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: .* http/protobuf alone; .*4318"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "PROTOCOL=http/json"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin: .*`otlp` alone"),
    ],
)
def test_what_cannot_be_done_is_told(more: dict[str, str], told: str) -> None:
    """And the service goes on without traces."""
    trouble = find_trouble({**ENDPOINT, **more})
    assert trouble is not None
    assert re.search(told, trouble)
    assert open_tracing({**ENDPOINT, **more}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "foo"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-3"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "nope"),
    ],
)
def test_what_the_sdk_refuses_costs_the_traces_alone(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And no thread is left behind."""
    for variable, text in {**ENDPOINT, name: value}.items():
        monkeypatch.setenv(variable, text)
    n_threads = threading.active_count()
    assert open_tracing(os.environ) is None
    assert any("so there are no traces" in message for message in caplog.messages)
    assert threading.active_count() == n_threads


@pytest.mark.parametrize("missing", ["opentelemetry.exporter", "opentelemetry.exporter.otlp.proto.http"])
def test_without_the_extra_it_is_told_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever package of it is not there."""
    for name in [name for name in sys.modules if name.startswith(missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)  # which makes the import fail
    trouble = find_trouble(ENDPOINT)
    assert trouble is not None
    assert trouble.endswith("pip install 'treeserve[otel]'")
    assert open_tracing(ENDPOINT) is None


def test_the_variables_of_traces_go_before_those_of_all_signals() -> None:
    """As OpenTelemetry says."""
    assert find_trouble({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    both = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert find_trouble({**ENDPOINT, **both}) is None
