"""
The service and training with MLflow as a team has it: over HTTP, its store on PostgreSQL and its artifacts in S3.

Whoever trains and whoever serves runs in an environment without the clients of either, as their images are.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from app.errors import RegistryUnreachable
from app.registry.registry import MlflowRegistry
from tests.e2e.servers import Server, Start
from tests.integration.stores.mlflow import CHAMPION, Mlflow
from tests.integration.stores.object_store import ObjectStore
from tests.integration.stores.postgres import Postgres
from tests.services import wait

pytestmark = [
    pytest.mark.stores,
    pytest.mark.alone,
]  # three servers and a training, which faults beside it would starve


def standing(server: Server) -> dict[str, Any]:
    """How what serves stands to what the registry names."""
    found: dict[str, Any] = server.get("/model").json()["rollout"]["champion"]
    return found


def wait_for(version: str, state: str, *servers: Server) -> None:
    """Until each of them serves a version, and stands so to the registry."""
    for server in servers:
        for _ in wait(120, every_s=0.1):
            found = standing(server)
            if (found["version"], found["state"]) == (version, state):
                break


def example(server: Server) -> dict[str, Any]:
    """An instance of the model that serves."""
    found: dict[str, Any] = server.get("/model").json()["input_example"]["instances"][0]
    return found


@pytest.fixture
def follow(start: Start) -> Any:
    """Starts services that look at an MLflow server several times a second, and waits until they serve."""

    def run(mlflow: Mlflow, **variables: str) -> Server:
        server = start(
            MLFLOW_TRACKING_URI=mlflow.uri, TREESERVE_MODEL_URI=CHAMPION, TREESERVE_POLL_INTERVAL_S="0.3", **variables
        )
        server.wait_until_ready(120)  # a download through MLflow, which is imported for it, comes before
        return server

    return run


def test_no_client_of_a_store_is_here() -> None:
    """Or what follows would prove nothing of the images, which have none."""
    assert [name for name in ("boto3", "psycopg2", "psycopg") if find_spec(name)] == []


def test_a_model_is_trained_and_served_through_the_server(
    proxying: Mlflow, postgres: Postgres, object_store: ObjectStore, sample: Path, follow: Any
) -> None:
    """Runs in PostgreSQL, files in S3, and neither training nor the service has an address or a key of either."""
    assert proxying.train(sample).returncode == 0
    assert postgres.ask("proxying", "SELECT name, version FROM model_versions") == ["flight-delay|1"]
    assert {Path(key).name for key in object_store.keys("proxied/")} >= {"model.ubj", "MLmodel", "card.json"}
    server = follow(proxying)
    first = server.predict(example(server))

    proxying.promote(proxying.register_again())
    wait_for("2", "confirmed", server)
    assert server.predict(example(server)) == first

    proxying.stop()
    wait_for("2", "unconfirmed", server)
    restarted = follow(proxying)
    assert restarted.predict(example(server)) == first
    assert standing(restarted)["state"] == "unconfirmed"

    proxying.start()
    wait_for("2", "confirmed", server, restarted)
    proxying.promote("1")
    wait_for("1", "confirmed", server, restarted)
    assert server.predict(example(server)) == restarted.predict(example(server)) == first
    # An address that MLflow has signed for a client would say so; the store may be where MLflow alone reaches it.
    assert "/models/proxied/" in object_store.requests.read_text()
    assert "X-Amz-Signature" not in object_store.requests.read_text()


@pytest.fixture(scope="module")
def referred(referring: Mlflow, object_store: ObjectStore, sample: Path, boto3: Path) -> Mlflow:
    """A version whose files only whoever has boto3 and the keys can fetch, trained by somebody who has."""
    trained = referring.train(sample, PYTHONPATH=str(boto3), **object_store.variables)
    assert trained.returncode == 0, trained.stderr
    assert {Path(key).name for key in object_store.keys("direct/")} >= {"model.ubj", "MLmodel", "card.json"}
    return referring


def test_training_without_boto3_says_what_to_do(referring: Mlflow, sample: Path) -> None:
    """Where the server leaves it to its clients to put files into S3."""
    ended = referring.train(sample, "--no-alias")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "pip install boto3" in ended.stderr
    assert "--artifacts-destination" in ended.stderr


def test_a_service_without_boto3_says_what_to_do(referred: Mlflow, tmp_path: Path) -> None:
    """The registry answers, and the files are where it cannot fetch them."""
    registry = MlflowRegistry(referred.uri, tmp_path)
    version = registry.resolve(CHAMPION)
    with pytest.raises(RegistryUnreachable, match="beside treeserve: pip install boto3"):
        registry.fetch(version)


def test_a_service_without_keys_says_so(
    referred: Mlflow, object_store: ObjectStore, boto3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artifact store's own client is quoted."""
    monkeypatch.setenv("PYTHONPATH", str(boto3))
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", object_store.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # or it asks for keys at an address of Amazon's machines
    registry = MlflowRegistry(referred.uri, tmp_path)
    version = registry.resolve(CHAMPION)
    with pytest.raises(RegistryUnreachable, match="Unable to locate credentials"):
        registry.fetch(version)


def test_a_service_with_boto3_fetches_from_s3_itself(
    referred: Mlflow, object_store: ObjectStore, boto3: Path, follow: Any
) -> None:
    """With the keys in its environment, as MLflow's client takes them."""
    server = follow(referred, PYTHONPATH=str(boto3), **object_store.variables)
    assert 0 < server.predict(example(server))[0] < 1
