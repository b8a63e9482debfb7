"""A request that is sampled is a span, its steps are spans below it, and its log lines have the same trace."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from app.endpoints.short_way import ShortWay
from app.forest.kernel_forest import KernelForest
from app.tracing.environment import open_tracing
from tests.otlp import FAILED, SERVER, Collector, collect_spans
from tests.service.conftest import Serve
from tests.service.problems import GOOD
from tests.services import Service, wait

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = ({"traceparent": f"00-{TRACE}-{CALLER}-{flags}"} for flags in ("01", "00"))
STEPS = ["decode", "predict", "encode"]

Send = Callable[[Service, dict[str, str]], None]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Takes spans as soon as there are any."""
    with collect_spans(monkeypatch, within_ms=20) as collector:
        yield collector


@pytest.fixture
def traced(collector: Collector, serve: Serve) -> Callable[[], Service]:
    """Starts a service that traces as the environment says."""
    return lambda: serve(tracing=open_tracing(os.environ))


def send_short(service: Service, headers: dict[str, str]) -> None:
    """As nearly all requests go."""
    way = service.app.short_way  # type: ignore[attr-defined]
    assert isinstance(way, ShortWay)
    body = json.dumps({"instances": [GOOD]}).encode()
    given = {"host": "x", "content-type": "application/json", **headers}
    lines = [(name.lower().encode(), value.encode()) for name, value in given.items()]
    assert service.client.portal is not None
    assert service.client.portal.call(way.answer, lines, body) is not None


def send_long(service: Service, headers: dict[str, str]) -> None:
    """Through the framework's layers."""
    assert service.client.post("/predict", json={"instances": [GOOD]}, headers=headers).status_code == 200


def send_batch(service: Service, headers: dict[str, str]) -> None:
    """Large enough for a thread of its own."""
    assert service.client.post("/predict", json={"instances": [GOOD] * 500}, headers=headers).status_code == 200


@pytest.mark.parametrize("send", [send_short, send_long, send_batch])
def test_a_sampled_request_is_a_span_with_its_steps_below(
    traced: Callable[[], Service], collector: Collector, send: Send
) -> None:
    """Within the caller's trace, which the log's lines have too, and one after the other."""
    service = traced()
    send(service, {**SAMPLED, "tracestate": "vendor=abc", "x-request-id": "mine"})
    whole, *steps = collector.spans(4)
    assert (whole.name, whole.kind, whole.parent, whole.status) == ("POST /predict", SERVER, CALLER, 0)
    assert [step.name for step in steps] == STEPS
    assert {step.parent for step in steps} == {whole.id}
    assert len({span.id for span in (whole, *steps)}) == 4
    assert {(span.trace, span.trace_state) for span in (whole, *steps)} == {(TRACE, "vendor=abc")}
    times = [whole.began_ns, *(time for step in steps for time in (step.began_ns, step.ended_ns)), whole.ended_ns]
    assert times == sorted(times)
    assert all(before.ended_ns == after.began_ns for before, after in pairwise(steps))
    n_instances = 500 if send is send_batch else 1
    [line, *_] = service.log_lines(n_instances)
    assert (line["trace.id"], line["http.request.id"]) == (TRACE, "mine")
    assert whole.attributes == {
        "http.request.method": "POST",
        "http.request.id": "mine",
        "http.response.status_code": 200,
        "http.route": "/predict",
        "url.path": "/predict",
        "url.scheme": "http",
        "treeserve.model.name": line["treeserve.model.name"],
        "treeserve.model.version": line["treeserve.model.version"],
        "treeserve.n_instances": n_instances,
    }
    assert whole.resource["service.name"] == "treeserve"
    assert whole.resource["process.pid"] == os.getpid()


@pytest.mark.parametrize("send", [send_short, send_long])
def test_a_trace_that_begins_here_is_in_the_log(
    traced: Callable[[], Service], collector: Collector, send: Send
) -> None:
    """So that either is found from the other; a `traceparent` that is not valid counts as none."""
    service = traced()
    send(service, {})
    send(service, {"traceparent": f"00-{'0' * 32}-{CALLER}-01"})
    send(service, {"traceparent": f"01-{TRACE}-{CALLER}-01-{'x' * 600}"})  # OpenTelemetry reads no such thing
    spans = collector.spans(12)
    roots = [span for span in spans if not span.parent]
    assert [span.name for span in roots] == ["POST /predict"] * 3
    assert [line["trace.id"] for line in service.log_lines(3)] == [span.trace for span in roots]
    assert len({span.trace for span in spans} - {TRACE, "0" * 32}) == 3


def test_a_callers_faults_are_not_told(
    traced: Callable[[], Service], collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """Or any caller could fill the log."""
    send_short(traced(), {**SAMPLED, "tracestate": "," * 10 + "=" * 400})
    assert collector.spans(4)
    assert not caplog.records


@pytest.mark.parametrize("send", [send_short, send_long])
def test_a_caller_who_does_not_sample_is_heeded(
    traced: Callable[[], Service], collector: Collector, send: Send
) -> None:
    """Its trace stands in the log, as without traces."""
    service = traced()
    send(service, UNSAMPLED)
    assert service.log_lines(1)[0]["trace.id"] == TRACE
    assert collector.count_in(0.1) == 0


def test_the_samplers_of_the_environment_decide(
    traced: Callable[[], Service], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the trace's own number, so that every service of a trace decides alike."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")  # which does not heed the caller
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    service = traced()
    low, high = "1" * 32, "f" * 32
    for trace in (low, high):
        for flags in ("00", "01"):
            send_short(service, {"traceparent": f"00-{trace}-{CALLER}-{flags}"})
    for _ in range(40):
        send_short(service, {})
    lines = service.log_lines(44)
    roots = {line["trace.id"] for line in lines[4:] if "trace.id" in line}
    assert 5 <= len(roots) <= 35
    assert all(int(trace[16:], 16) < 2**63 for trace in roots)
    spans = collector.spans(8 + 4 * len(roots))
    assert {span.trace for span in spans} == {low, *roots}
    assert sum(span.trace == low for span in spans) == 8
    assert collector.count_in(0.1) == len(spans)


def test_the_environment_names_the_service(
    traced: Callable[[], Service], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says whatever else is true of it."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "delays")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.version=9")
    send_short(traced(), {})
    resource = collector.spans(4)[0].resource
    told = resource["service.name"], resource["deployment.environment.name"], resource["service.version"]
    assert told == ("delays", "test", "9")


def test_a_request_that_fails_says_so(
    traced: Callable[[], Service],
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault of the caller's is no error of ours; one of ours is, and its line of the log has the trace."""
    service = traced()
    assert service.client.post("/predict", json={}, headers=SAMPLED).status_code == 422

    def fail(self: KernelForest, matrix: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(KernelForest, "predictions", fail)
    assert service.client.post("/predict", json={"instances": [GOOD]}, headers=SAMPLED).status_code == 500
    refused, failed = collector.spans(2)
    assert (refused.attributes["http.response.status_code"], refused.status) == (422, 0)
    assert (failed.attributes["http.response.status_code"], failed.status) == (500, FAILED)
    assert failed.attributes["error.type"] == "500"
    [told] = [record for record in caplog.records if record.exc_info]
    assert told.__dict__["ecs"]["trace.id"] == TRACE


def test_other_routes_are_traced_where_they_are_posted_to(traced: Callable[[], Service], collector: Collector) -> None:
    """Probes and scrapes would fill the traces; and no path of a caller's becomes a name."""
    client = traced().client
    client.get("/livez", headers=SAMPLED)
    client.get("/metrics", headers=SAMPLED)
    client.post("/model/refresh", headers=SAMPLED)
    client.post("/nowhere", headers=SAMPLED)
    refresh, nowhere = collector.spans(2)
    assert (refresh.name, refresh.attributes["http.route"]) == ("POST /model/refresh", "/model/refresh")
    assert nowhere.name == "POST"
    assert "http.route" not in nowhere.attributes
    assert nowhere.attributes["url.path"] == "/nowhere"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of spans."""
    return [record.getMessage() for record in caplog.records if record.name == "app.tracing.export"]


def test_a_collector_that_is_away_is_told_once_and_costs_no_request(
    serve: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With what is wrong; when it is back, that too."""
    caplog.set_level(logging.INFO)
    collector.status = 404
    service = serve(tracing=open_tracing(os.environ))
    send_short(service, SAMPLED)
    for _ in wait():
        if told(caplog):
            break
    send_short(service, SAMPLED)
    collector.count_in(0.1)
    assert len(told(caplog)) == 1
    assert "404" in told(caplog)[0]
    collector.status = 200
    send_short(service, SAMPLED)
    assert len(collector.spans(4)) == 4
    for _ in wait():
        if len(told(caplog)) == 2:
            break
    assert told(caplog)[1] == "the collector takes spans again"
    collector.status = 503
    send_short(service, SAMPLED)
    for _ in wait():
        if len(told(caplog)) == 3:
            break
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]
