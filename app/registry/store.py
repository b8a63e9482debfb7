"""Which MLflow this process talks to: `MLFLOW_TRACKING_URI`, or the store embedded in the project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from app.errors import ModelUriInvalid

PROJECT_ROOT = Path(__file__).resolve().parents[2]
EMBEDDED_STORE = PROJECT_ROOT / ".mlflow"


def tracking_uri(environ: Mapping[str, str]) -> str:
    """
    The tracking URI, made absolute so that it means the same in every working directory.

    Raises
    ------
    ModelUriInvalid
        If none is set and this is an installed package, which has no project to embed a store in.
    """
    if uri := environ.get("MLFLOW_TRACKING_URI", "").strip():
        return uri
    if not (PROJECT_ROOT / "pyproject.toml").is_file():
        raise ModelUriInvalid("MLFLOW_TRACKING_URI is not set; set it to the MLflow server that holds the model")
    return f"sqlite:///{quote(str(EMBEDDED_STORE / 'mlflow.db'))}"  # SQLAlchemy unquotes it
