"""Predictions to the body of an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.errors import Fault
from app.model_version import ModelVersion

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode_predictions(predictions: npt.NDArray[np.float32]) -> str:
    """
    Write predictions as JSON values with commas between.

    Parameters
    ----------
    predictions : numpy.ndarray of float32, shape (n_instances,) or (n_instances, n_classes)
        Each is written as the shortest decimal that reads back as the same number.

    Raises
    ------
    ValueError
        If one is not finite, which JSON has no word for.
    """
    values = predictions.tolist()
    if len(values) == 1 and isinstance(value := values[0], float) and math.isfinite(value):
        return repr(value)
    return _encode(values)[1:-1]


def encode_answer(request_id: str, version: ModelVersion, predictions: str, warnings: Sequence[Fault]) -> bytes:
    """
    Write an answer.

    Parameters
    ----------
    predictions : str
        As `encode_predictions` writes them.
    """
    told = f',"warnings":{_encode([describe_fault(warning) for warning in warnings])}' if warnings else ""
    return (
        f'{{"request_id":{_encode(request_id)},"model":{_encode({"name": version.name, "version": version.version})},'
        f'"predictions":[{predictions}]{told}}}'
    ).encode("ascii")


def describe_fault(fault: Fault) -> dict[str, str]:
    """One fault as callers see it, in errors and in warnings."""
    return {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
