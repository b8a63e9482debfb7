"""Prometheus's rules are what promtool takes, tell what is wrong and nothing else, and each says what to do next."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.processes import PROJECT

FOLDER = PROJECT / "monitoring" / "prometheus"
RULES = (FOLDER / "rules.yml").read_text(encoding="utf-8")
OPERATIONS = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
with_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (apt install prometheus)"
)


def run_promtool(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """What promtool says of the rules, and of what they make of the series in the file of tests."""
    (folder / "rules.yml").write_text(text, encoding="utf-8")
    shutil.copy(FOLDER / "rules.test.yml", folder)
    command = ["promtool", "test", "rules", "rules.test.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@with_promtool
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    """And they make of given series what the file beside them says."""
    checked = subprocess.run(
        ["promtool", "check", "rules", str(FOLDER / "rules.yml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ended = run_promtool(tmp_path, RULES)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@with_promtool
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("14.4 * 0.001 and", "1440 * 0.001 and"),
        ('status=~"5.."}[1h]', 'status=~"[45].."}[1h]'),
        ("p99_5m > 0.05", "p99_5m > 5"),
        (
            'unless on (instance, job) treeserve_model_info{role="champion"}',
            "unless on (instance, job) treeserve_model_info",
        ),
        ("staleness_seconds > 300", "staleness_seconds > 3000"),
        ("present_over_time(treeserve_registry_staleness_seconds[6h]))\n", "treeserve_registry_staleness_seconds)\n"),
        ("(absent(treeserve_registry_staleness_seconds)", "(absent(vector(1))"),
        ("increase(treeserve_rejections_total[15m])", "increase(treeserve_rejections_total[6h]) - 1"),
        ("increase(treeserve_payload_dropped_total[15m])", "(treeserve_payload_dropped_total)"),
        ("sum by (job, feature, bin, version) (increase", "max by (job, feature, bin, version) (rate"),
        ("treeserve:feature_observations:share1d, 0.0001", "treeserve:feature_observations:share1d, 0.001"),
        ("feature_observations:increase1d) > 1000", "feature_observations:increase1d) > 10"),
        ("treeserve:prediction_drift:psi1d > 0.25", "treeserve:prediction_drift:psi1d > 2.5"),
        ("[6h])) > 0.05", "[6h])) > 0.5"),
        ("treeserve_workers_lost_total[15m]) > 1.5", "treeserve_workers_lost_total[15m]) > 10"),
        ("sum by (job) (rate", "sum (rate"),
        ("treeserve_kernel_disagrees > 0", "treeserve_kernel_disagrees > 1"),
    ],
)
def test_a_rule_that_is_wrong_is_found_out(tmp_path: Path, right: str, wrong: str) -> None:
    """Or the file of tests would prove nothing."""
    assert right in RULES
    assert run_promtool(tmp_path, RULES.replace(right, wrong)).returncode != 0


def alerts() -> list[dict[str, object]]:
    """All of them."""
    rules = [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]
    return [rule for rule in rules if "alert" in rule]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_each_alert_has_a_section_that_says_what_to_do(alert: dict[str, dict[str, str]]) -> None:
    """Of its name, where its annotation leads."""
    name = str(alert["alert"])
    assert f"\n### {name}\n" in OPERATIONS
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
    assert alert["labels"]["severity"] in ("page", "ticket")


def test_every_section_is_an_alerts() -> None:
    """None is left of an alert that is gone."""
    assert set(re.findall(r"^### (Treeserve\w+)$", OPERATIONS, re.MULTILINE)) == {alert["alert"] for alert in alerts()}
