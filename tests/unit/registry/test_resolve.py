"""A model URI means one model version; what means none is told with what would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.errors import ModelNotFound, ModelUriInvalid, RegistryUnreachable
from app.registry.resolve import resolve_model_uri
from tests.unit.registry.test_sqlite import make_store

RUN = "0123456789abcdef" * 2


def resolve(uri: str, tracking_uri: str = "sqlite:////nowhere/mlflow.db") -> dict[str, object]:
    """The model version as a mapping."""
    return vars(resolve_model_uri(uri, tracking_uri))


@pytest.mark.parametrize(
    ("uri", "version", "alias"),
    [("models:/flight-delay@champion", "2", "champion"), ("models:/flight-delay/1", "1", None)],
)
def test_a_registered_model_is_asked_of_the_registry(tmp_path: Path, uri: str, version: str, alias: str | None) -> None:
    """By alias or by number."""
    found = resolve(uri, f"sqlite:///{make_store(tmp_path / 'mlflow.db')}")
    assert (found["name"], found["version"], found["alias"]) == ("flight-delay", version, alias)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_is_asked_over_http(scheme: str) -> None:
    """Nobody listens here, which the right way finds out at once."""
    with pytest.raises(RegistryUnreachable, match="MLflow server at"):
        resolve("models:/flight-delay@champion", f"{scheme}://127.0.0.1:9")


def test_a_logged_model_needs_no_registry() -> None:
    """Its id names it for ever."""
    found = resolve("models:/m-0abc")
    assert (found["version"], found["source"], found["is_immutable"]) == ("m-0abc", "models:/m-0abc", True)


def test_a_run_is_its_own_version() -> None:
    """The last part of the path is the name; a run's files can be overwritten."""
    found = resolve(f"runs:/{RUN}/folder/model")
    assert (found["name"], found["version"], found["run_id"], found["is_immutable"]) == ("model", RUN, RUN, False)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://bucket/a/model", "model"),
        ("gs://bucket/model/", "model"),
        ("mlflow-artifacts:/1/x/artifacts/m", "m"),
        ("s3://bucket", "s3://bucket"),
    ],
)
def test_an_artifact_store_is_named_by_its_last_part(uri: str, name: str) -> None:
    """Its version is a digest of the URI, and its files may change."""
    found = resolve(uri)
    assert (found["name"], found["source"], found["is_immutable"]) == (name, uri, False)
    assert len(str(found["version"])) == 12
    assert found["version"] != resolve(uri + "x")["version"]


@pytest.mark.parametrize(
    "uri",
    [
        "models:/flight-delay",
        "models:/flight-delay/latest",
        "models:/flight-delay/Production",
        "models:/flight-delay@",
        "models:/flight-delay@a@b",
        "models:/@champion",
        "models:/a/b/1",
        "models:/x/-1",
        "models:/x/1 ",
        "models:x@champion",
        "models:/",
        "runs:/abc/model",
        f"runs:/{RUN}",
        f"runs:/{RUN}/",
    ],
)
def test_a_uri_that_names_no_version_is_told_with_the_forms_that_do(uri: str) -> None:
    """Stages are gone from MLflow, and `latest` would be another model every day."""
    with pytest.raises(ModelUriInvalid, match=r"write models:/name@alias, models:/name/version or runs:/run_id/path"):
        resolve(uri)


@pytest.mark.parametrize(
    ("uri", "is_told"),
    [
        ("runs:/abc/model", True),
        (f"runs:/{RUN}0/model", True),
        (f"runs:/{RUN.upper()}/model", True),
        ("runs:/", True),
        (f"runs:/{RUN}", False),
        (f"runs:/{RUN}/", False),
        ("models:/abc", False),
    ],
)
def test_a_run_id_that_is_none_is_told(uri: str, is_told: bool) -> None:
    """And only where it is not the rest that is wrong."""
    with pytest.raises(ModelUriInvalid) as caught:
        resolve(uri)
    assert str(caught.value).endswith("; a run id has 32 hexadecimal digits, 0-9 and a-f") == is_told


@pytest.mark.parametrize("name", ["model", "a b", "Größe", "100%", "a%20b"])
@pytest.mark.parametrize("is_uri", [False, True], ids=["path", "file URI"])
def test_a_local_folder_is_versioned_by_its_mlmodel(tmp_path: Path, name: str, is_uri: bool) -> None:
    """It is read where it is, and another model in the same place is another version."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "MLmodel").write_text("model_uuid: m-1")
    uri = folder.as_uri() if is_uri else str(folder)
    first = resolve(uri)
    assert (first["name"], first["source"], first["is_immutable"]) == (name, str(folder), False)
    (folder / "MLmodel").write_text("model_uuid: m-2")
    assert resolve(uri)["version"] != first["version"]


def test_a_folder_that_mlflow_downloaded_says_what_it_was_registered_as(tmp_path: Path) -> None:
    """So that an image with a model in it says which one."""
    (tmp_path / "MLmodel").write_text(f"artifact_path: x\nrun_id: {RUN}\nflavors: {{}}\n")
    (tmp_path / "registered_model_meta").write_text("model_name: flight-delay\nmodel_version: '7'\n")
    found = resolve(str(tmp_path))
    assert (found["name"], found["version"], found["run_id"]) == ("flight-delay", "7", RUN)
    assert (found["source"], found["is_immutable"]) == (str(tmp_path), False)


@pytest.mark.parametrize("content", [b"", b"- x", b"model_name: x", b"{", b"\xff"])
def test_a_registration_that_says_nothing_is_as_none(tmp_path: Path, content: bytes) -> None:
    """The model can serve all the same."""
    (tmp_path / "MLmodel").touch()
    (tmp_path / "registered_model_meta").write_bytes(content)
    assert resolve(str(tmp_path))["name"] == tmp_path.name


@pytest.mark.parametrize("uri", ["models:/flight-delay@champion", f"runs:/{RUN}/model", "mlflow-artifacts:/1/model"])
def test_without_a_registry_only_what_needs_none_is_served(uri: str, tmp_path: Path) -> None:
    """An image with a model in it needs no MLflow; one that is to ask it has to know where it is."""
    with pytest.raises(ModelUriInvalid, match="MLFLOW_TRACKING_URI is not set"):
        resolve_model_uri(uri, "")
    (tmp_path / "MLmodel").touch()
    assert resolve_model_uri(str(tmp_path), "").source == str(tmp_path)


def test_a_relative_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it means the same later."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").touch()
    monkeypatch.chdir(tmp_path)
    assert resolve("model")["source"] == resolve("./model/")["source"] == str(tmp_path / "model")


@pytest.mark.parametrize("uri", ["/no/such/folder", ".", "file:///no/such/folder", os.devnull])
def test_a_folder_without_a_model_is_told(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the forms that a URI has, because most had meant one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFound, match=r"not a folder with an MLmodel file; .* models:/name@alias"):
        resolve(uri)
