"""How much: a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from model.training.evaluation import Floats, calibration_error, calibration_points
from model.training.plots import plot_errors, plot_means
from model.training.task import Chart, Curve, Task, weighted_mean

_QUANTILES = np.linspace(0.01, 0.99, 99)


class Regression(Task):
    """Outcomes and predictions are numbers; what is learnt is the mean, by the squared error."""

    name = "regression"
    headline = "rmse"
    is_higher_better = False

    def __init__(self) -> None:
        self.booster_parameters = {"objective": "reg:squarederror", "eval_metric": "rmse"}

    def check(self, outcomes: npt.NDArray[Any]) -> None:
        """Finite numbers, not all the same."""
        if not np.isfinite(outcomes).all():
            raise ValueError(f"have {int((~np.isfinite(outcomes)).sum()):,} outcomes that are no finite numbers")
        if np.unique(outcomes).size < 2:  # noqa: PLR2004  several
            raise ValueError(f"need outcomes that differ; {outcomes.size:,} rows have the same")

    def find_possible(self, outcomes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """All numbers."""
        return np.isfinite(outcomes)

    def describe(self, outcomes: npt.NDArray[Any]) -> str:
        """Their mean."""
        return f"mean outcome {outcomes.mean():.4g}"

    def evaluate(self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> dict[str, float]:
        """
        Root mean squared and mean absolute error, means, R² and calibration error.

        The calibration error is the mean distance of predicted from observed means, over tenths of the rows by their
        prediction, in standard deviations of these rows' outcomes: it has no unit, and can be compared between models.
        Where all outcomes are the same it is in their unit, and there is no R².
        """
        actual, predicted = _as_arrays(outcomes, predictions)
        errors = predicted - actual
        metrics = {
            "rmse": float(np.sqrt(np.mean(errors**2))),
            "mae": float(np.mean(np.abs(errors))),
            "mean_outcome": float(actual.mean()),
            "mean_prediction": float(predicted.mean()),
        }
        spread = (
            float(actual.std()) if np.ptp(actual) else 0.0
        )  # a mean of equal numbers may differ from them in its last bit
        metrics["calibration_error"] = calibration_error(actual, predicted) / (spread or 1.0)
        if spread:
            metrics["r2"] = 1 - (metrics["rmse"] / spread) ** 2
        return metrics

    def weighted_headline(
        self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike, weights: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """The root mean squared error in each weighting."""
        actual, predicted = _as_arrays(outcomes, predictions)
        return np.sqrt(weighted_mean((predicted - actual) ** 2, weights))

    def plot(self, sides: Sequence[Curve]) -> dict[str, Figure]:
        """Predicted against observed means, and how the errors are distributed."""
        return {"plots/calibration.png": plot_means(sides), "plots/errors.png": plot_errors(sides)}

    def chart(self, sides: Sequence[Curve]) -> dict[str, Chart]:
        """The same as points."""
        calibration = [calibration_points(side.short_name, side.outcomes, side.predictions) for side in sides]
        errors = [
            pd.DataFrame(
                {
                    "side": side.short_name,
                    "quantile": _QUANTILES,
                    "error": np.quantile(np.subtract(side.predictions, side.outcomes, dtype=np.float64), _QUANTILES),
                }
            )
            for side in sides
        ]
        return {
            "calibration": Chart(pd.concat(calibration), "Calibration", "predicted", "observed"),
            "errors": Chart(pd.concat(errors), "Quantiles of prediction minus outcome", "quantile", "error"),
        }


def _as_arrays(outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> tuple[Floats, Floats]:
    actual, predicted = np.asarray(outcomes, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if actual.size == 0:
        raise ValueError("there are no rows to evaluate")
    return actual, predicted
