"""Which MLflow is asked: the one that is set, or the store embedded in the project."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.errors import ModelUriInvalid
from app.registry import store
from app.registry.store import (
    EMBEDDED_STORE,
    PROJECT_ROOT,
    registry_uri,
    sqlite_path,
    tracking_uri,
    without_credentials,
)


@pytest.mark.parametrize("environ", [{}, {"MLFLOW_TRACKING_URI": ""}, {"MLFLOW_TRACKING_URI": "  "}])
def test_the_default_is_inside_the_project_wherever_it_is_started(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A working directory elsewhere must not make a second, empty store."""
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(environ) == f"sqlite:///{PROJECT_ROOT}/.mlflow/mlflow.db"
    assert (PROJECT_ROOT / "pyproject.toml").is_file()
    assert EMBEDDED_STORE.is_absolute()


@pytest.mark.parametrize("name", ["a b", "100%", "a%20b", "a#b", "a?b", "Größe"])
def test_the_embedded_store_may_lie_in_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy, with which MLflow opens it, finds the same file in the URI."""
    monkeypatch.setattr(store, "EMBEDDED_STORE", tmp_path / name)
    assert make_url(tracking_uri({})).database == str(tmp_path / name / "mlflow.db")
    assert sqlite_path(tracking_uri({})) == tmp_path / name / "mlflow.db"


def test_what_is_set_is_taken_as_it_is() -> None:
    """It means a server."""
    assert tracking_uri({"MLFLOW_TRACKING_URI": " http://mlflow:5000 "}) == "http://mlflow:5000"


def test_an_installed_package_has_no_project_to_keep_a_store_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the image the address must be set, and the text says so."""
    monkeypatch.setattr(store, "PROJECT_ROOT", tmp_path)
    with pytest.raises(ModelUriInvalid, match="MLFLOW_TRACKING_URI is not set"):
        tracking_uri({})
    assert tracking_uri({"MLFLOW_TRACKING_URI": "http://x"}) == "http://x"


@pytest.mark.parametrize(
    ("registry", "expected"),
    [("http://registry", "http://registry"), (" http://registry ", "http://registry"), ("", None)],
)
def test_registered_models_may_be_in_another_store(registry: str, expected: str | None) -> None:
    """MLflow's own variable says so; unset, it is the store of the runs."""
    environ = {"MLFLOW_TRACKING_URI": "http://runs", "MLFLOW_REGISTRY_URI": registry}
    assert registry_uri(environ) == (expected or "http://runs")
    assert registry_uri({}) == tracking_uri({})


@pytest.mark.parametrize("uri", ["sqlite:///x.db", "sqlite:////a%20b/x.db?timeout=5", "sqlite:////a#b/x.db"])
def test_the_file_of_a_store_is_the_one_that_sqlalchemy_opens(uri: str) -> None:
    """Three slashes and a relative path, or four and an absolute one."""
    assert str(sqlite_path(uri)) == make_url(uri).database


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:s3cret@mlflow:5000/x", "http://mlflow:5000/x"),
        ("from https://token@a to s3://k:s@b failed", "from https://a to s3://b failed"),
        ("http://me:p@ss@mlflow", "http://mlflow"),
        ("403 for https://s3/b/k?X-Amz-Signature=a%2Fb&x=1: Forbidden", "403 for https://s3/b/k Forbidden"),
        ("'http://a/b?token=c' and why?", "'http://a/b' and why?"),
        ("http://mlflow/a@b and me@example.com", "http://mlflow/a@b and me@example.com"),
    ],
)
def test_credentials_are_taken_out_of_a_text(text: str, shown: str) -> None:
    """Out of every address in it, and nothing else."""
    assert without_credentials(text) == shown
