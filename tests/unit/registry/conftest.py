"""What tests of the registry share: a server that stands in for MLflow's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.registry.fake_server import FakeServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A running server, and an environment without credentials or proxies."""
    for name in ("USERNAME", "PASSWORD", "TOKEN", "INSECURE_TLS", "SERVER_CERT_PATH"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FakeServer().running() as server:
        yield server
