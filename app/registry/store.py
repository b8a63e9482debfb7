"""Which MLflow this process talks to: `MLFLOW_TRACKING_URI`, or the store embedded in the project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from app.errors import ModelUriInvalid

PROJECT_ROOT = Path(__file__).resolve().parents[2]
EMBEDDED_STORE = PROJECT_ROOT / ".mlflow"
NOT_SET = "MLFLOW_TRACKING_URI is not set"

# Read by MLflow's client when it is imported or when it asks; what the environment says already holds.
CLIENT_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing about a model leaves the machine
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own 7 retries of 120 s each tell too late
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # a few files
    # A server that hands artifacts out is asked for them. Unless told otherwise the client has it sign addresses in its
    # store, which the server alone may reach, and waits a minute for each file, three times.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}


def find_tracking_uri(environ: Mapping[str, str]) -> str:
    """
    The tracking URI: as it is set, or the embedded store's, whatever the working directory.

    Returns
    -------
    str
        Empty if none is set and this is an installed package, which has no project to embed a store in.
    """
    if uri := environ.get("MLFLOW_TRACKING_URI", "").strip():
        return uri
    if not (PROJECT_ROOT / "pyproject.toml").is_file():
        return ""
    return f"sqlite:///{quote(str(EMBEDDED_STORE / 'mlflow.db'))}"  # SQLAlchemy unquotes it


def tracking_uri(environ: Mapping[str, str]) -> str:
    """
    The tracking URI, for whoever cannot do without: `find_tracking_uri`'s.

    Raises
    ------
    ModelUriInvalid
        If there is none.
    """
    uri = find_tracking_uri(environ)
    if not uri:
        raise ModelUriInvalid(f"{NOT_SET}; set it to the MLflow server that holds the models")
    return uri


def registry_uri(environ: Mapping[str, str]) -> str:
    """
    Where registered models are: MLflow allows another store for them than for runs.

    Returns
    -------
    str
        Empty as `find_tracking_uri`'s.
    """
    return environ.get("MLFLOW_REGISTRY_URI", "").strip() or find_tracking_uri(environ)


def sqlite_path(uri: str) -> Path:
    """
    The file of a store whose URI begins with ``sqlite:///``.

    SQLAlchemy's rule: three slashes and a relative path or four and an absolute one, quoted, up to a
    query; a # is part of it.
    """
    return Path(unquote(uri.partition(":///")[2].partition("?")[0]))


def without_credentials(text: str) -> str:
    """Take user, password and query out of every address in a text that a person or a log will see."""
    # A signed address of an artifact store's has all that is secret in its query.
    return re.sub(r"(//[^\s?]*)\?[^\s'\"]+", r"\1", re.sub(r"//[^/\s]*@", "//", text))
