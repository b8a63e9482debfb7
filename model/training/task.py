"""What kind of prediction a model makes: how XGBoost learns it, and how it is measured and drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curve:
    """One set of rows in a plot: what the legend calls it, what came true, what was predicted."""

    name: str
    outcomes: npt.NDArray[Any]
    predictions: npt.NDArray[np.float32]

    @property
    def short_name(self) -> str:
        """Its first word: which side of the split it is."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class Chart:
    """
    Points, and how DVC draws them.

    Attributes
    ----------
    points : pandas.DataFrame
    title : str
    x, y : str
        Columns of the points.
    template : str
        DVC's name of the kind of plot.
    """

    points: pd.DataFrame
    title: str
    x: str
    y: str
    template: str = "linear"


class Task(ABC):
    """
    One kind of prediction.

    Attributes
    ----------
    name : str
        As the card has it.
    booster_parameters : mapping
        What `xgboost.train` is told of it: at least ``objective`` and ``eval_metric``, by which it stops.
    headline : str
        The metric by which two models are compared; one of those that `evaluate` gives.
    is_higher_better : bool
        Of the headline.
    decision_threshold : float or None
        Predictions at or above it mean yes; None where there is no yes.
    classes : sequence of str or None
        What each number of a prediction is the probability of; None where a prediction is one number.
    """

    name: Literal["binary_classification", "multiclass_classification", "regression"]
    booster_parameters: Mapping[str, Any]
    headline: str
    is_higher_better: bool
    decision_threshold: float | None = None
    classes: Sequence[str] | None = None

    @abstractmethod
    def check(self, outcomes: npt.NDArray[Any]) -> None:
        """
        Make sure that something can be learnt or measured on one side of a split.

        Parameters
        ----------
        outcomes : numpy.ndarray, shape (n_rows,)

        Raises
        ------
        ValueError
            If they are not such outcomes, or all the same; the text goes on after "the fit rows ".
        """

    @abstractmethod
    def find_possible(self, outcomes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of some outcomes are such as the task has: callers may tell whatever is a number."""

    @abstractmethod
    def describe(self, outcomes: npt.NDArray[Any]) -> str:
        """Say in a few words how outcomes are distributed."""

    @abstractmethod
    def evaluate(self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> dict[str, float]:
        """
        Measure one set of predictions; a metric that has no meaning for these rows is absent.

        The headline and ``calibration_error`` are among them wherever `check` lets the outcomes pass.

        Raises
        ------
        ValueError
            If there are no rows.
        """

    @abstractmethod
    def weighted_headline(
        self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike, weights: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """
        Measure the headline in many weightings of the same rows at once.

        Parameters
        ----------
        outcomes : array_like, shape (n_rows,)
        predictions : array_like, shape (n_rows,) or (n_rows, n_classes)
        weights : numpy.ndarray of float, shape (n_weightings, n_rows)

        Returns
        -------
        numpy.ndarray of float, shape (n_weightings,)
            NaN where a weighting leaves nothing to measure.
        """

    @abstractmethod
    def plot(self, sides: Sequence[Curve]) -> dict[str, Figure]:
        """Draw what a person looks at before deciding, by file name; the first side is the one that counts."""

    @abstractmethod
    def chart(self, sides: Sequence[Curve]) -> dict[str, Chart]:
        """Give the same as points, by name, as DVC draws them from `reports/curves/NAME.csv`."""


def weighted_mean(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """
    Mean of one number a row in many weightings; NaN where nothing has weight.

    Parameters
    ----------
    values : numpy.ndarray of float, shape (n_rows,)
    weights : numpy.ndarray of float, shape (n_weightings, n_rows)

    Returns
    -------
    numpy.ndarray of float, shape (n_weightings,)
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ values) / weights.sum(axis=1))


def evaluate_months(
    task: Task, outcomes: npt.ArrayLike, predictions: npt.ArrayLike, moments: pd.Series
) -> dict[str, float]:
    """
    Measure each calendar month by itself, as ``month_11_auc``: a mean over months hides the bad one.

    Of several years, the same month's rows are measured together.
    """
    actual, predicted = np.asarray(outcomes), np.asarray(predictions)
    months = moments.dt.month.to_numpy()
    return {
        f"month_{month:02}_{name}": value
        for month in np.unique(months)
        for name, value in task.evaluate(actual[months == month], predicted[months == month]).items()
    }
