"""A real Prometheus scrapes the real service: its rules tell planted faults, and drift as the command computes it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from model.observed.drift import measure_drift
from model.observed.log_lines import LogReader
from tests.boosters import ModelFolderBuilder, make_model, make_table, to_instances
from tests.e2e.prometheus import Monitor, run_prometheus
from tests.e2e.servers import Server, Start
from tests.services import wait

pytestmark = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="prometheus is not installed (apt install prometheus)"
)


@pytest.fixture(scope="module")
def champion() -> ModelFolderBuilder:
    """A model with a reference profile."""
    return make_model(with_profile=True)


@pytest.fixture
def server(start: Start, tmp_path: Path) -> Server:
    """With two workers and a registry that does not answer, once it serves."""
    server = start(TREESERVE_WORKERS="2", TREESERVE_PAYLOAD_LOG=str(tmp_path / "payload.log"))
    server.wait_until_ready()
    return server


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[Monitor]:
    """One that looks at the service and at its rules twice a second."""
    with run_prometheus(tmp_path, [server.port]) as running:
        yield running


def test_drift_is_told_as_the_command_computes_it(server: Server, prometheus: Monitor, tmp_path: Path) -> None:
    """Over both workers; and the alert that belongs to it fires."""
    for _ in wait(30, every_s=0.2):  # Prometheus sees no increase in what it has not seen before
        if prometheus.query("count(treeserve_feature_observations_total)"):
            break
    instances = to_instances(make_table(n_rows=500, seed=3))
    for instance in instances:
        instance["wind"] = 1000.0  # nothing that training has ever seen
    for at in range(0, 500, 10):
        server.predict(*instances[at : at + 10])
        server.predict(*instances[at : at + 10])
        server.predict(*instances[at : at + 10])
    for _ in wait(30, every_s=0.2):
        if (
            "TreeserveFeatureDrifts",
            "firing",
            "wind",
            "treeserve",
            "ticket",
            server_version(server),
        ) in prometheus.query("ALERTS"):
            break
    # How quick a busy machine is, is another question.
    assert not prometheus.query('ALERTS{severity="page", alertname!="TreeserveSlow"}')
    for _ in wait(30, every_s=0.2):
        if prometheus.query("sum(treeserve_prediction_observations_total)") == {(): 1500}:
            break
    seen_s = time.time()
    for _ in wait(30, every_s=0.2):  # the rules come after
        if prometheus.query("min(timestamp(treeserve:feature_drift:psi1d))")[()] > seen_s:
            break
    told = {labels[0]: psi for labels, psi in prometheus.query("treeserve:feature_drift:psi1d").items()}
    assert server.end() == 0
    _, drifts = measure_drift(LogReader([str(tmp_path / "payload.log")]).read("treeserve.profile"))
    computed = {drift.name: drift.psi for drift in drifts if drift.kind == "feature"}
    assert {drift.n_observed for drift in drifts} == {1500}
    assert told == pytest.approx(computed, rel=1e-6)
    assert max(computed, key=lambda name: computed[name]) == "wind"


def server_version(server: Server) -> str:
    """Of the model that serves."""
    version: str = server.get("/model").json()["version"]
    return version


def test_prometheus_keeps_the_trace_of_a_request(server: Server, prometheus: Monitor) -> None:
    """As an exemplar of its duration, from whichever of the workers, and whichever way it was answered."""
    began_s = time.time()
    [instance] = to_instances(make_table(n_rows=1, seed=3))
    sent = {f"{number:032x}": "/predict" for number in range(1, 9)}
    for trace_id in sent:
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        body = {"instances": [instance]}
        httpx2.post(f"{server.url}/predict", json=body, headers=headers, trust_env=False).raise_for_status()
    for trace_id, traceparent in (("a" * 32, "00-{}-00f067aa0ba902b7-00"), ("b" * 32, "ff-{}-00f067aa0ba902b7-01")):
        headers = {"traceparent": traceparent.format(trace_id)}
        httpx2.get(f"{server.url}/readyz", headers=headers, trust_env=False).raise_for_status()
    sent["a" * 32] = "/readyz"
    for _ in wait(30, every_s=0.2):
        answer = prometheus.get(
            "/api/v1/query_exemplars",
            query="treeserve_request_duration_seconds_bucket",
            start=f"{began_s - 60}",
            end=f"{time.time() + 60}",
        )
        kept = {
            exemplar["labels"]["trace_id"]: (one["seriesLabels"], exemplar)
            for one in answer["data"]
            for exemplar in one["exemplars"]
        }
        if {one["route"] for one, _ in kept.values()} == {"/predict", "/readyz"}:
            break
    assert kept.keys() <= sent.keys()
    for trace_id, (labels, exemplar) in kept.items():
        assert labels["route"] == sent[trace_id]
        assert 0 < float(exemplar["value"]) <= float(labels["le"])
        assert began_s - 1 < float(exemplar["timestamp"]) < time.time() + 1
