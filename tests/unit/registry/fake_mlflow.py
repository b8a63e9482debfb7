"""A package called mlflow that does in a child process what the environment's `PLAN` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

MLFLOW = """
import builtins, json, logging, os, pathlib, sys, time
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

    def get_registered_model(self, name):
        if "model" not in plan:
            raise MlflowException(plan["message"], plan.get("model_code", "RESOURCE_DOES_NOT_EXIST"))
        return SimpleNamespace(aliases=plan["model"])

    def search_model_versions(self, filter_string, max_results, order_by):
        assert (filter_string, order_by) == ("name = 'flight-delay'", ["version_number DESC"])
        if "versions" not in plan:
            raise MlflowException("no search", "INTERNAL_ERROR")
        return [SimpleNamespace(version=version) for version in plan["versions"]]

def act():
    print("chatter of a library")
    print("more of it", file=sys.stderr)
    if "sleep" in plan:
        time.sleep(plan["sleep"])
    if "missing" in plan:
        raise ModuleNotFoundError("No module named x", name=plan["missing"])
    if "code" in plan:
        raise MlflowException(plan["message"], plan["code"])
    if "error" in plan:
        raise getattr(builtins, plan["error"])(*plan["arguments"])
    if "exit" in plan:
        print(plan.get("words", ""), file=sys.stderr)
        os._exit(plan["exit"])

def download_artifacts(artifact_uri, dst_path):
    if artifact_uri.startswith("runs:"):  # as in MLflow's own runs_artifact_repo
        try:
            act()
        except Exception:
            logging.getLogger("mlflow.store.artifact.runs_artifact_repo").debug("failed", exc_info=True)
            raise MlflowException("please ensure that the path is correct", "RESOURCE_DOES_NOT_EXIST")
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


def write_mlflow(path: Path) -> None:
    """Put the package where a child process that has the folder on its path finds it."""
    package = path / "mlflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(MLFLOW)
    (package / "artifacts.py").touch()
    (package / "exceptions.py").write_text(EXCEPTIONS)


def plan(monkeypatch: pytest.MonkeyPatch, **steps: object) -> None:
    """What the fake MLflow is to do."""
    monkeypatch.setenv("PLAN", json.dumps(steps))
