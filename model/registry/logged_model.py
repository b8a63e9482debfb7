"""
A model as MLflow keeps it: XGBoost's own format, a declared signature, the files beside it.

MLflow's `log_model` needs some persuasion for a model with string categories; that stands here.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from model.errors import RegistryUnusable
from model.registry.packaging import ModelPackage
from model.registry.provenance import list_requirements
from model.training.fit import BOOSTER_FILE


def log_model(mlflow: Any, run_id: str, package: ModelPackage) -> str:
    """Log a package's files below a run; the logged model's id."""
    from mlflow.models import Model

    logged = Model.log(
        artifact_path=None,
        name="model",
        run_id=run_id,
        flavor=_xgboost_flavor(mlflow),
        flavor_name="xgboost",
        # MLflow would try the example with pyfunc, which cannot predict string categories.
        validate_serving_input=False,
        xgb_model=package.booster,
        model_format=BOOSTER_FILE.removeprefix("model."),
        signature=_declare_signature(package),
        input_example=package.example,
        pip_requirements=list_requirements(),  # MLflow's inference imports everything, and is slow
        extra_files=[str(path) for path in package.extra_files],
    )
    return str(logged.model_id)


def check_stored(mlflow: Any, model_id: str, package: ModelPackage) -> None:
    """
    Read the booster back: what was measured must be what will be served, byte for byte.

    Raises
    ------
    RegistryUnusable
        If it is another file.
    """
    with tempfile.TemporaryDirectory() as folder:
        stored = mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=folder)
        digest = hashlib.sha256((Path(stored) / BOOSTER_FILE).read_bytes()).hexdigest()
    if digest != package.booster_sha256:
        raise RegistryUnusable(
            f"the stored {BOOSTER_FILE} has the sha256 {digest[:12]}… and the card says "
            f"{package.booster_sha256[:12]}…: the artifact store changed it, or XGBoost wrote it differently twice"
        )


def _xgboost_flavor(mlflow: Any) -> SimpleNamespace:
    """`mlflow.xgboost` without the option that `Model.log` reads and then hands on to XGBoost's `save_model`."""

    def save_model(**options: Any) -> None:
        del options["validate_serving_input"]
        mlflow.xgboost.save_model(**options)

    return SimpleNamespace(save_model=save_model)


def _declare_signature(package: ModelPackage) -> Any:
    """MLflow's signature, declared: inferred from a sample, a rare missing value would be an error in service."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    inputs = [ColSpec(column.type, column.name, required=column.required) for column in package.features]
    output = (
        ColSpec("float", "prediction")
        if package.classes is None
        else TensorSpec(np.dtype(np.float32), (-1, len(package.classes)), "prediction")
    )
    return ModelSignature(Schema(inputs), Schema([output]))
