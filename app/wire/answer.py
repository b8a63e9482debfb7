"""Predictions to the body of an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii

import numpy as np
import numpy.typing as npt

from app.errors import Fault, PredictionNotFinite
from app.model_version import ModelVersion
from app.wire.plain import encode_plain

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
    PredictionNotFinite
        If one is NaN or infinite, which JSON has no word for.
    """
    text = encode_plain(predictions)
    if text is not None:
        return text
    values = predictions.tolist()
    try:
        return _encode(values)[1:-1]
    except ValueError:
        row = int(np.argmin(np.isfinite(predictions).reshape(len(values), -1).all(axis=1)))
        raise PredictionNotFinite(f"the model's answer to instance {row} is not a finite number") from None


class AnswerEncoder:
    """Writes the answers of one model version."""

    def __init__(self, version: ModelVersion) -> None:
        self._model = f',"model":{_encode({"name": version.name, "version": version.version})},"predictions":['

    def encode(self, request_id: str, predictions: str, warnings: Sequence[Fault]) -> bytes:
        """
        Write an answer.

        Parameters
        ----------
        predictions : str
            As `encode_predictions` writes them.
        """
        told = f'],"warnings":{_encode([describe_fault(warning) for warning in warnings])}}}' if warnings else "]}"
        return f'{{"request_id":{encode_basestring_ascii(request_id)}{self._model}{predictions}{told}'.encode("ascii")


def describe_fault(fault: Fault) -> dict[str, str]:
    """One fault as callers see it, in errors and in warnings."""
    return {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
