"""Which of several classes: one probability for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from model.errors import DataInvalid
from model.training.evaluation import Floats, calibration_error, calibration_points
from model.training.plots import plot_calibration, plot_confusion
from model.training.task import Chart, Curve, Task, weighted_mean

_LEAST_PROBABILITY = 1e-16  # as XGBoost's own mlogloss has it: a class that was ruled out is not infinitely wrong
_FEWEST, _MOST_IN_INT8 = 2, 128
_MAX_DRAWN = 8  # classes with a calibration curve of their own


class MulticlassClassification(Task):
    """
    Outcomes are codes of classes, predictions one probability a class.

    Parameters
    ----------
    classes : sequence of str
        Their names; the place in it, from 0, is a class's code, and its place in a prediction.
    """

    name = "multiclass_classification"
    headline = "log_loss"
    is_higher_better = False

    def __init__(self, classes: Sequence[str]) -> None:
        if len(classes) < _FEWEST or len(set(classes)) != len(classes):
            raise ValueError(f"there must be several classes, each with a name of its own: {', '.join(classes)}")
        self.classes: tuple[str, ...] = tuple(classes)
        self.booster_parameters = {
            "objective": "multi:softprob",
            "num_class": len(classes),
            "eval_metric": "mlogloss",
        }

    def encode(self, names: pd.Series) -> npt.NDArray[np.integer[Any]]:
        """
        Turn names of classes into outcomes.

        Raises
        ------
        DataInvalid
            If a name is missing, or none of a class.
        """
        codes = pd.Index(self.classes).get_indexer(pd.Index(names))
        if (codes < 0).any():
            wrong = names.iloc[int(np.argmin(codes))]
            raise DataInvalid(f"{wrong!r} is no class; there are {', '.join(self.classes)}", "the project's outcomes")
        return codes.astype(np.int8 if len(self.classes) <= _MOST_IN_INT8 else np.int16)

    def check(self, outcomes: npt.NDArray[Any]) -> None:
        """Codes of classes, of at least two."""
        occurring = np.unique(outcomes)
        if not np.isin(occurring, np.arange(len(self.classes))).all():
            raise ValueError(f"have outcomes that are no codes of classes, which are 0 to {len(self.classes) - 1}")
        if occurring.size < _FEWEST:
            raise ValueError(f"need outcomes of several classes, and have {self.describe(outcomes) or 'none'}")

    def find_possible(self, outcomes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Codes of classes."""
        return np.isin(outcomes, np.arange(len(self.classes)))

    def describe(self, outcomes: npt.NDArray[Any]) -> str:
        """The share of each class that occurs."""
        shares = np.bincount(outcomes.astype(np.int64), minlength=len(self.classes)) / max(1, outcomes.size)
        return ", ".join(f"{name} {share:.0%}" for name, share in zip(self.classes, shares, strict=True) if share > 0)

    def evaluate(self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> dict[str, float]:
        """
        Log loss, accuracy of the most probable class, Brier score, calibration error.

        The Brier score is the sum over the classes, from 0 to 2. The calibration error is the mean over the classes of
        each one's own, as if it were asked for alone: whether a class that was said to have 10 % comes in 10 %.
        """
        actual, predicted = _as_arrays(outcomes, predictions)
        came_true = np.eye(len(self.classes))[actual]
        errors = [calibration_error(came_true[:, code], predicted[:, code]) for code in range(len(self.classes))]
        return {
            "log_loss": float(_losses(actual, predicted).mean()),
            "accuracy": float((predicted.argmax(axis=1) == actual).mean()),
            "brier": float(((predicted - came_true) ** 2).sum(axis=1).mean()),
            "calibration_error": float(np.mean(errors)),
        }

    def weighted_headline(
        self, outcomes: npt.ArrayLike, predictions: npt.ArrayLike, weights: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """The log loss in each weighting."""
        return weighted_mean(_losses(*_as_arrays(outcomes, predictions)), weights)

    def plot(self, sides: Sequence[Curve]) -> dict[str, Figure]:
        """What was said of each class that came, and the calibration of the most frequent ones."""
        side, *_ = sides
        by_frequency = np.argsort(-np.bincount(side.outcomes, minlength=len(self.classes)), kind="stable")
        one_by_one = [
            Curve(self.classes[code], side.outcomes == code, side.predictions[:, code])
            for code in by_frequency[:_MAX_DRAWN]
        ]
        return {
            "plots/confusion.png": plot_confusion(side, self.classes),
            "plots/calibration.png": plot_calibration(one_by_one),
        }

    def chart(self, sides: Sequence[Curve]) -> dict[str, Chart]:
        """For each class how often it came and was predicted, and how well it is told from all others."""
        classes, calibration = [], []
        for side in sides:
            most_probable = side.predictions.argmax(axis=1)
            for code, name in enumerate(self.classes):
                came_true, predicted = side.outcomes == code, side.predictions[:, code]
                is_mixed = 0 < came_true.sum() < came_true.size
                classes.append(
                    {
                        "side": side.short_name,
                        "class": name,
                        "share": came_true.mean(),
                        "mean_prediction": predicted.mean(dtype=np.float64),
                        "most_probable": (most_probable == code).mean(),
                        "auc": roc_auc_score(came_true, predicted) if is_mixed else None,
                    }
                )
                calibration.append(calibration_points(side.short_name, came_true, predicted).assign(**{"class": name}))
        return {
            "classes": Chart(pd.DataFrame(classes), "AUC of each class", "auc", "class", "bar_horizontal"),
            "calibration": Chart(pd.concat(calibration), "Calibration", "predicted", "observed", "scatter"),
        }


def _as_arrays(outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Floats]:
    actual, predicted = np.asarray(outcomes, dtype=np.int64), np.asarray(predictions, dtype=np.float64)
    if actual.size == 0:
        raise ValueError("there are no rows to evaluate")
    if actual.min() < 0 or actual.max() >= predicted.shape[1]:
        raise ValueError(f"there are outcomes that are no codes of classes, which are 0 to {predicted.shape[1] - 1}")
    return actual, predicted


def _losses(actual: npt.NDArray[np.int64], predicted: Floats) -> Floats:
    """Minus the logarithm of what was said of the class that came, for each row."""
    said = predicted[np.arange(actual.size), actual]
    return np.asarray(-np.log(np.maximum(said, _LEAST_PROBABILITY)))
