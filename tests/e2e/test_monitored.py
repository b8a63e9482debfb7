"""A real Prometheus and a real Alertmanager tell what goes wrong, and every panel of the dashboard shows it."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.monitored import N_ANSWERED, Monitored, run_monitored
from tests.e2e.prometheus import MONITORING
from tests.services import wait

pytestmark = [
    pytest.mark.monitoring,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("prometheus-alertmanager")),
        reason="prometheus or prometheus-alertmanager is not installed (apt install them)",
    ),
]
RULES = yaml.safe_load((MONITORING / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
# A kernel that differs from XGBoost would be a bug of the kernel's; promtool's tests have it.
NOT_PLANTED = {"TreeserveKernelDisagrees"}


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Monitored]:
    """Services in which everything has gone wrong, after nothing was told while all was well."""
    with run_monitored(tmp_path_factory.mktemp("monitored"), empty_database) as running:
        time.sleep(1.5)  # three looks at the rules
        assert running.prometheus.query("ALERTS") == {}
        running.plant()
        yield running


def told(monitored: Monitored) -> dict[str, list[dict[str, Any]]]:
    """The alerts that Alertmanager has, by their names."""
    found: dict[str, list[dict[str, Any]]] = {}
    for alert in monitored.alertmanager.get("/api/v2/alerts"):
        found.setdefault(alert["labels"]["alertname"], []).append(alert)
    return found


def test_alertmanager_is_told_of_all_that_is_wrong(monitored: Monitored) -> None:
    """Each alert with its severity's receiver, and where it says what to do."""
    for _ in wait(40, every_s=0.2):
        found = told(monitored)
        if set(found) == set(ALERTS) - NOT_PLANTED - {"TreeserveGone"}:
            break
    for name, alerts in found.items():
        for alert in alerts:
            assert alert["annotations"]["runbook_url"] == ALERTS[name]["annotations"]["runbook_url"]
            assert [receiver["name"] for receiver in alert["receivers"]] == [ALERTS[name]["labels"]["severity"]]
            assert "<no value>" not in alert["annotations"]["summary"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TreeserveVersionRejected", {"role": "champion", "reason": "ModelUnfit"}),
        ("TreeservePayloadLost", {"reason": "write_failed"}),
        ("TreeserveFeatureDrifts", {"feature": "wind", "version": "1"}),
        ("TreeserveChallengerDisagrees", {"champion": "1", "challenger": "2"}),
        ("TreeserveNotReady", {"instance": "unready"}),
        ("TreeserveWorkersDie", {"instance": "service"}),
        ("TreeserveRegistryStale", {"instance": "service"}),
    ],
)
def test_an_alert_says_where_it_is_wrong(monitored: Monitored, name: str, expected: dict[str, str]) -> None:
    """By its labels, and nowhere else."""
    ports = {"unready": monitored.unready_port, "service": monitored.service.port}
    if "instance" in expected:
        expected = {"instance": f"127.0.0.1:{ports[expected['instance']]}"}
    for _ in wait(20, every_s=0.2):
        active = [alert["labels"] for alert in told(monitored).get(name, []) if alert["status"]["state"] == "active"]
        if active and all(expected.items() <= labels.items() for labels in active):
            break


DASHBOARD = json.loads((MONITORING / "grafana" / "treeserve.json").read_text(encoding="utf-8"))
# Title, PromQL and legend of what each panel asks, and of each mark on them.
QUERIES = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
] + [(mark["name"], mark["expr"], mark["titleFormat"]) for mark in DASHBOARD["annotations"]["list"]]


def choose_all(expression: str) -> str:
    """As Grafana asks it with everything chosen."""
    for name, value in {"$__rate_interval": "5m", "$job": "treeserve", "$version": ".*", "$feature": "wind"}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def show(monitored: Monitored, title: str, at: int = 0) -> dict[tuple[str, ...], float]:
    """What a panel's query of that place shows."""
    return monitored.prometheus.query(
        choose_all([expression for shown, expression, _ in QUERIES if shown == title][at])
    )


@pytest.mark.parametrize(("title", "expression", "legend"), QUERIES)
def test_every_panel_has_data(monitored: Monitored, title: str, expression: str, legend: str) -> None:
    """None is expected to be empty when everything is wrong; and its legend has the labels that it speaks of."""
    for _ in wait(20, every_s=0.2):
        found = monitored.prometheus.get("/api/v1/query", query=choose_all(expression))["data"]["result"]
        if found:
            break
    for one in found:
        assert set(re.findall(r"{{(\w+)}}", legend)) <= one["metric"].keys()


def test_every_choice_has_values(monitored: Monitored) -> None:
    """Of the dashboard's variables."""
    found = {}
    for variable in DASHBOARD["templating"]["list"][1:]:
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert asked
        values = monitored.prometheus.query(f"count by ({asked[2]}) ({choose_all(asked[1])})")
        found[variable["name"]] = {labels[0] for labels in values}
    assert found["job"] == {"treeserve"}
    assert "1" in found["version"]
    assert found["feature"] == {"carrier", "hour", "temp", "wind"}


def test_the_panels_show_what_was_done(monitored: Monitored) -> None:
    """The main ones, against what the callers have counted."""
    by_status = show(monitored, "Requests to predict, by status")
    assert {status: n / sum(by_status.values()) for (status,), n in by_status.items() if n} == {
        status: pytest.approx(n / sum(N_ANSWERED.values()), rel=0.25) for status, n in N_ANSWERED.items()
    }
    lost = show(monitored, "Lost, by reason")
    assert {reason for (reason,), n in lost.items() if n > 0} == {"write_failed"}
    drifts = {labels[0]: psi for labels, psi in show(monitored, "Features").items() if labels[-1] == "1"}
    assert max(drifts, key=lambda name: drifts[name]) == "wind"
    assert show(monitored, "Decisions that would be others")["2", "1"] == pytest.approx(
        monitored.share_of_others, abs=0.05
    )
    serving = show(monitored, "Versions over time")
    assert serving["champion", "1"] == serving["challenger", "1"] == 1
    assert show(monitored, "Requests to predict take", 2)[()] > 0.1
    rows = show(monitored, "Instances predicted, by version")
    assert 0.15 < rows["challenger", "2"] / (rows["challenger", "2"] + rows["champion", "1"]) < 0.45


def test_a_service_that_is_gone_is_told(monitored: Monitored) -> None:
    """The last test, for it ends them; nothing is said any more of what only they could know."""
    for server in (monitored.service, monitored.lossy, monitored.unready):
        server.end()
    for _ in wait(40, every_s=0.2):
        if "TreeserveGone" in told(monitored):
            break
    [alert] = told(monitored)["TreeserveGone"]
    assert [receiver["name"] for receiver in alert["receivers"]] == ["page"]
