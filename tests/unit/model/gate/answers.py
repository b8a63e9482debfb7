"""Models for the gate that are functions of a matrix, and a window for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.datasets.dataset import Dataset, FeatureColumn
from model.expectations import Matrix, Rises, Steady, Within
from model.flights.project import FlightDelay
from model.project import ModelDescription, Project
from model.rules import GateRules, read_gate_rules

NAMES = ["hour", "temp", "noise"]
N_DAYS, N_A_DAY = 28, 200


@dataclass(frozen=True)
class FunctionAnswers:
    """The answers of a function of the rows."""

    matrix: Matrix
    function: Callable[[Matrix], Matrix]
    features: list[str]

    @property
    def predictions(self) -> Matrix:
        """To the rows as they are."""
        return self.function(self.matrix)

    def with_column(self, name: str, values: npt.ArrayLike) -> Matrix:
        """To the rows with another column."""
        changed = self.matrix.copy()
        changed[:, self.features.index(name)] = values
        return self.function(changed)


class SmallProject(FlightDelay):
    """Of three numbers."""

    description = ModelDescription(
        "that it happens", "reject", [FeatureColumn(name, "double", True, "a number") for name in NAMES]
    )
    slices = ("carrier",)
    expectations = (Within(0, 1), Rises("hour", 6, 18), Steady("noise", by=0.1, within=0.05))
    known_later = frozenset({"delay"})


PROJECT: Project = SmallProject()


def make_rules(**changes: Any) -> GateRules:
    """Those of the file, but for these."""
    return replace(read_gate_rules(), **changes)


def make_window() -> Dataset:
    """Outcomes that depend on the hour and the temperature, in four weeks and two carriers."""
    rng = np.random.default_rng(3)
    n_rows = N_DAYS * N_A_DAY
    features = pd.DataFrame({name: rng.random(n_rows) for name in NAMES})
    features["hour"] = rng.integers(0, 24, n_rows)
    features["carrier"] = rng.choice(["AA", "DL"], n_rows)
    outcomes = (rng.random(n_rows) < good(features[NAMES].to_numpy(np.float32))).astype(np.int8)
    return Dataset(features, outcomes, pd.Series(pd.date_range("2013-11-20", periods=N_DAYS, tz="UTC").repeat(N_A_DAY)))


def good(matrix: Matrix) -> Matrix:
    """The chances themselves: nobody can do better."""
    hour, temp, _ = matrix.T
    return np.asarray(0.05 + 0.35 * hour / 23 + 0.4 * temp, dtype=np.float32)


def poor(matrix: Matrix) -> Matrix:
    """Knows nothing of the temperature, and is calibrated."""
    return np.asarray(0.25 + 0.35 * matrix[:, 0] / 23, dtype=np.float32)


def answers_of(window: Dataset, function: Callable[[Matrix], Matrix]) -> FunctionAnswers:
    """A function's answers to a window."""
    return FunctionAnswers(window.features[NAMES].to_numpy(np.float32), function, NAMES)
