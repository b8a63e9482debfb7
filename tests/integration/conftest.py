"""What integration tests share: one MLflow store on SQLite, one MLflow server, and the example, trained once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.registry.registry import MlflowRegistry
from tests.boosters import ModelFolderBuilder, make_model
from tests.integration.mlflow_store import LoggedModel, MlflowStore, restored_tracking_uri
from tests.integration.training import Trained, train_example, write_sample
from tests.mlflow_server import run_mlflow_server
from tests.processes import free_port


@pytest.fixture(scope="session")
def champion() -> ModelFolderBuilder:
    """A category, an integer and two numbers."""
    return make_model()


@pytest.fixture(scope="session")
def store(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> MlflowStore:
    """A store on SQLite, in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("a store")
    shutil.copy(empty_database, folder / "mlflow.db")
    return MlflowStore(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri())


@pytest.fixture(scope="session")
def logged(store: MlflowStore, champion: ModelFolderBuilder, tmp_path_factory: pytest.TempPathFactory) -> LoggedModel:
    """The champion in the store: flight-delay version 1, alias champion."""
    place = tmp_path_factory.mktemp("training") / "files"
    return store.log_with_artifacts(champion, place, alias="champion")


@pytest.fixture
def registry(store: MlflowStore, tmp_path: Path) -> MlflowRegistry:
    """The service's registry on that store, with a cache folder of its own."""
    return MlflowRegistry(store.uri, tmp_path / "cache")


@pytest.fixture(scope="session")
def server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowStore]:
    """An MLflow server that keeps its store on SQLite, and hands artifacts out itself."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    with run_mlflow_server(folder, port, empty_database):
        yield MlflowStore(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every twentieth flight, as files to train from."""
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def trained(sample: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The example, trained on the sample in a folder whose name has a space; tests read it and leave it as it is."""
    folder = tmp_path_factory.mktemp("a trained example")
    shutil.copy(empty_database, folder / "mlflow.db")
    with restored_tracking_uri():
        return train_example(f"sqlite:///{folder / 'mlflow.db'}", sample)
