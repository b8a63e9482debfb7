"""
The whole service in this process, around a real booster and a fake registry.

The registry is the only part that is not the real one: it hands out a folder that
`tests.boosters` wrote.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from app.drain import Drain
from app.line_sink import LineSink
from app.main import create_app
from app.metrics import Metrics
from app.model_version import ModelVersion, Role
from app.polling import RegistryWatch
from app.preparation.last_verified import LastVerified
from app.preparation.prepare import prepare
from app.registry.registry import Registry
from app.settings import Settings

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

RUN_ID = "a" * 32
MODEL_URI = "models:/flight-delay@champion"
WAIT_S = 20.0


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class FakeRegistry:
    """Resolves every URI to `version` in `folder`, once `may_fetch` is set; raises `failure` if there is one."""

    folder: Path
    version: str = "7"
    failure: Exception | None = None
    may_fetch: threading.Event = field(default_factory=_set_event)

    def resolve(self, uri: str) -> ModelVersion:
        if self.failure is not None:
            raise self.failure
        return ModelVersion("flight-delay", self.version, "champion", RUN_ID, str(self.folder), is_immutable=True)

    def fetch(self, version: ModelVersion) -> Path:
        assert self.may_fetch.wait(WAIT_S)
        return Path(version.source)


@dataclass
class Service:
    """A running service, as a test looks at it."""

    app: FastAPI
    client: TestClient
    collectors: CollectorRegistry
    payload_log: Path
    hopeless: threading.Event
    drain: Drain

    def sample(self, metric: str, /, **labels: str) -> float | None:
        """The value of one metric; None where it has no such labels."""
        return self.collectors.get_sample_value(metric, labels)

    def log_lines(self, n_lines: int) -> list[dict[str, Any]]:
        """The payload log, once it has `n_lines` lines."""
        for _ in wait():
            lines = self.payload_log.read_text(encoding="utf-8").splitlines()
            if len(lines) >= n_lines:
                break
        return [json.loads(line) for line in lines]

    def predict(self, *instances: Mapping[str, Any]) -> list[Any]:
        """The predictions of instances that are valid."""
        response = self.client.post("/predict", json={"instances": instances})
        assert response.status_code == 200, response.text
        predictions: list[Any] = response.json()["predictions"]
        return predictions


def wait(at_most_s: float = WAIT_S, every_s: float = 0.005) -> Iterator[None]:
    """Go round until the loop breaks, and fail when that takes too long."""
    ends = time.monotonic() + at_most_s
    while time.monotonic() < ends:
        yield
        time.sleep(every_s)
    raise AssertionError(f"it did not happen within {at_most_s} s")


def standard_output() -> LineSink:
    """Where services log to."""
    return LineSink(1)


@contextmanager
def run_service(
    registry: Registry,
    log_file: Path,
    *,
    ready: bool | None = True,
    tracing: Tracing | None = None,
    **settings: Any,
) -> Iterator[Service]:
    """
    Start the service, wait until it serves (or has failed to, where `ready` is False), and end it.

    With None for `ready` it does not wait.

    Settings are the fields of `Settings` that are not the defaults.
    """
    given = {"model_uri": MODEL_URI, "payload_log": str(log_file), "cache_dir": log_file.parent / "cache"} | settings
    valid = Settings.model_validate(given)
    collectors = CollectorRegistry()
    metrics = Metrics(collectors)
    hopeless = threading.Event()
    cache = Path(valid.cache_dir)
    source = RegistryWatch(
        valid,
        registry,
        lambda version: prepare(version, registry, [cache / "prepared"]),
        LastVerified(cache, "a store"),
        metrics,
    )
    drain = Drain(valid.shutdown_grace_s, valid.shutdown_deadline_s)
    app = create_app(valid, source, metrics, standard_output(), drain, on_hopeless=hopeless.set, tracing=tracing)
    with TestClient(app, follow_redirects=False, client=("127.0.0.1", 50_000)) as client:
        rollout = app.state.rollout
        for _ in wait():
            standing = rollout.standings.get(Role.CHAMPION)
            if ready is None or rollout.predictor or (standing and standing.trouble):
                break
        assert ready in (None, rollout.predictor is not None), standing
        yield Service(app, client, collectors, log_file, hopeless, drain)
