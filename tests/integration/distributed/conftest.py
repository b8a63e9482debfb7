"""One cluster for all of these tests, the rows that it is given, and what one process comes to with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.datasets.split import Split
from model.distributed.cluster import Cluster, connect
from model.flights.project import PROJECT
from model.pipeline.steps import split_dataset
from model.training.fit import FittedModel, fit_model
from tests.dask_clusters import RunningCluster, Watching, run_cluster
from tests.integration.distributed.jobs import LONG, N_PARTITIONS
from tests.integration.training import Trained
from tests.parameters import make_parameters


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command and the workers keep model versions, as machines that share nothing else would not."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def running(trained: Trained, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster whose registry has the trained example, with two workers that may be killed beside the first."""
    variables = {"MLFLOW_TRACKING_URI": trained.uri, "TREESERVE_CACHE_DIR": str(cache / "workers")}
    folder = tmp_path_factory.mktemp("cluster")
    with run_cluster(folder, "first", "second", "third", variables=variables) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(running: RunningCluster) -> Iterator[Cluster]:
    """The command's end of it."""
    with connect(running.address, Watching()) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def split(sample: Path) -> Split:
    """A twentieth of the flights."""
    return split_dataset(PROJECT, PROJECT.read(sample, "2013-12", Watching()), make_parameters())


@pytest.fixture(scope="session")
def single(split: Split) -> FittedModel:
    """What one process comes to."""
    return fit_model(split, PROJECT.task, LONG, Watching())


@pytest.fixture(scope="session")
def instances(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The later rows with a number of their own each, in many partitions."""
    folder = tmp_path_factory.mktemp("instances")
    table = pd.concat([split.stop.features, split.test.features], ignore_index=True)
    table["id"] = np.arange(len(table))
    for position, rows in enumerate(np.array_split(np.arange(len(table)), N_PARTITIONS)):
        table.iloc[rows].to_parquet(folder / f"part-{position:02}.parquet", index=False)
    return folder


@pytest.fixture
def environment(trained: Trained, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    monkeypatch.setenv("TREESERVE_CACHE_DIR", str(cache / "command"))
