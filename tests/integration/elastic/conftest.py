"""What tests of the Elastic stack share: one node with treeserve's templates."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from model.progress import Progress
from tests.integration.elastic.doors import Doors, open_doors
from tests.integration.elastic.filebeat import run_filebeat
from tests.integration.elastic.flights import FlightLogs, make_logs
from tests.integration.elastic.node import DATASETS, Node, run_node
from tests.integration.elastic.tools import has_elasticsearch, has_filebeat
from tests.integration.mlflow_store import restored_tracking_uri
from tests.integration.training import train_example
from tests.processes import PROJECT
from tests.services import wait

INSTALL = PROJECT / "monitoring" / "elasticsearch" / "install.py"


@pytest.fixture(scope="session")
def bare_node() -> Iterator[Node]:
    """A node with nothing in it."""
    if not has_elasticsearch():
        pytest.skip("there is no Elasticsearch (.venv/bin/python -m tests.integration.elastic.tools)")
    with run_node() as node:
        yield node


@pytest.fixture(scope="session")
def doors(bare_node: Node) -> Iterator[Doors]:
    """Elasticsearch's and Kibana's address."""
    with open_doors(bare_node.url) as doors:
        yield doors


def run_install(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the step as an operator does, with the standard library alone."""
    command = [sys.executable, "-I", "-S", str(INSTALL), *arguments]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("ELASTICSEARCH_")
    } | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="session")
def node(bare_node: Node, doors: Doors) -> Node:
    """With the templates in it."""
    ended = run_install("--elasticsearch", doors.url)
    assert ended.returncode == 0, ended.stderr
    return bare_node


@pytest.fixture(scope="session")
def logs(sample: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> FlightLogs:
    """Real flights, answered by two versions of the example."""
    from model.flights.features import build_dataset
    from model.flights.project import PROJECT
    from model.flights.tables import find_data, read_tables
    from model.pipeline.steps import train
    from tests.parameters import STOP_FROM, make_parameters

    folder = tmp_path_factory.mktemp("flights")
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with restored_tracking_uri():
        trained = train_example(uri, sample)
        other = make_parameters(rounds=12, stopping_rounds=5, max_depth=3)
        train(PROJECT, other, sample, uri, False, Progress(io.StringIO()))
        dataset, _ = build_dataset(read_tables(find_data(sample)))
        return make_logs(trained, dataset.select((dataset.moments >= STOP_FROM).to_numpy()), folder)


@pytest.fixture(scope="session")
def shipped(node: Node, logs: FlightLogs, tmp_path_factory: pytest.TempPathFactory) -> FlightLogs:
    """The logs in Elasticsearch, by Filebeat where there is one, and the outcomes, by the command that joins them."""
    for dataset in DATASETS:
        node.empty(f"logs-treeserve.{dataset}-*")  # of other tests too, for panels look at all of them
    if has_filebeat():
        _ship(node, logs, tmp_path_factory.mktemp("filebeat"))
    else:
        for dataset, lines in groupby(sorted(_read_lines(logs.folder), key=_dataset_of), _dataset_of):
            node.index(f"logs-{dataset}-default", *lines)
    command = [sys.executable, "-m", "model", "outcomes", "--elasticsearch", node.url, "--json"]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=120)
    return logs


def _read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    for file in folder.iterdir():
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


def _dataset_of(line: dict[str, Any]) -> str:
    return str(line["event.dataset"])


def _ship(node: Node, logs: FlightLogs, home: Path) -> None:
    with run_filebeat("filebeat.yml", home, node.url, TREESERVE_LOGS=str(logs.folder)):
        for _ in wait(120, every_s=0.5):
            if sum(node.count(f"logs-treeserve.{dataset}-default") for dataset in DATASETS) >= len(logs.lines):
                break
