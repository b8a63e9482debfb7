"""
Asks MLflow itself, in a child process that ends: the service never imports MLflow.

Its import costs two seconds and a hundred megabytes, which a long-lived server would keep.
"""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.processes import python_module
from app.registry.query import RegistryQuery
from app.registry.store import CLIENT_SETTINGS, without_credentials

# Where the package that has a module is not called as the module is.
_PACKAGES = {
    "azure": "azure-identity azure-storage-file-datalake",  # the second brings azure-storage-blob
    "botocore": "boto3",
    "google": "google-cloud-storage",
    "MySQLdb": "mysqlclient",
    "paramiko": "pysftp",
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
}
_RESOLVE_TIMEOUT_S = 60.0
_DOWNLOAD_TIMEOUT_S = 900.0


def resolve(query: RegistryQuery, registry_uri: str) -> ModelVersion:
    """
    Answer a query from a store that only MLflow's client can read.

    Raises
    ------
    ModelNotFound, RegistryUnreachable
    """
    wanted = {
        "do": "resolve",
        "name": query.name,
        "alias": query.alias,
        "version": query.version,
        "filter": query.filter,
    }
    stores = {"MLFLOW_TRACKING_URI": registry_uri, "MLFLOW_REGISTRY_URI": registry_uri}
    found = _ask(wanted, _RESOLVE_TIMEOUT_S, stores)
    shown = without_credentials(registry_uri)
    if "no_model" in found:
        raise query.no_model(f"the registry at {shown}")
    if "no_version" in found:
        raise query.no_version(found["no_version"])
    if "unreachable" in found:
        raise RegistryUnreachable(
            f"MLflow cannot use {shown} as a registry: {found['unreachable']}; check MLFLOW_TRACKING_URI"
        )
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
    OSError
        If the folder's disk is full.
    """
    wanted = {"do": "download", "source": source, "folder": str(folder)}
    ended = _ask(wanted, _DOWNLOAD_TIMEOUT_S, {"MLFLOW_TRACKING_URI": tracking_uri})
    if "no_files" in ended:
        raise ModelNotFound(f"{ended['no_files']}. Name another model version in the model URI")
    if "no_room" in ended:
        raise OSError(ended["no_room"])
    if "unreachable" in ended:
        raise RegistryUnreachable(f"MLflow could not download {without_credentials(source)}: {ended['unreachable']}")


def _ask(request: dict[str, Any], timeout_s: float, stores: dict[str, str]) -> dict[str, Any]:
    environ = {**CLIENT_SETTINGS, **os.environ, **stores}
    command = python_module("app.registry.mlflow_process")
    try:
        ended = subprocess.run(
            command,
            input=json.dumps(request),  # an address may have a password in it, and arguments are there for all to see
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            process_group=0,  # Ctrl-C in a terminal is not for it
        )
    except subprocess.TimeoutExpired:
        raise RegistryUnreachable(f"MLflow did not finish to {request['do']} within {timeout_s:.0f} s") from None
    try:
        answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (ended.stderr.strip() or "no message").splitlines()[-1]
        raise RegistryUnreachable(
            f"MLflow's process ended with status {ended.returncode}: {without_credentials(last)}; if it was killed, "
            "there was too little memory"
        ) from None
    if module := answer.get("no_module"):
        raise RegistryUnreachable(
            f"MLflow could not {request['do']} without the Python module {module!r}; "
            f"install it beside treeserve: pip install {_package_of(module)}"
        )
    return answer


def _package_of(module: str) -> str:
    first = module.partition(".")[0]
    if first == "sqlalchemy":  # one of many that full MLflow brings; of another version it would bring another skinny
        return f"mlflow=={version('mlflow-skinny')}"
    return _PACKAGES.get(first, first)
