"""MLflow servers on PostgreSQL and S3: one hands artifacts out, as in docker-compose.yml, the other does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import servers
from tests.e2e.servers import Start
from tests.integration.stores.mlflow import Mlflow
from tests.integration.stores.object_store import ObjectStore, run_object_store
from tests.integration.stores.postgres import Postgres, find_programs, run_postgres
from tests.processes import PROJECT

# MLflow with the clients of its stores, and moto: the service and its tests have neither.
ENVIRONMENT = PROJECT / "build" / "stores"


@pytest.fixture(scope="session")
def programs() -> Path:
    """The commands of MLflow and moto."""
    if not (ENVIRONMENT / ".installed-stores").is_file():
        pytest.skip("MLflow has no clients of PostgreSQL and S3 (requirements/install.sh stores build/stores)")
    return ENVIRONMENT / "bin"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, without a database of ours."""
    installed = find_programs()
    if installed is None:
        pytest.skip("there is no PostgreSQL (apt-get install postgresql)")
    with run_postgres(installed, password="its password/with: @ signs") as running:
        yield running


@pytest.fixture(scope="session")
def object_store(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An empty bucket."""
    with run_object_store(programs / "moto_server", tmp_path_factory.mktemp("objects")) as running:
        yield running


@pytest.fixture(scope="session")
def proxying(
    programs: Path, postgres: Postgres, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mlflow]:
    """MLflow that hands artifacts out: its clients need no S3."""
    stores = ["--artifacts-destination", f"s3://{object_store.bucket}/proxied"]
    folder = tmp_path_factory.mktemp("proxying")
    with Mlflow(programs, folder, postgres, "proxying", stores, object_store.variables).running() as mlflow:
        yield mlflow


@pytest.fixture(scope="session")
def referring(
    programs: Path, postgres: Postgres, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mlflow]:
    """MLflow that says where artifacts are, and leaves it to its clients to fetch them there."""
    stores = ["--no-serve-artifacts", "--default-artifact-root", f"s3://{object_store.bucket}/direct"]
    folder = tmp_path_factory.mktemp("referring")
    with Mlflow(programs, folder, postgres, "referring", stores, {}).running() as mlflow:
        yield mlflow


@pytest.fixture(scope="session")
def boto3(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with boto3 and what only it needs, as `pip install boto3` puts them beside treeserve."""
    folder = tmp_path_factory.mktemp("boto3")
    (packages,) = ENVIRONMENT.glob("lib/python3*/site-packages")
    for name in ("boto3", "botocore", "jmespath", "s3transfer"):
        (folder / name).symlink_to(packages / name)
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services, which end with the test at the latest."""
    with servers(tmp_path / "no model", tmp_path) as run:
        yield run
