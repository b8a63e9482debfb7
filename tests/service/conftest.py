"""What service tests share: a champion, written once, and services that serve it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from tests.boosters import ModelFolderBuilder, make_model
from tests.services import FakeRegistry, Service, run_service

Serve = Callable[..., Service]


@pytest.fixture(scope="session")
def champion() -> ModelFolderBuilder:
    """The model most tests serve: `carrier` and `hour` required, `temp` and `wind` not."""
    return make_model()


@pytest.fixture(scope="session")
def champion_folder(champion: ModelFolderBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The champion's files."""
    return champion.write(tmp_path_factory.mktemp("champion") / "model")


@pytest.fixture
def serve(champion_folder: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start services; all of them end with the test."""
    numbers = count()
    with ExitStack() as running:

        def start(folder: Path = champion_folder, *, ready: bool = True, **settings: Any) -> Service:
            place = tmp_path / f"payload-{next(numbers)}.log"
            return running.enter_context(run_service(FakeRegistry(folder), place, ready=ready, **settings))

        yield start


@pytest.fixture
def service(serve: Serve) -> Service:
    """The champion, served with the default settings."""
    return serve()


@pytest.fixture
def client(service: Service) -> TestClient:
    """An HTTP client of `service`."""
    return service.client


@pytest.fixture
def collectors(service: Service) -> CollectorRegistry:
    """The metrics of `service`."""
    return service.collectors
