"""MLflow is asked in a real child process; a small hand-written `mlflow` stands in for it there."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry import child
from app.registry.query import RegistryQuery

BY_ALIAS = RegistryQuery("flight-delay", "champion", None)
MLFLOW = """
import builtins, json, os, pathlib, sys, time
from types import SimpleNamespace
from mlflow import artifacts
from mlflow.exceptions import MlflowException

plan = json.loads(os.environ["PLAN"])

class MlflowClient:
    def get_model_version_by_alias(self, name, alias):
        act()
        return SimpleNamespace(version="7", status=plan.get("status", "READY"), run_id=f"{name}@{alias}")

    def get_model_version(self, name, version):
        act()
        return SimpleNamespace(version=int(version), status="READY", run_id=None)

def act():
    print("chatter of a library")
    print("more of it", file=sys.stderr)
    if "sleep" in plan:
        time.sleep(plan["sleep"])
    if "code" in plan:
        raise MlflowException(plan["message"], plan["code"])
    if "error" in plan:
        raise getattr(builtins, plan["error"])(*plan["arguments"])
    if "exit" in plan:
        print(plan.get("words", ""), file=sys.stderr)
        os._exit(plan["exit"])

def download_artifacts(artifact_uri, dst_path):
    act()
    seen = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    place = pathlib.Path(dst_path, plan.get("step", ""))
    (place / "extra_files").mkdir(parents=True)
    (place / "extra_files" / "seen.json").write_text(json.dumps([artifact_uri, seen]))
    return str(place)

artifacts.download_artifacts = download_artifacts
"""
EXCEPTIONS = """
class MlflowException(Exception):
    def __init__(self, message, error_code):
        super().__init__(message)
        self.error_code = error_code
"""


@pytest.fixture(autouse=True)
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package called mlflow that the child finds first."""
    package = tmp_path / "path" / "mlflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(MLFLOW)
    (package / "artifacts.py").touch()
    (package / "exceptions.py").write_text(EXCEPTIONS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("PLAN", "{}")


def plan(monkeypatch: pytest.MonkeyPatch, **steps: object) -> None:
    """What the fake MLflow is to do."""
    monkeypatch.setenv("PLAN", json.dumps(steps))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (BY_ALIAS, ("7", "champion", "flight-delay@champion")),
        (RegistryQuery("flight-delay", None, "3"), ("3", None, None)),
    ],
)
def test_a_version_is_resolved(query: RegistryQuery, expected: tuple[str, str | None, str | None]) -> None:
    """Whatever libraries print meanwhile is not the answer."""
    found = child.resolve(query, "file:///store")
    version, alias, run_id = expected
    source = f"models:/flight-delay/{version}"
    assert found == ModelVersion("flight-delay", version, alias, run_id, source, is_immutable=True)


@pytest.mark.parametrize("step", ["", "model"])
def test_files_are_downloaded_into_the_folder_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Of some URIs MLflow makes the path's last step a folder again; nothing of it is left."""
    plan(monkeypatch, step=step)
    child.download("runs:/r7/model", tmp_path / "path", "http://mlflow:5000")
    (tmp_path / "path" / "extra_files" / "seen.json").unlink()
    assert {path.name for path in (tmp_path / "path").iterdir()} == {"mlflow", "extra_files"}


def test_the_child_is_patient_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told the store, and to give up sooner than MLflow would, unless the operator said otherwise."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://another")
    child.download("s3://bucket/model", tmp_path, "http://mlflow:5000")
    source, seen = json.loads((tmp_path / "extra_files" / "seen.json").read_text())
    assert source == "s3://bucket/model"
    expected = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    assert seen.items() >= expected.items()


@pytest.mark.parametrize("code", ["RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"])
def test_what_is_not_there_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """MLflow has three codes for it."""
    plan(monkeypatch, code=code, message="Registered model alias champion not found.\nmore")
    with pytest.raises(ModelNotFound, match=r"^Registered model alias champion not found\. Name another"):
        child.resolve(BY_ALIAS, "file:///store")


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ({"code": "INTERNAL_ERROR", "message": "no\nmore"}, "MLflow could not download: no$"),
        ({"error": "ConnectionError", "arguments": ["refused"]}, "could not download: ConnectionError: refused$"),
        ({"error": "ValueError", "arguments": []}, "could not download: ValueError: ValueError$"),
        ({"exit": 3}, "ended with status 3: "),
        ({"exit": 1, "words": "out of\nmemory"}, "ended with status 1: memory$"),
    ],
)
def test_whatever_else_goes_wrong_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: dict[str, object], told: str
) -> None:
    """In one line, with the last that the child could say."""
    plan(monkeypatch, **steps)
    with pytest.raises(RegistryUnreachable, match=told):
        child.download("s3://bucket/model", tmp_path, "http://mlflow:5000")


def test_credentials_in_an_address_are_not_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's messages quote the address that it asked."""
    plan(monkeypatch, code="INTERNAL_ERROR", message="API request to http://me:s3cret@mlflow:5000/api failed")
    with pytest.raises(RegistryUnreachable, match="http://mlflow:5000/api failed") as caught:
        child.download("s3://bucket/model", tmp_path, "http://me:s3cret@mlflow:5000")
    assert "s3cret" not in str(caught.value)


def test_an_environment_without_mlflow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of the trace names what is missing."""
    (tmp_path / "path" / "mlflow" / "__init__.py").write_text("raise ModuleNotFoundError('No module named x')")
    with pytest.raises(RegistryUnreachable, match="ended with status 1: ModuleNotFoundError: No module named x"):
        child.download("s3://bucket/model", tmp_path, "http://mlflow:5000")


def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start must end, one way or the other."""
    plan(monkeypatch, sleep=30)
    monkeypatch.setattr(child, "_RESOLVE_TIMEOUT_S", 0.5)
    began = time.monotonic()
    with pytest.raises(RegistryUnreachable, match="did not finish to resolve within"):
        child.resolve(BY_ALIAS, "file:///store")
    assert time.monotonic() - began < 20


def test_a_version_that_is_not_ready_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are still being uploaded, whichever way the store is asked."""
    plan(monkeypatch, status="PENDING_REGISTRATION")
    with pytest.raises(ModelNotFound, match="flight-delay version 7 is not ready in the registry"):
        child.resolve(BY_ALIAS, "file:///store")
