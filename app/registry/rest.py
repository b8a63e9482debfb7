"""One bounded HTTP GET to MLflow's REST API, with the credentials that MLflow itself would use."""

from __future__ import annotations

import os
from typing import Any

from app.errors import ModelError, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry.query import RegistryQuery
from app.registry.store import without_credentials

_TIMEOUT_S = 10.0  # to connect, and again for each wait for more of the answer


def ask_rest(query: RegistryQuery, tracking_uri: str) -> ModelVersion:
    """
    Answer a query from an MLflow server.

    Raises
    ------
    ModelNotFound
        If the server has no such model, version or alias.
    RegistryUnreachable
        If it does not answer in time, refuses us, or answers something else.
    """
    import requests  # here, because a local store needs no HTTP client at start-up

    shown = without_credentials(tracking_uri)
    if query.alias:
        path, wanted = "registered-models/alias", {"name": query.name, "alias": query.alias}
    else:
        path, wanted = "model-versions/get", {"name": query.name, "version": str(query.version)}
    try:
        response = requests.get(
            f"{tracking_uri.rstrip('/')}/api/2.0/mlflow/{path}",
            params=wanted,
            headers=_bearer(),
            auth=_basic(),
            verify=_verify(),
            timeout=_TIMEOUT_S,
        )
        if response.status_code in (401, 403):  # which MLflow says in plain text, and a proxy in HTML
            raise RegistryUnreachable(
                f"the MLflow server at {shown} refuses us ({response.status_code}); check "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )
        answer = response.json()
        if not response.ok:
            raise _explain(response.status_code, answer, query, shown)
        found = answer["model_version"]
        version, status, run_id = str(found["version"]), found.get("status", "READY"), found.get("run_id") or None
    except (requests.RequestException, KeyError, TypeError, AttributeError) as error:
        raise RegistryUnreachable(
            f"the MLflow server at {shown} does not answer as one ({type(error).__name__}); "
            "check MLFLOW_TRACKING_URI and that the server runs"
        ) from None
    return query.found(version, status, run_id, f"models:/{query.name}/{version}")


def _basic() -> tuple[str, str] | None:
    username, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    return (username, password) if username and password else None


def _bearer() -> dict[str, str]:
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _verify() -> bool | str:
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        return False
    return os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True


def _explain(status: int, answer: Any, query: RegistryQuery, server: str) -> ModelError:
    """What an error answer of MLflow's means for the query."""
    code, message = str(answer["error_code"]), str(answer["message"])
    if code == "RESOURCE_DOES_NOT_EXIST" and "Registered Model" in message:
        return query.no_model(f"the registry at {server}")
    if code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        return query.no_version()
    return RegistryUnreachable(
        f"the MLflow server at {server} answers {status} {code}: {message}; check MLFLOW_TRACKING_URI"
    )
