"""What MLflow's client is told before it is asked."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest

from app.registry.store import CLIENT_SETTINGS
from model.registry.registration import load_mlflow


def test_training_asks_mlflow_as_the_service_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same patience, and no telemetry; what the person has set holds."""
    environ = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    monkeypatch.setattr(os, "environ", environ)
    for name in ("mlflow", "mlflow.xgboost"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    load_mlflow()
    assert environ.items() >= (CLIENT_SETTINGS | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}).items()
    assert CLIENT_SETTINGS["MLFLOW_DISABLE_TELEMETRY"] == "true"
