"""The services that show logs: pinned, bounded, on this machine alone."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.processes import PROJECT

FILE = PROJECT / "docker-compose.yml"
SERVICES: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_compose_takes_the_file() -> None:
    """And starts all of it by the profile's name."""
    command = ["docker-compose", "--profile", "logs", "config", "--services"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert set(ended.stdout.split()) == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_and_bounded_and_on_this_machine_alone(name: str) -> None:
    """The stack's parts are of one version."""
    service = SERVICES[name]
    assert service["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["image"].endswith(":8.19.13") or name == "logs-setup"
    if name != "logs-setup":
        assert "healthcheck" in service
