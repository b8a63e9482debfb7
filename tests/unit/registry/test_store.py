"""Which MLflow is asked: the one that is set, or the store embedded in the project."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.errors import ModelUriInvalid
from app.registry import store
from app.registry.store import EMBEDDED_STORE, PROJECT_ROOT, tracking_uri


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
