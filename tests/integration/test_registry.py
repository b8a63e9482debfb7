"""The registry on a real MLflow store in an SQLite file, as `make run` keeps it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.errors import ModelNotFound, ModelUnfit, ModelUriInvalid, RegistryUnreachable
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.registry.registry import MlflowRegistry
from app.verification import verify
from tests.boosters import ModelFolderBuilder
from tests.integration.mlflow_store import LoggedModel, MlflowStore, load_mlflow, restored_tracking_uri


@pytest.mark.parametrize("uri", ["models:/flight-delay@champion", "models:/flight-delay/1"])
def test_an_alias_and_a_version_are_resolved(registry: MlflowRegistry, logged: LoggedModel, uri: str) -> None:
    """Both lead to the registry's number and the training run; the alias is kept where it was asked by."""
    version = registry.resolve(uri)
    assert (version.name, version.version, version.run_id) == ("flight-delay", "1", logged.run_id)
    assert version.alias == ("champion" if "@" in uri else None)


def test_a_moved_alias_is_another_version(
    store: MlflowStore, registry: MlflowRegistry, champion: ModelFolderBuilder
) -> None:
    """A promotion, and a rollback, are seen with the next question."""
    first = store.log(champion.booster, "moving", alias="champion")
    second = store.log(champion.booster, "moving")
    answers = [registry.resolve("models:/moving@champion").version]
    for version in (second.version, first.version):
        store.client.set_registered_model_alias("moving", "champion", version)
        answers.append(registry.resolve("models:/moving@champion").version)
    assert answers == ["1", "2", "1"]


def test_a_name_may_have_spaces_and_letters_of_any_script(
    store: MlflowStore, registry: MlflowRegistry, champion: ModelFolderBuilder
) -> None:
    """What MLflow accepts as a name can be served."""
    store.log(champion.booster, "vols à l'heure 100%", alias="été")
    version = registry.resolve("models:/vols à l'heure 100%@été")
    assert (version.name, version.version) == ("vols à l'heure 100%", "1")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("models:/flight-dela@champion", ["no registered model 'flight-dela'", "'flight-delay'", "make train"]),
        ("models:/flight-delay@challenger", ["no alias 'challenger'", "its aliases: 'champion'"]),
        ("models:/flight-delay/99", ["no version 99 (its versions: 1)", "Name another in the model URI"]),
    ],
)
def test_what_the_registry_has_not_is_named_with_what_it_has(
    registry: MlflowRegistry, logged: LoggedModel, uri: str, expected: list[str]
) -> None:
    """A person who mistyped a name sees the right one."""
    with pytest.raises(ModelNotFound) as caught:
        registry.resolve(uri)
    assert [part for part in expected if part not in str(caught.value)] == []


def test_an_empty_store_is_called_empty(empty_database: Path, tmp_path: Path) -> None:
    """Before the first training there is nothing to list, and the text says how to train."""
    with pytest.raises(ModelNotFound, match=r"it is empty\. Train and register it \(make train\)"):
        MlflowRegistry(f"sqlite:///{empty_database}", tmp_path).resolve("models:/flight-delay@champion")


def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    """SQLite would make an empty file; here the path is told and nothing is written."""
    place = tmp_path / "none" / "mlflow.db"
    with pytest.raises(ModelNotFound, match="there is no MLflow store at") as caught:
        MlflowRegistry(f"sqlite:///{place}", tmp_path).resolve("models:/flight-delay@champion")
    assert str(place) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    """Neither a text file nor another program's database is taken for MLflow's."""
    (tmp_path / "text.db").write_text("not a database, and long enough to be looked at " * 30)
    sqlite3.connect(tmp_path / "other.db").close()
    for name in ("text.db", "other.db"):
        with pytest.raises(RegistryUnreachable, match=f"{name} cannot be read as an MLflow store"):
            MlflowRegistry(f"sqlite:///{tmp_path / name}", tmp_path).resolve("models:/flight-delay@champion")


def test_a_version_that_is_not_ready_is_not_served(
    store: MlflowStore, registry: MlflowRegistry, champion: ModelFolderBuilder
) -> None:
    """A registration that failed halfway is told by its status."""
    store.log(champion.booster, "halfway")
    with closing(sqlite3.connect(urlsplit(store.uri).path[1:])) as database, database:
        database.execute("UPDATE model_versions SET status = 'FAILED_REGISTRATION' WHERE name = 'halfway'")
    with pytest.raises(ModelNotFound, match="its status is FAILED_REGISTRATION"):
        registry.resolve("models:/halfway/1")


@pytest.mark.parametrize("uri", ["models:/flight-delay", "models:/a/b/c", "models:/flight-delay@", "runs:/x"])
def test_a_uri_that_names_no_version_is_refused(registry: MlflowRegistry, uri: str) -> None:
    """There is no "latest": a service must not change with whatever was registered last."""
    with pytest.raises(ModelUriInvalid, match="write models:/name@alias"):
        registry.resolve(uri)


def test_a_second_fetch_does_not_touch_the_store(
    store: MlflowStore, registry: MlflowRegistry, champion: ModelFolderBuilder
) -> None:
    """What is in the cache serves, even when the store's files are gone."""
    logged = store.log(champion.booster, "cached")
    version = registry.resolve("models:/cached/1")
    first = registry.fetch(version)
    shutil.rmtree(store.place_of(logged))
    assert registry.fetch(version) == first
    verify(Predictor.load(first, version))


def test_a_corrupt_cache_is_fetched_again(registry: MlflowRegistry, logged: LoggedModel) -> None:
    """A file that a crash or a bad disk has changed never serves."""
    version = registry.resolve("models:/flight-delay/1")
    folder = registry.fetch(version)
    whole = (folder / "model.ubj").read_bytes()
    for spoil in (
        lambda: (folder / "model.ubj").write_bytes(whole[:-1]),
        (folder / "MLmodel").unlink,
        lambda: (folder / "more.json").write_text("{}"),
        lambda: shutil.rmtree(folder),
    ):
        spoil()
        assert registry.fetch(version) == folder
        assert (folder / "model.ubj").read_bytes() == whole
        assert sorted(path.name for path in folder.iterdir()).count("more.json") == 0
        verify(Predictor.load(folder, version))


def test_files_that_are_gone_are_told_with_their_place(
    store: MlflowStore, registry: MlflowRegistry, champion: ModelFolderBuilder
) -> None:
    """A moved clone still has its database: the text names the folder it points to."""
    place = store.place_of(store.log(champion.booster, "gone"))
    shutil.rmtree(place)
    with pytest.raises(ModelNotFound, match="if the project was moved or copied") as caught:
        registry.fetch(registry.resolve("models:/gone/1"))
    assert str(place) in str(caught.value)


def test_the_store_is_never_written(
    store: MlflowStore, registry: MlflowRegistry, logged: LoggedModel, champion: ModelFolderBuilder
) -> None:
    """A read-only mount is enough: neither the database nor the artifacts change."""
    root = Path(urlsplit(store.uri).path[1:]).parent
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}
    registry.fetch(registry.resolve("models:/flight-delay@champion"))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")} == before


def test_a_run_and_a_logged_model_are_downloaded_by_mlflow(registry: MlflowRegistry, logged: LoggedModel) -> None:
    """URIs that name no registered model go through MLflow itself, and give the same files."""
    copied = registry.fetch(registry.resolve("models:/flight-delay/1"))
    for uri in (f"runs:/{logged.run_id}/model", f"models:/{logged.model_id}"):
        version = registry.resolve(uri)
        folder = registry.fetch(version)
        more = {path.name for path in folder.iterdir()} - {path.name for path in copied.iterdir()}
        assert more <= {"registered_model_meta"}  # which MLflow adds to what it downloads
        assert (folder / "model.ubj").read_bytes() == (copied / "model.ubj").read_bytes()
        predictor = Predictor.load(folder, version)
        verify(predictor)
        assert predictor.version.run_id == logged.run_id


def test_a_run_that_is_not_there_is_named(registry: MlflowRegistry, logged: LoggedModel) -> None:
    """MLflow's own words reach the person, in one line."""
    with pytest.raises(ModelNotFound) as caught:
        registry.fetch(registry.resolve(f"runs:/{'0' * 32}/model"))
    assert "0" * 32 in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickled_model_is_refused(store: MlflowStore, registry: MlflowRegistry) -> None:
    """A model that mlflow.sklearn logged can run any code when opened: it is fetched, and never opened."""
    from sklearn.linear_model import LogisticRegression

    store.log(LogisticRegression().fit([[1], [2]], [0, 1]), "pickled", flavor="sklearn", inputs=None)
    version = registry.resolve("models:/pickled/1")
    with pytest.raises(ModelUnfit, match="never from a pickle; log it with mlflow"):
        Predictor.load(registry.fetch(version), version)


def test_a_local_folder_needs_no_registry(
    registry: MlflowRegistry, store: MlflowStore, logged: LoggedModel, tmp_path: Path
) -> None:
    """An edge box serves a folder that was copied there, in place."""
    folder = shutil.copytree(store.place_of(logged), tmp_path / "copied")
    for uri in (str(folder), folder.as_uri()):
        version = registry.resolve(uri)
        assert registry.fetch(version) == folder
        verify(Predictor.load(folder, version))


@pytest.mark.parametrize("as_uri", [False, True])
def test_a_folder_is_no_store_any_more(tmp_path: Path, as_uri: bool) -> None:
    """MLflow says what to do, and it is not to name another model version."""
    folder = tmp_path / "mlruns"
    uri = folder.as_uri() if as_uri else str(folder)
    told = f"cannot use {uri} as a registry: The filesystem tracking backend .*sqlite.*; check MLFLOW_TRACKING_URI$"
    with pytest.raises(RegistryUnreachable, match=told):
        MlflowRegistry(uri, tmp_path).resolve("models:/flight-delay@champion")


def test_a_store_that_only_mlflow_reads_tells_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the others do; here a folder, which MLflow takes as a store where it is told to."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri, name = str(tmp_path / "mlruns"), "l'été"
    with restored_tracking_uri():
        load_mlflow().set_tracking_uri(uri)
        client = load_mlflow().MlflowClient()
        client.create_registered_model(name)
        for _ in range(11):
            client.create_model_version(name, str(tmp_path))
        client.set_registered_model_alias(name, "best", "11")
    registry = MlflowRegistry(uri, tmp_path / "cache")
    assert registry.resolve(f"models:/{name}@best").version == "11"
    for model_uri, told in [
        (f"models:/{name}@champion", r"\(its aliases: 'best'\)"),
        (f"models:/{name}/12", r"\(its versions: 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, …\)"),
        ("models:/other/1", "mlruns has no registered model 'other'"),
    ]:
        with pytest.raises(ModelNotFound, match=told):
            registry.resolve(model_uri)


def test_a_package_that_a_store_needs_is_named(store: MlflowStore, registry: MlflowRegistry, tmp_path: Path) -> None:
    """The service brings none for artifact stores and databases, which most do not use."""
    experiment = store.client.create_experiment("in a bucket", artifact_location="s3://bucket/models")
    run_id = store.client.create_run(experiment).info.run_id
    for uri in ("s3://bucket/model", f"runs:/{run_id}/model"):
        with pytest.raises(RegistryUnreachable, match="pip install boto3"):
            registry.fetch(registry.resolve(uri))
    with pytest.raises(RegistryUnreachable, match=r"pip install '?psycopg"):
        MlflowRegistry("postgresql://127.0.0.1:1/mlflow", tmp_path).resolve("models:/flight-delay@champion")


def test_an_unknown_version_object_is_fetched_by_its_source(registry: MlflowRegistry, tmp_path: Path) -> None:
    """A source on this disk that is not there is told, not made."""
    version = ModelVersion("x", "1", None, None, str(tmp_path / "none"), is_immutable=True)
    with pytest.raises(ModelNotFound):
        registry.fetch(version)
    assert not (tmp_path / "none").exists()
