"""Prometheus and Alertmanager take the files that operators begin with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import PROJECT

PROMETHEUS = PROJECT / "monitoring" / "prometheus" / "prometheus.yml"
ALERTMANAGER = PROJECT / "monitoring" / "alertmanager" / "alertmanager.yml"
with_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (apt install prometheus)"
)
with_amtool = pytest.mark.skipif(
    not shutil.which("amtool"), reason="amtool is not installed (apt install prometheus-alertmanager)"
)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """What a tool says."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)


@with_promtool
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """With the rules that it names."""
    checked = run("promtool", "check", "config", PROMETHEUS)
    assert checked.returncode == 0, checked.stderr
    assert "rules.yml" in checked.stdout
    broken = tmp_path / "prometheus.yml"
    broken.write_text(PROMETHEUS.read_text(encoding="utf-8").replace("rules.yml", "no.yml"), encoding="utf-8")
    assert run("promtool", "check", "config", broken).returncode != 0


@with_amtool
@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_alertmanager_sends_each_severity_its_own_way(severity: str) -> None:
    """And takes its configuration."""
    checked = run("amtool", "check-config", ALERTMANAGER)
    assert checked.returncode == 0, checked.stderr
    routed = run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"severity={severity}")
    assert routed.stdout.strip() == severity
