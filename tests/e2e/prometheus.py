"""Prometheus and Alertmanager as a test runs them: with the repository's own files, in a hurry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.processes import PROJECT, clean_environment, free_port, run_process
from tests.services import wait

MONITORING = PROJECT / "monitoring"
_EVERY = "500ms"
# A registry that does not answer is told after minutes; here after as many seconds as it would be hundreds.
_SECONDS = re.compile(r"(_staleness_seconds > )(\d+)")


@dataclass(frozen=True)
class Monitor:
    """A Prometheus or an Alertmanager that runs."""

    address: str

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        response = httpx2.get(f"http://{self.address}{path}", params=parameters, trust_env=False, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()

    def query(self, expression: str) -> dict[tuple[str, ...], float]:
        """The values of an expression now, by those labels that its name has not."""
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=expression)["data"]["result"]
        return {
            tuple(value for name, value in sorted(one["metric"].items()) if name != "__name__"): float(one["value"][1])
            for one in found
        }

    def wait_until_ready(self) -> None:
        """Return once it answers."""
        for _ in wait(30, every_s=0.05):
            try:
                if httpx2.get(f"http://{self.address}/-/ready", trust_env=False).status_code == 200:
                    return
            except httpx2.TransportError:
                continue


@contextmanager
def run_prometheus(folder: Path, ports: Sequence[str], alertmanager: Monitor | None = None) -> Iterator[Monitor]:
    """
    One that scrapes services and evaluates the rules twice a second.

    Parameters
    ----------
    folder : pathlib.Path
        Where its files are.
    ports : sequence of str
        Where the services listen.
    alertmanager : Monitor or None
        Who is told of alerts.
    """
    configuration = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    rules = hurry((MONITORING / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    configuration["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), _EVERY)
    [scraped] = configuration["scrape_configs"]
    scraped["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    [told] = configuration["alerting"]["alertmanagers"]
    told["static_configs"] = [{"targets": [alertmanager.address] if alertmanager else []}]
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--enable-feature=exemplar-storage",
    ]
    with _run(command, folder, {"prometheus.yml": configuration, "rules.yml": rules}) as prometheus:
        yield prometheus


@contextmanager
def run_alertmanager(folder: Path) -> Iterator[Monitor]:
    """One that notifies nobody, and at once."""
    configuration = yaml.safe_load((MONITORING / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    configuration["route"]["group_wait"] = "0s"
    command = [
        "prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=data",
        "--cluster.listen-address=",
    ]
    with _run(command, folder, {"alertmanager.yml": configuration}) as alertmanager:
        yield alertmanager


def hurry(rules: str) -> dict[str, Any]:
    """The rules, evaluated as often as possible, which wait for nothing and are soon out of patience."""
    document: dict[str, Any] = yaml.safe_load(_SECONDS.sub(lambda found: f"{found[1]}{int(found[2]) / 100}", rules))
    for group in document["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule.pop("for", None)
    return document


@contextmanager
def _run(command: Sequence[str], folder: Path, files: dict[str, Any]) -> Iterator[Monitor]:
    monitor = Monitor(f"127.0.0.1:{free_port()}")
    own = folder / command[0]
    own.mkdir()
    for name, document in files.items():
        (own / name).write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    with run_process([*command, f"--web.listen-address={monitor.address}"], clean_environment(own), own):
        monitor.wait_until_ready()
        yield monitor
