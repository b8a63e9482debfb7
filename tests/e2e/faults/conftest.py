"""What the fault tests share: a registry with versions, services that follow it, and a record of what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.faults.load import Load
from tests.e2e.faults.records import keep_record
from tests.e2e.faults.registry import ALIAS_URI, Registry
from tests.e2e.servers import Server, Start
from tests.processes import free_port

Follow = Callable[..., Server]
Record = Callable[..., None]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Registry]:
    """Versions 1 and 2 are good; each test begins with 1 as the champion."""
    running = Registry(tmp_path_factory.mktemp("registry"), free_port(), empty_database)
    for rounds in (12, 10):
        running.log_good(rounds)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that services share, unless a test gives them another: a start then takes a second."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def follow(start: Start, registry: Registry, cache: Path) -> Follow:
    """Starts services that look at the registry several times a second, and waits until they serve."""
    registry.promote("1")

    def run(prefix: Sequence[str] = (), **variables: str) -> Server:
        given = {
            "TREESERVE_MODEL_URI": ALIAS_URI,
            "MLFLOW_TRACKING_URI": registry.uri,
            "TREESERVE_POLL_INTERVAL_S": "0.3",
            "TREESERVE_CACHE_DIR": str(cache),
            "TREESERVE_PAYLOAD_LOG": "off",
        }
        server = start(prefix=prefix, **given | variables)
        server.wait_until_ready()
        return server

    return run


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Prints what a test has seen, and keeps it for `docs/reliability.md`."""

    def keep(load: Load, seen: str, n_held: int = 0) -> None:
        keep_record(request, [load], seen, n_held=n_held)

    return keep
