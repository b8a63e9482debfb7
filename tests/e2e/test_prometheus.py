"""A real Prometheus scrapes the real service: its rules tell planted faults, and drift as the command computes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from model.drift import measure_drift
from model.log_lines import LogReader
from tests.boosters import ModelFolderBuilder, make_model, make_table, to_instances
from tests.e2e.servers import Server, Start
from tests.processes import PROJECT, clean_environment, free_port, run_process
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
def prometheus(server: Server, tmp_path: Path) -> Iterator[str]:
    """The address of one that looks at the service and at its rules once a second."""
    rules = (PROJECT / "monitoring" / "prometheus" / "rules.yml").read_text(encoding="utf-8")
    (tmp_path / "rules.yml").write_text(rules.replace("interval: 1m", "interval: 1s").replace("for: 1h", "for: 1s"))
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "treeserve", "static_configs": [{"targets": [f"127.0.0.1:{server.port}"]}]},
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
    ]
    with run_process(command, clean_environment(tmp_path), tmp_path / "prometheus"):
        for _ in wait(30):
            try:
                if httpx2.get(f"http://{address}/-/ready", trust_env=False).status_code == 200:
                    break
            except httpx2.TransportError:
                continue
        yield address


def query(address: str, expression: str) -> dict[tuple[str, ...], float]:
    """The values of an expression now, by those labels that its name has not."""
    answer = httpx2.get(f"http://{address}/api/v1/query", params={"query": expression}, trust_env=False).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return {
        tuple(value for name, value in sorted(one["metric"].items()) if name != "__name__"): float(one["value"][1])
        for one in found
    }


def test_drift_is_told_as_the_command_computes_it(server: Server, prometheus: str, tmp_path: Path) -> None:
    """Over both workers; and the alert that belongs to it fires."""
    for _ in wait(30, every_s=0.2):  # Prometheus sees no increase in what it has not seen before
        if query(prometheus, "count(treeserve_feature_observations_total)"):
            break
    instances = to_instances(make_table(n_rows=500, seed=3))
    for instance in instances:
        instance["wind"] = 1000.0  # nothing that training has ever seen
    for at in range(0, 500, 10):
        server.predict(*instances[at : at + 10])
        server.predict(*instances[at : at + 10])
        server.predict(*instances[at : at + 10])
    for _ in wait(30, every_s=0.2):
        if ("TreeserveFeatureDrifts", "firing", "wind", "ticket", server_version(server)) in query(
            prometheus, "ALERTS"
        ):
            break
    assert not query(prometheus, 'ALERTS{severity="page", alertstate="firing"}')
    for _ in wait(30, every_s=0.2):
        if query(prometheus, "sum(treeserve_prediction_observations_total)") == {(): 1500}:
            break
    assert server.end() == 0
    _, drifts = measure_drift(LogReader([str(tmp_path / "payload.log")]).read("treeserve.profile"), None)
    computed = {drift.name: drift.psi for drift in drifts if drift.kind == "feature"}
    assert {drift.n_observed for drift in drifts} == {1500}
    for _ in wait(30, every_s=0.2):  # the rules are a second behind
        told = {labels[0]: psi for labels, psi in query(prometheus, "treeserve:feature_drift:psi1d").items()}
        if told == pytest.approx(computed, rel=1e-6):
            break
    assert max(computed, key=lambda name: computed[name]) == "wind"


def server_version(server: Server) -> str:
    """Of the model that serves."""
    version: str = server.get("/model").json()["version"]
    return version
