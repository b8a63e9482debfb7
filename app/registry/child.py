"""
Asks MLflow itself, in a child process that ends: the service never imports MLflow.

Its import costs two seconds and a hundred megabytes, which a long-lived server would keep.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry.query import RegistryQuery
from app.registry.store import without_credentials

_RESOLVE_TIMEOUT_S = 60.0
_DOWNLOAD_TIMEOUT_S = 900.0


def resolve(query: RegistryQuery, registry_uri: str) -> ModelVersion:
    """
    Answer a query from a store that only MLflow's client can read.

    Raises
    ------
    ModelNotFound, RegistryUnreachable
    """
    wanted = {"do": "resolve", "name": query.name, "alias": query.alias, "version": query.version}
    found = _ask(wanted, _RESOLVE_TIMEOUT_S, {"MLFLOW_TRACKING_URI": registry_uri, "MLFLOW_REGISTRY_URI": registry_uri})
    source = f"models:/{query.name}/{found['version']}"
    return query.found(found["version"], found["status"], found["run_id"], source)


def download(source: str, folder: Path, tracking_uri: str) -> None:
    """
    Download a model's files into an existing folder.

    Raises
    ------
    ModelNotFound
        If there are no such files.
    RegistryUnreachable
        If the registry or the artifact store does not answer.
    """
    wanted = {"do": "download", "source": source, "folder": str(folder)}
    _ask(wanted, _DOWNLOAD_TIMEOUT_S, {"MLFLOW_TRACKING_URI": tracking_uri})


def _ask(request: dict[str, Any], timeout_s: float, stores: dict[str, str]) -> dict[str, Any]:
    # MLflow's own defaults are 7 retries of 120 s each: a caller would never learn what is wrong.
    environ = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        **os.environ,
        **stores,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    command = [sys.executable, "-m", "app.registry.mlflow_process", json.dumps(request)]
    try:
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise RegistryUnreachable(f"MLflow did not finish to {request['do']} within {timeout_s:.0f} s") from None
    try:
        answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (ended.stderr.strip() or "no message").splitlines()[-1]
        raise RegistryUnreachable(
            f"MLflow's process ended with status {ended.returncode}: {without_credentials(last)}"
        ) from None
    if "not_found" in answer:
        what = without_credentials(answer["not_found"])
        raise ModelNotFound(f"{what}. Name another model version in TREESERVE_MODEL_URI")
    if "unreachable" in answer:
        raise RegistryUnreachable(f"MLflow could not {request['do']}: {without_credentials(answer['unreachable'])}")
    return answer
