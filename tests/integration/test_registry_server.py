"""The registry on a real MLflow server: asked over REST, files downloaded through it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import ModelNotFound, RegistryUnreachable
from app.predictor import Predictor
from app.registry.registry import MlflowRegistry
from app.verification import verify
from tests.boosters import ModelFolderBuilder
from tests.integration.mlflow_store import LoggedModel, MlflowStore
from tests.processes import free_port

CHAMPION = "models:/flight-delay@champion"


@pytest.fixture(scope="module")
def logged(server: MlflowStore, champion: ModelFolderBuilder, tmp_path_factory: pytest.TempPathFactory) -> LoggedModel:
    """The champion on the server: flight-delay version 1, alias champion."""
    return server.log_with_artifacts(champion, tmp_path_factory.mktemp("training") / "files", alias="champion")


@pytest.fixture
def registry(server: MlflowStore, tmp_path: Path) -> MlflowRegistry:
    """The service's registry on that server."""
    return MlflowRegistry(server.uri, tmp_path / "cache")


def test_an_alias_and_a_version_are_resolved_over_rest(registry: MlflowRegistry, logged: LoggedModel) -> None:
    """One GET gives number and run, by alias and by version."""
    for uri, alias in ((CHAMPION, "champion"), ("models:/flight-delay/1", None)):
        version = registry.resolve(uri)
        assert (version.name, version.version, version.alias) == ("flight-delay", "1", alias)
        assert version.run_id == logged.run_id


def test_a_moved_alias_is_seen(server: MlflowStore, registry: MlflowRegistry, champion: ModelFolderBuilder) -> None:
    """A promotion on the server is the next answer."""
    server.log(champion.booster, "moving", alias="champion")
    second = server.log(champion.booster, "moving")
    assert registry.resolve("models:/moving@champion").version == "1"
    server.client.set_registered_model_alias("moving", "champion", second.version)
    assert registry.resolve("models:/moving@champion").version == "2"


def test_the_files_are_downloaded_through_the_server_and_kept(
    server: MlflowStore,
    registry: MlflowRegistry,
    champion: ModelFolderBuilder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the name: what is downloaded is whole and answers as in training; the second fetch asks nobody."""
    server.log_with_artifacts(champion, tmp_path / "files", name="vols à l'heure 100%", alias="été")
    version = registry.resolve("models:/vols à l'heure 100%@été")
    assert (version.name, version.version) == ("vols à l'heure 100%", "1")
    with pytest.raises(ModelNotFound, match=r"has no version 2 \(its versions: 1\)"):
        registry.resolve("models:/vols à l'heure 100%/2")
    folder = registry.fetch(version)
    predictor = Predictor.load(folder, version)
    assert predictor.card is not None
    assert predictor.golden is not None
    verify(predictor)
    monkeypatch.setattr("app.registry.child.download", None)  # whoever calls it fails
    assert registry.fetch(version) == folder


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("models:/flight-dela@champion", ["no registered model 'flight-dela'", "http://127.0.0.1:", "make train"]),
        ("models:/flight-dela/1", ["no registered model 'flight-dela'", "http://127.0.0.1:", "make train"]),
        ("models:/flight-delay@challenger", ["'flight-delay' has no alias 'challenger' (its aliases: 'champion')"]),
        ("models:/flight-delay/99", ["'flight-delay' has no version 99 (its versions: 1)"]),
    ],
)
def test_what_the_server_has_not_is_named(
    registry: MlflowRegistry, logged: LoggedModel, uri: str, expected: list[str]
) -> None:
    """The server's error becomes a sentence that says what to do."""
    with pytest.raises(ModelNotFound) as caught:
        registry.resolve(uri)
    assert [part for part in expected if part not in str(caught.value)] == []


def test_a_runs_model_is_downloaded(registry: MlflowRegistry, logged: LoggedModel) -> None:
    """A URI that names no registered model works with a server too."""
    version = registry.resolve(f"runs:/{logged.run_id}/model")
    verify(Predictor.load(registry.fetch(version), version))


def test_nobody_listening_is_told_at_once(tmp_path: Path) -> None:
    """A refused connection is named with the address, without the password that stands in it."""
    uri = f"http://user:secret@127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(RegistryUnreachable, match="check MLFLOW_TRACKING_URI") as caught:
        MlflowRegistry(uri, tmp_path).resolve(CHAMPION)
    assert time.monotonic() - started < 5
    assert "127.0.0.1:" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_server_that_never_answers_is_given_up(
    silent_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is bounded in time; here the bound is shortened to half a second."""
    monkeypatch.setattr("app.registry.rest._TIMEOUT_S", 0.5)
    started = time.monotonic()
    with pytest.raises(RegistryUnreachable, match="does not answer"):
        MlflowRegistry(f"http://127.0.0.1:{silent_port}", tmp_path).resolve(CHAMPION)
    assert time.monotonic() - started < 5


def test_another_server_is_not_taken_for_mlflow(server: MlflowStore, tmp_path: Path) -> None:
    """A path that answers 404 with a page, as a wrong address does, is unreachable and not "not found"."""
    with pytest.raises(RegistryUnreachable):
        MlflowRegistry(f"{server.uri}/somewhere", tmp_path).resolve(CHAMPION)
