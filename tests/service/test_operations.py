"""The probes and the metrics: what operators look at."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.testclient import TestClient

from app.exposition import Format
from tests.exposed_metrics import read_text
from tests.service.conftest import Serve
from tests.service.problems import GOOD
from tests.services import RUN_ID, Service, wait


def test_alive_and_ready_are_two_answers(serve: Serve, tmp_path: Path) -> None:
    """Without a model the process is alive and not ready: a restart would not help, traffic would not either."""
    (tmp_path / "empty").mkdir()
    client = serve(tmp_path / "empty", ready=False).client
    assert client.get("/livez").json() == {"live": True}
    assert client.get("/readyz").status_code == 503


def test_ready_names_the_model_version(client: TestClient) -> None:
    """Who watches a rollout sees which version is ready."""
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"ready": True, "name": "flight-delay", "version": "7"})


def test_requests_are_counted_by_route_and_status(service: Service) -> None:
    """Each request counts once, under its route and the status it was answered with."""
    client = service.client
    service.predict(GOOD)
    service.predict(GOOD)
    client.post("/predict", content=b"{")
    client.post("/predict", json={"instances": []})
    client.get("/readyz")
    client.get("/predict")
    for route, status, n_requests in [
        ("/predict", "200", 2),
        ("/predict", "400", 1),
        ("/predict", "422", 1),
        ("/predict", "405", 1),
        ("/readyz", "200", 1),
    ]:
        assert service.sample("treeserve_requests_total", route=route, status=status) == n_requests, (route, status)
    assert service.sample("treeserve_request_duration_seconds_count", route="/predict") == 5


def test_failures_have_a_count_before_the_first(service: Service) -> None:
    """Prometheus sees no increase in a counter that begins with its first value."""
    for status in ("200", "500", "503"):
        assert service.sample("treeserve_requests_total", route="/predict", status=status) == 0


def test_paths_that_are_no_route_share_one_label(service: Service) -> None:
    """A scanner that tries a thousand paths adds one time series, not a thousand."""
    for number in range(20):
        service.client.get(f"/wp-admin/{number}")
    assert service.sample("treeserve_requests_total", route="other", status="404") == 20
    routes = {s.labels["route"] for m in service.collectors.collect() for s in m.samples if "route" in s.labels}
    assert routes == {"other", "/predict"}


def test_rows_are_counted_and_not_requests_alone(service: Service) -> None:
    """Work is measured in instances, with one inference a request."""
    service.predict(GOOD)
    service.predict(*[GOOD] * 30)
    assert service.sample("treeserve_rows_total") == 31
    assert service.sample("treeserve_rows_per_request_sum") == 31
    assert service.sample("treeserve_rows_per_request_bucket", le="1.0") == 1
    assert service.sample("treeserve_rows_per_request_bucket", le="50.0") == 2
    assert service.sample("treeserve_inference_duration_seconds_count") == 2


def test_a_duration_is_counted_within_what_the_caller_waited(service: Service) -> None:
    """The sum of durations is positive and below a bound that no request of this test reaches."""
    service.predict(GOOD)
    request_s = service.sample("treeserve_request_duration_seconds_sum", route="/predict")
    inference_s = service.sample("treeserve_inference_duration_seconds_sum")
    assert request_s is not None
    assert inference_s is not None
    assert 0 < inference_s < request_s < 10


def test_nothing_is_in_flight_when_all_is_answered(service: Service) -> None:
    """Answered, refused and failed requests all leave the gauge at zero; a request in progress counts."""
    service.predict(GOOD)
    service.client.post("/predict", content=b"{")
    service.client.get("/nothing")
    assert service.sample("treeserve_requests_in_flight") == 0
    assert "treeserve_requests_in_flight 1.0" in service.client.get("/metrics").text


def test_the_model_that_serves_is_a_metric(service: Service) -> None:
    """A dashboard can tell which version answered when, and how long its start took."""
    labels = {"role": "champion", "name": "flight-delay", "version": "7", "alias": "champion", "run_id": RUN_ID}
    assert service.sample("treeserve_model_info", **labels) == 1
    assert 0 < (service.sample("treeserve_model_load_duration_seconds") or 0) < 20


def test_the_payload_log_counts_its_lines(service: Service) -> None:
    """One line an instance, counted when it is written."""
    service.predict(*[GOOD] * 5)
    for _ in wait():
        if service.sample("treeserve_payload_written_total") == 5:
            break
    assert service.sample("treeserve_payload_dropped_total", reason="queue_full") == 0


def test_a_payload_log_that_cannot_be_written_costs_no_answer(serve: Serve) -> None:
    """A full disk loses log lines, and counts them; predictions go on, and the service ends in order."""
    service = serve(payload_log="/dev/full")
    service.predict(GOOD, GOOD)
    for _ in wait():
        if service.sample("treeserve_payload_dropped_total", reason="write_failed") == 2:
            break
    assert service.sample("treeserve_payload_written_total") == 0
    assert len(service.predict(GOOD)) == 1


def test_a_payload_log_that_is_off_writes_and_counts_nothing(serve: Serve) -> None:
    """Off is off."""
    service = serve(payload_log="off")
    service.predict(GOOD)
    assert service.sample("treeserve_payload_written_total") == 0


METRICS = [
    "treeserve_requests",
    "treeserve_request_duration_seconds",
    "treeserve_inference_duration_seconds",
    "treeserve_rows",
    "treeserve_answered_rows",
    "treeserve_rows_per_request",
    "treeserve_requests_in_flight",
    "treeserve_event_loop_lag_seconds",
    "treeserve_unknown_categories",
    "treeserve_model_info",
    "treeserve_swaps",
    "treeserve_rejections",
    "treeserve_registry_checks",
    "treeserve_registry_staleness_seconds",
    "treeserve_workers_lost",
    "treeserve_model_load_duration_seconds",
    "treeserve_kernel_disagrees",
    "treeserve_payload_written",
    "treeserve_payload_dropped",
    "treeserve_challenger_disagreement",
    "treeserve_challenger_decisions",
    "treeserve_shadow_dropped",
    "treeserve_canary_fallbacks",
    "treeserve_feature_observations",
    "treeserve_feature_reference_ratio",
    "treeserve_prediction_observations",
    "treeserve_prediction_reference_ratio",
]


def test_metrics_are_prometheus_text_with_each_metric_explained(client: TestClient) -> None:
    """Prometheus can parse it, every metric is there and has its help, and none is ours unlisted."""
    response = client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in read_text(response.text)}
    assert set(families) == set(METRICS)
    assert all(families[name].documentation for name in METRICS)
    assert all(re.fullmatch("treeserve_[a-z_]+", name) for name in METRICS)


def test_who_asks_for_open_metrics_gets_the_same_in_it(client: TestClient) -> None:
    """As Prometheus does."""
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    response = client.get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.headers["vary"] == "Accept"
    assert {family.name for family in read_text(response.text, Format.OPEN_METRICS)} == set(METRICS)
