"""MLflow is asked in a real child process; a small hand-written `mlflow` stands in for it there."""

from __future__ import annotations

import json
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry import child
from app.registry.query import RegistryQuery
from tests.unit.registry.fake_mlflow import plan, write_mlflow

BY_ALIAS = RegistryQuery("flight-delay", "champion", None)
BY_VERSION = RegistryQuery("flight-delay", None, "3")


@pytest.fixture(autouse=True)
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package called mlflow that the child finds first."""
    write_mlflow(tmp_path / "path")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("PLAN", "{}")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (BY_ALIAS, ("7", "champion", "flight-delay@champion")),
        (BY_VERSION, ("3", None, None)),
    ],
)
def test_a_version_is_resolved(query: RegistryQuery, expected: tuple[str, str | None, str | None]) -> None:
    """Whatever libraries print meanwhile is not the answer."""
    found = child.resolve(query, "file:///store")
    number, alias, run_id = expected
    source = f"models:/flight-delay/{number}"
    assert found == ModelVersion("flight-delay", number, alias, run_id, source, is_immutable=True)


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
@pytest.mark.parametrize(
    ("query", "steps", "told"),
    [
        (BY_ALIAS, {}, r"^the registry at file:///store has no registered model 'flight-delay'\. Train"),
        (BY_ALIAS, {"model": {"old": 1, "best": 2}}, r"no alias 'champion' \(its aliases: 'best', 'old'\)\. Set the"),
        (BY_VERSION, {"model": {}, "versions": [2, 1]}, r"no version 3 \(its versions: 2, 1\)\. Name another"),
        (BY_VERSION, {"model": {}}, r"no version 3\. Name another"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    monkeypatch: pytest.MonkeyPatch, code: str, query: RegistryQuery, steps: dict[str, object], told: str
) -> None:
    """MLflow has three codes for it."""
    plan(monkeypatch, code=code, message="Registered model alias champion not found", **steps)
    with pytest.raises(ModelNotFound, match=told):
        child.resolve(query, "file:///store")


@pytest.mark.parametrize("code", ["INVALID_PARAMETER_VALUE", "INTERNAL_ERROR"])
def test_a_store_that_cannot_be_used_is_told_as_that(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Another model version would not help; MLflow has one code for it and for an alias that is not there."""
    plan(monkeypatch, code=code, message="Folders are no stores.\nmore", model_code=code)
    told = r"^MLflow cannot use file:///store as a registry: .*; check MLFLOW_TRACKING_URI$"
    with pytest.raises(RegistryUnreachable, match=told):
        child.resolve(BY_ALIAS, "file:///store")


@pytest.mark.parametrize("code", ["RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"])
def test_files_that_are_not_there_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """With MLflow's first line, and what to do."""
    plan(monkeypatch, code=code, message="Model m-7 not found.\nmore")
    told = r"^Model m-7 not found\. Name another model version in the model URI$"
    with pytest.raises(ModelNotFound, match=told):
        child.download("models:/m-7", tmp_path, "http://mlflow:5000")
    with pytest.raises(ModelNotFound, match=r"the path is correct\. Name another model version"):
        child.download("runs:/r7/model", tmp_path, "http://mlflow:5000")


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("botocore", "boto3"),
        ("boto3", "boto3"),
        ("google.cloud", "google-cloud-storage"),
        ("azure.storage.blob", "azure-identity azure-storage-file-datalake"),
        ("psycopg2", "psycopg2-binary"),
        ("sqlalchemy", f"mlflow=={version('mlflow-skinny')}"),
    ],
)
def test_a_package_that_is_missing_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    """Which is often not the module's."""
    plan(monkeypatch, missing=module)
    told = f"without the Python module '{module}'; install it beside treeserve: pip install {package}"
    for ask in (
        lambda: child.download("s3://bucket/model", tmp_path, "x"),
        lambda: child.download("runs:/r7/model", tmp_path, "x"),  # of which MLflow says only that there are no files
        lambda: child.resolve(BY_ALIAS, "x"),
    ):
        with pytest.raises(RegistryUnreachable) as caught:
            ask()
        assert str(caught.value).endswith(told)


def test_mlflow_without_databases_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mlflow-skinny, which the service brings, has no store in a database, and says that there is none."""
    code = "INVALID_PARAMETER_VALUE"
    plan(monkeypatch, code=code, message="got unsupported URI 'postgresql://db'", model_code=code)
    with pytest.raises(RegistryUnreachable, match="check MLFLOW_TRACKING_URI"):
        child.resolve(BY_ALIAS, "postgresql://db")
    (tmp_path / "path" / "sitecustomize.py").write_text("import sys\nsys.modules['sqlalchemy'] = None\n")
    with pytest.raises(RegistryUnreachable, match=r"pip install mlflow==[0-9.]+$"):
        child.resolve(BY_ALIAS, "postgresql://db")


@pytest.mark.parametrize(
    "steps",
    [
        {"error": "OSError", "arguments": [28, "No space left on device"]},
        {"code": "INTERNAL_ERROR", "message": "These failed:\n##### File x #####\n[Errno 28] No space left on device"},
    ],
    ids=["as it is", "told by MLflow"],
)
@pytest.mark.parametrize("source", ["s3://bucket/model", "runs:/r7/model"])
def test_a_full_disk_is_no_fault_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: dict[str, object], source: str
) -> None:
    """It is an error of this machine, as it is where files are copied."""
    plan(monkeypatch, **steps)
    with pytest.raises(OSError, match="No space left on device"):
        child.download(source, tmp_path, "http://mlflow:5000")


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ({"code": "INTERNAL_ERROR", "message": "no\nmore"}, "MLflow could not download s3://bucket/model: no$"),
        ({"code": "INVALID_PARAMETER_VALUE", "message": "no"}, "could not download s3://bucket/model: no$"),
        ({"code": "INTERNAL_ERROR", "message": "These failed:\nx\nbad"}, "bucket/model: These failed: bad$"),
        ({"error": "ConnectionError", "arguments": ["refused"]}, "bucket/model: ConnectionError: refused$"),
        ({"error": "ValueError", "arguments": []}, "bucket/model: ValueError: ValueError$"),
        ({"error": "ValueError", "arguments": ["x" * 10_000]}, "bucket/model: ValueError: x{600}$"),
        ({"exit": 3}, "ended with status 3: "),
        (
            {"exit": 1, "words": "out of\nmemory"},
            "ended with status 1: memory; if it was killed, there was too little memory$",
        ),
    ],
)
def test_whatever_else_goes_wrong_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: dict[str, object], told: str
) -> None:
    """In one line, with the last that the child could say."""
    plan(monkeypatch, **steps)
    with pytest.raises(RegistryUnreachable, match=told):
        child.download("s3://bucket/model", tmp_path, "http://mlflow:5000")


def test_a_runs_files_that_cannot_be_reached_are_not_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow raises for both that the path may be wrong."""
    plan(monkeypatch, error="ConnectionError", arguments=["refused"])
    with pytest.raises(RegistryUnreachable, match=r"could not download runs:/r7/model: ConnectionError: refused$"):
        child.download("runs:/r7/model", tmp_path, "http://mlflow:5000")


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


def test_no_password_is_among_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on the machine can read those."""
    commands: list[Any] = []
    run = subprocess.run

    def note(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", note)
    child.download("https://user:secret@store/model", tmp_path, "x")
    assert len(commands) == 1
    assert "secret" not in str(commands)
