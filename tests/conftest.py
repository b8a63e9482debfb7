"""What tests of every kind share."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from model.names import PROJECT
from tests.workers import SharedOut, is_alone, turn

_EXAMPLE = "flights"

# XGBoost's threads spin while they wait for each other, which on a busy machine takes the tests beside them their time.
# Read when XGBoost is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let the test configure logging, and give pytest its own back afterwards."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    root.handlers = []  # or they would be closed
    yield
    logging.captureWarnings(False)
    root.level, root.handlers = before


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as MLflow makes it: it takes seconds, so it is made once and copied."""
    place = tmp_path_factory.mktemp("empty") / "mlflow.db"
    from tests.integration.mlflow_store import load_mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    load_mlflow().MlflowClient(tracking_uri=f"sqlite:///{place}").search_experiments()
    return place


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run alone come last, when the others wait for little; the example's only where that is the project."""
    items.sort(key=is_alone)
    if PROJECT != _EXAMPLE:
        for item in filter(_is_of_example, items):
            item.add_marker(pytest.mark.skip(reason=f"model/names.py names {PROJECT}, and not the example"))


def _is_of_example(item: pytest.Item) -> bool:
    of_example = {"trained", "sample"} & set(getattr(item, "fixturenames", ()))
    return bool(of_example) or item.get_closest_marker("example") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test, what it sets up included, when it is its turn."""
    with turn(alone=is_alone(item)):
        return (yield)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharedOut:
    """Share the tests out in a way of our own."""
    return SharedOut(config, log)
