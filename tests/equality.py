"""
XGBoost's own answers, to the last bit, for tests to hold the service's against.

What XGBoost is asked is built here from the raw values with pandas and the full list of
categories, and shares no code with the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost

from tests.boosters import make_model, make_table, make_target
from tests.services import FakeRegistry, Service, run_service

Row = dict[str, Any]
Categories = Sequence[str] | Sequence[int]


def to_table(rows: Sequence[Row], categories: Categories) -> pd.DataFrame:
    """Rows as XGBoost reads them: raw values, the model's own list of categories, NaN for what is missing."""
    columns = {name: [row.get(name) for row in rows] for name in ("carrier", "hour", "temp", "wind")}
    numbers = {name: np.array(columns[name], dtype=np.float64) for name in ("hour", "temp", "wind")}
    return pd.DataFrame({"carrier": pd.Categorical(columns["carrier"], categories=list(categories)), **numbers})


def assert_same_bits(answered: Sequence[Any], expected: npt.NDArray[np.float32]) -> None:
    """Equal as float32, bit by bit: -0.0 is not 0.0."""
    assert expected.dtype == np.float32
    got = np.asarray(answered, dtype=np.float64).astype(np.float32)
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))


def make_labels(table: pd.DataFrame, objective: str) -> npt.NDArray[Any]:
    """A target that the objective accepts."""
    yes = make_target(table)
    if objective.startswith("multi:"):
        return np.asarray(yes + (table["hour"] % 2).to_numpy())
    return np.asarray(yes + 1) if objective in ("reg:gamma", "survival:cox") else yes


@contextmanager
def serve_booster(booster: xgboost.Booster, table: pd.DataFrame, **fields: Any) -> Iterator[Service]:
    """Serve a booster from a folder as MLflow would have written it."""
    with TemporaryDirectory() as place:
        model = make_model(booster=booster, table=table, **{"card": None, "with_golden": False, **fields})
        registry = FakeRegistry(model.write(Path(place, "model")))
        # XGBoost has just written the file, so no process has to open it first: each would import XGBoost anew.
        with patch("app.verification.probe_booster"), run_service(registry, Path(place, "log")) as service:
            yield service


def fit_early_stopped(name: str, booster: str) -> tuple[Any, pd.DataFrame]:
    """A wrapper whose last rounds made it worse."""
    kinds: dict[str, type[Any]] = {"XGBClassifier": xgboost.XGBClassifier, "XGBRegressor": xgboost.XGBRegressor}
    table, other = make_table(200, seed=1), make_table(200, seed=2)
    noise = np.random.default_rng(0).integers(0, 2, (2, 200))
    wrapper = kinds[name](
        n_estimators=40, max_depth=6, early_stopping_rounds=5, booster=booster, enable_categorical=True, n_jobs=1
    )
    labels = [
        make_target(rows) ^ (noise[index] & (np.arange(200) % 3 == 0)) for index, rows in enumerate((table, other))
    ]
    return wrapper.fit(table, labels[0], eval_set=[(other, labels[1])], verbose=False), other
