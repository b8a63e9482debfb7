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
    """

    name: Literal["binary_classification", "multiclass_classification", "regression"]
    booster_parameters: Mapping[str, Any]
    headline: str
    is_higher_better: bool
    decision_threshold: float | None = None

    @abstractmethod
    def evaluate(self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> dict[str, float]:
        """
        Measure one set of predictions; a metric that has no meaning for these rows is absent.

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
        outcomes, predictions : array_like, shape (n_rows,)
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
    def tabulate(self, sides: Sequence[Curve]) -> dict[str, pd.DataFrame]:
        """Give the points of such curves, by name, as DVC draws them from `reports/NAME.csv`."""


def evaluate_months(
    task: Task, outcomes: npt.ArrayLike, predictions: npt.ArrayLike, moments: pd.Series
) -> dict[str, float]:
    """Measure each calendar month by itself, as ``month_11_auc``: a mean over months hides the bad one."""
    actual, predicted = np.asarray(outcomes), np.asarray(predictions)
    months = moments.dt.month.to_numpy()
    return {
        f"month_{month:02}_{name}": value
        for month in np.unique(months)
        for name, value in task.evaluate(actual[months == month], predicted[months == month]).items()
    }
