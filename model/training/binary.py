"""Yes or no: the probability of yes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from model.training.evaluation import calibration_curve, evaluate, weighted_auc
from model.training.plots import plot_calibration, plot_roc
from model.training.task import Curve, Task

_N_POINTS = 200  # of a curve that is drawn


class BinaryClassification(Task):
    """Outcomes are 0 or 1, predictions probabilities of 1."""

    name = "binary_classification"
    headline = "auc"
    is_higher_better = True

    def __init__(self, decision_threshold: float = 0.5) -> None:
        self.booster_parameters = {"objective": "binary:logistic", "eval_metric": "auc"}
        self.decision_threshold: float = decision_threshold

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

    def tabulate(self, sides: Sequence[Curve]) -> dict[str, pd.DataFrame]:
        """The same as points."""
        roc, calibration = [], []
        for side in sides:
            name = side.name.partition(" ")[0]
            false, true, _ = roc_curve(side.outcomes, side.predictions)
            chosen = [round(at * (len(false) - 1) / (_N_POINTS - 1)) for at in range(_N_POINTS)]
            roc.append(
                pd.DataFrame({"side": name, "false_positive_rate": false[chosen], "true_positive_rate": true[chosen]})
            )
            predicted, observed, _ = calibration_curve(side.outcomes, side.predictions)
            calibration.append(pd.DataFrame({"side": name, "predicted": predicted, "observed": observed}))
        return {"roc": pd.concat(roc), "calibration": pd.concat(calibration)}
