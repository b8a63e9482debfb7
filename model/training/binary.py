"""Yes or no: the probability of yes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from model.training.evaluation import calibration_points, evaluate, weighted_auc
from model.training.plots import plot_calibration, plot_roc
from model.training.task import Chart, Curve, Task

_N_POINTS = 200  # of a curve that is drawn


class BinaryClassification(Task):
    """Outcomes are 0 or 1, predictions probabilities of 1."""

    name = "binary_classification"
    headline = "auc"
    is_higher_better = True

    def __init__(self, decision_threshold: float = 0.5) -> None:
        self.booster_parameters = {"objective": "binary:logistic", "eval_metric": "auc"}
        self.decision_threshold: float = decision_threshold

    def check(self, outcomes: npt.NDArray[Any]) -> None:
        """Both outcomes, and no others."""
        if np.unique(outcomes).tolist() != [0, 1]:
            raise ValueError(
                f"need both outcomes, 0 and 1, and no others; {outcomes.size:,} rows have "
                f"{int((outcomes == 1).sum()):,} yes and {int((outcomes == 0).sum()):,} no"
            )

    def find_possible(self, outcomes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """0 and 1."""
        return np.isin(outcomes, (0, 1))

    def describe(self, outcomes: npt.NDArray[Any]) -> str:
        """How often it came true."""
        return f"mean outcome {outcomes.mean():.2f}"

    def evaluate(self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> dict[str, float]:
        """AUC, log loss, Brier score, calibration error, rates, precision and recall at the threshold."""
        return evaluate(outcomes, predictions, self.decision_threshold)

    def weighted_headline(
        self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike, weights: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """The AUC in each weighting."""
        return weighted_auc(outcomes, predictions, weights)

    def plot(self, sides: Sequence[Curve]) -> dict[str, Figure]:
        """ROC and calibration."""
        return {"plots/roc.png": plot_roc(sides), "plots/calibration.png": plot_calibration(sides)}

    def chart(self, sides: Sequence[Curve]) -> dict[str, Chart]:
        """The same as points."""
        roc, calibration = [], []
        for side in sides:
            false, true, _ = roc_curve(side.outcomes, side.predictions)
            chosen = [round(at * (len(false) - 1) / (_N_POINTS - 1)) for at in range(_N_POINTS)]
            rates = {"false_positive_rate": false[chosen], "true_positive_rate": true[chosen]}
            roc.append(pd.DataFrame({"side": side.short_name, **rates}))
            calibration.append(calibration_points(side.short_name, side.outcomes, side.predictions))
        return {
            "roc": Chart(pd.concat(roc), "ROC", "false_positive_rate", "true_positive_rate"),
            "calibration": Chart(pd.concat(calibration), "Calibration", "predicted", "observed"),
        }
