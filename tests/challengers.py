"""Challengers for tests: real boosters beside the champion's, some of which fail in the ways that a challenger may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from app.evaluation import choose_evaluator
from app.forest.kernel_forest import FloatMatrix
from app.model_version import ModelVersion
from app.predictor import Forest, Predictor
from tests.boosters import INPUTS, make_model, make_table, make_target, train_booster

WAIT_S = 20.0
# The labels of what is compared: the versions that tests give the two.
COMPARED = {"champion": "7", "challenger": "8"}


def write_challenger(folder: Path, **changes: Any) -> Path:
    """A model of the champion's features that was trained otherwise, and so answers otherwise."""
    table = make_table(seed=5)
    return make_model(booster=train_booster(table, make_target(table), rounds=3), table=table, **changes).write(folder)


def write_stranger(folder: Path) -> Path:
    """A model that has a feature more, which it requires, and does not know the carrier `UA`."""
    table = make_table(seed=5, carriers=["AA", "DL"])
    table["snow"] = table["wind"] / 2
    booster = train_booster(table, make_target(table), rounds=3)
    inputs = [*INPUTS, {"name": "snow", "type": "double", "required": True}]
    return make_model(
        booster=booster, table=table, inputs=inputs, card={"categories": {"carrier": ["AA", "DL"]}}
    ).write(folder)


def load_challenger(folder: Path, version: str = "8") -> Predictor:
    """The model, as a challenger is loaded."""
    named = ModelVersion("flight-delay", version, "challenger", "c" * 32, str(folder), is_immutable=True)
    return choose_evaluator(Predictor.load(folder, named))


@dataclass
class Changed:
    """A forest whose predictions are changed by `change`, which may raise."""

    forest: Forest
    change: Callable[[FloatMatrix], FloatMatrix]
    n_rows: list[int] = field(default_factory=list)  # of each call

    def __post_init__(self) -> None:
        self.n_quick_rows = self.forest.n_quick_rows

    def margins(self, matrix: FloatMatrix) -> FloatMatrix:
        return self.forest.margins(matrix)

    def predictions(self, matrix: FloatMatrix) -> FloatMatrix:
        self.n_rows.append(len(matrix))
        return self.change(self.forest.predictions(matrix))


def changed(predictor: Predictor, change: Callable[[FloatMatrix], FloatMatrix]) -> Predictor:
    """A predictor whose forest is changed."""
    return replace(predictor, forest=Changed(predictor.forest, change))


def failing(_: FloatMatrix) -> FloatMatrix:
    """Raises what no one expects."""
    raise ZeroDivisionError("the challenger is broken")


def not_finite(predictions: FloatMatrix) -> FloatMatrix:
    """Every prediction of several is NaN but the first; one alone is too."""
    broken = predictions.copy()
    broken[1 if len(broken) > 1 else 0 :] = np.nan
    return broken


@dataclass
class Gate:
    """Lets predictions through only while it is open; tells when one has begun."""

    is_open: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)

    def __call__(self, predictions: FloatMatrix) -> FloatMatrix:
        self.began.set()
        assert self.is_open.wait(WAIT_S)
        return predictions
