"""How good predictions are: metrics of probabilities against what came true."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

Floats = npt.NDArray[np.float64]
N_CALIBRATION_BINS = 10


def evaluate(outcomes: npt.ArrayLike, predictions: npt.ArrayLike, threshold: float) -> dict[str, float]:
    """
    Measure one set of predictions.

    Parameters
    ----------
    outcomes : array_like of int, shape (n_rows,)
        0 or 1.
    predictions : array_like of float, shape (n_rows,)
        Probabilities of 1.
    threshold : float
        Predictions at or above it mean yes.

    Returns
    -------
    dict of str to float
        ``auc`` is absent where only one outcome occurs, ``precision`` where nothing is
        predicted as yes, ``recall`` where nothing came true.

    Raises
    ------
    ValueError
        If there are no rows.
    """
    actual, predicted = np.asarray(outcomes, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if actual.size == 0:
        raise ValueError("there are no rows to evaluate")
    metrics = {
        "log_loss": float(log_loss(actual, predicted, labels=[0, 1])),
        "brier": float(np.mean((predicted - actual) ** 2)),
        "calibration_error": calibration_error(actual, predicted),
        "base_rate": float(actual.mean()),
        "mean_prediction": float(predicted.mean()),
    }
    said_yes, n_true = predicted >= threshold, actual.sum()
    n_hits = float(actual[said_yes].sum())
    if 0 < n_true < actual.size:
        metrics["auc"] = float(roc_auc_score(actual, predicted))
    if said_yes.any():
        metrics["precision"] = n_hits / float(said_yes.sum())
    if n_true:
        metrics["recall"] = n_hits / float(n_true)
    return metrics


def weighted_auc(
    outcomes: npt.ArrayLike, predictions: npt.ArrayLike, weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """
    Area under the ROC curve in many weightings of the same rows, of which the rows are sorted once.

    Parameters
    ----------
    outcomes, predictions : array_like, shape (n_rows,)
    weights : numpy.ndarray of float, shape (n_weightings, n_rows)
        At least 0; a row with the weight 2 counts as two rows.

    Returns
    -------
    numpy.ndarray of float, shape (n_weightings,)
        NaN where only one outcome has weight.
    """
    predicted = np.asarray(predictions, dtype=np.float64)
    order = np.argsort(predicted, kind="stable")
    is_yes = np.asarray(outcomes, dtype=bool)[order]
    # Of equal predictions, each pair of a yes and a no is half in order.
    starts = np.flatnonzero(np.r_[True, np.diff(predicted[order]) > 0])
    areas = np.empty(len(weights))
    for row, weighting in enumerate(weights):
        yes, no = (np.add.reduceat(weighting[order] * side, starts) for side in (is_yes, ~is_yes))
        no_below = np.cumsum(no) - no
        with np.errstate(invalid="ignore"):
            areas[row] = np.sum(yes * (no_below + no / 2)) / (yes.sum() * no.sum())
    return areas


def calibration_curve(outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """
    Compare predicted with observed frequency, or mean, in bins of about equal counts.

    Returns
    -------
    predicted, observed, counts : numpy.ndarray of float, shape (n_bins,)
        Mean prediction, share that came true or mean outcome, and rows of each bin; rows with
        equal predictions may be in two bins.
    """
    actual, predicted = np.asarray(outcomes, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    bins = [rows for rows in np.array_split(np.argsort(predicted, kind="stable"), N_CALIBRATION_BINS) if rows.size]
    return (
        np.array([predicted[rows].mean() for rows in bins]),
        np.array([actual[rows].mean() for rows in bins]),
        np.array([float(rows.size) for rows in bins]),
    )


def calibration_error(outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """Mean distance between predicted and observed frequency, or mean, over the bins, weighted by their rows."""
    predicted, observed, counts = calibration_curve(outcomes, predictions)
    return float(np.average(np.abs(predicted - observed), weights=counts))


def calibration_points(side: str, outcomes: npt.ArrayLike, predictions: npt.ArrayLike) -> pd.DataFrame:
    """The calibration curve as columns ``side``, ``predicted`` and ``observed``."""
    predicted, observed, _ = calibration_curve(outcomes, predictions)
    return pd.DataFrame({"side": side, "predicted": predicted, "observed": observed})
