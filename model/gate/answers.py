"""What a model version answers some rows: by the service's own predictor, from bytes as callers send them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.check import load_verified
from app.errors import InvalidRequest
from app.predictor import Predictor
from app.settings import Settings
from model.datasets.instances import to_body
from model.errors import GateImpossible

_ROWS_A_BODY = 5_000
_N_TURNS, _N_CALLS = 7, 300


@dataclass(frozen=True)
class Answers:
    """
    Of one model version.

    Attributes
    ----------
    predictor : Predictor
    matrix : numpy.ndarray of float32, shape (n_rows, n_features)
        The rows as its forest takes them.
    predictions : numpy.ndarray of float32, shape (n_rows,) or (n_rows, n_classes)
    """

    predictor: Predictor
    matrix: npt.NDArray[np.float32]
    predictions: npt.NDArray[np.float32]

    @property
    def features(self) -> list[str]:
        """The names of the columns."""
        return [feature.name for feature in self.predictor.signature.features]

    def with_column(self, name: str, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """What it answers where one feature has other values, given as its forest takes them."""
        changed = self.matrix.copy()
        changed[:, self.features.index(name)] = values
        return self.predictor.forest.predictions(changed)


def load_predictor(uri: str) -> Predictor:
    """
    Load a model version as the service does, with all that it verifies.

    Raises
    ------
    ModelError
        If it cannot be had, or may not serve.
    """
    return load_verified(uri, Settings.from_environment(os.environ))


def answer(predictor: Predictor, features: pd.DataFrame) -> Answers:
    """
    Answer rows.

    Parameters
    ----------
    predictor : Predictor
    features : pandas.DataFrame, shape (n_rows, n_features)
        What the predictor does not know of is left out.

    Raises
    ------
    GateImpossible
        If they are no instances for it.
    """
    known = [feature.name for feature in predictor.signature.features if feature.name in features]
    parts = []
    for start in range(0, len(features), _ROWS_A_BODY):
        body = to_body(features[known].iloc[start : start + _ROWS_A_BODY])
        try:
            parts.append(_decode(predictor, body))
        except InvalidRequest as error:
            first = error.faults[0]
            raise GateImpossible(
                f"{predictor.version} cannot answer the rows that it is judged by: {first.pointer}: {first.detail}"
            ) from None
    matrix = np.concatenate(parts)
    return Answers(predictor, matrix, predictor.forest.predictions(matrix))


def measure_prediction_time_us(predictor: Predictor, features: pd.DataFrame) -> float:
    """Processor time for one instance, from its bytes to its prediction, in µs: the median of turns over many."""
    bodies = [to_body(features.iloc[[row]]) for row in range(min(_N_CALLS, len(features)))]
    turns = []
    for _ in range(_N_TURNS):
        begun = time.process_time()
        for body in bodies:
            predictor.forest.predictions(_decode(predictor, body))
        turns.append((time.process_time() - begun) / len(bodies))
    return median(turns) * 1e6


def _decode(predictor: Predictor, body: bytes) -> npt.NDArray[np.float32]:
    # Also where a service refuses an unknown category: one that is new says nothing of which model is better.
    return predictor.decoder.decode(body, max_instances=_ROWS_A_BODY, unknown_is_missing=True).matrix
