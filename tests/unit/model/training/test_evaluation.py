"""Metrics of predictions whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from model.training.binary import BinaryClassification
from model.training.evaluation import calibration_curve, calibration_error, evaluate, weighted_auc
from model.training.task import evaluate_months

OUTCOMES = [0, 0, 1, 1]
PREDICTIONS = [0.1, 0.4, 0.35, 0.8]


def test_the_metrics_of_four_rows() -> None:
    """Each metric, by hand."""
    metrics = evaluate(OUTCOMES, PREDICTIONS, threshold=0.4)
    assert metrics == pytest.approx(
        {
            "auc": 3 / 4,  # of the four pairs of a yes with a no, 0.35 against 0.4 is in the wrong order
            "log_loss": -(math.log(0.9) + math.log(0.6) + math.log(0.35) + math.log(0.8)) / 4,
            "brier": (0.01 + 0.16 + 0.4225 + 0.04) / 4,
            "calibration_error": (0.1 + 0.4 + 0.65 + 0.2) / 4,  # every row is a bin of its own
            "base_rate": 0.5,
            "mean_prediction": 0.4125,
            "precision": 0.5,  # 0.4 is at the threshold, and means yes
            "recall": 0.5,
        }
    )


def test_a_metric_that_has_no_meaning_is_absent() -> None:
    """No order of one outcome, no precision of no alarm, no recall of nothing: never NaN, never a made-up 0."""
    metrics = evaluate([0, 0], [0.1, 0.2], threshold=0.5)
    assert not {"auc", "precision", "recall"} & set(metrics)
    assert all(math.isfinite(value) for value in metrics.values())


def test_no_rows_are_an_error() -> None:
    """A mean over nothing is not a metric."""
    with pytest.raises(ValueError, match="no rows"):
        evaluate([], [], threshold=0.5)


def test_calibrated_predictions_have_no_calibration_error() -> None:
    """Of ten bins that promise 0.05, 0.15, … as much comes true as they promise."""
    promised = np.repeat(np.arange(0.05, 1, 0.1), 100)
    came_true = np.concatenate([np.arange(100) < round(100 * p) for p in np.arange(0.05, 1, 0.1)])
    assert calibration_error(came_true, promised) == pytest.approx(0, abs=1e-12)
    assert calibration_error(came_true, np.clip(promised + 0.04, 0, 1)) == pytest.approx(0.04)


def test_calibration_bins_have_about_equal_counts() -> None:
    """A tenth of the rows each, from the lowest prediction to the highest."""
    predicted, observed, counts = calibration_curve([0] * 50 + [1] * 55, np.linspace(0, 1, 105))
    assert set(counts) <= {10, 11}
    assert counts.sum() == 105
    assert (np.diff(predicted) > 0).all()
    assert observed[0] == 0
    assert observed[-1] == 1


def test_every_month_is_measured_by_itself() -> None:
    """A good mean does not hide a bad month."""
    moments = pd.Series(pd.to_datetime(["2013-09-30", "2013-09-01", "2013-12-01", "2013-12-31"]).tz_localize("UTC"))
    metrics = evaluate_months(BinaryClassification(), [0, 1, 0, 1], [0.2, 0.8, 0.8, 0.2], moments)
    assert metrics["month_09_auc"] == 1
    assert metrics["month_12_auc"] == 0
    assert metrics["month_12_brier"] == pytest.approx(0.64)
    assert {name[:9] for name in metrics} == {"month_09_", "month_12_"}


def test_the_auc_of_many_weightings_is_scikit_learns() -> None:
    """With equal predictions among them, and rows that have no weight; of one outcome there is none."""
    rng = np.random.default_rng(7)
    outcomes, predictions = rng.integers(0, 2, 500), rng.integers(0, 40, 500) / 40
    weights = rng.poisson(1, (5, 500)).astype(float)
    expected = [roc_auc_score(outcomes, predictions, sample_weight=weighting) for weighting in weights]
    assert weighted_auc(outcomes, predictions, weights) == pytest.approx(expected)
    assert np.isnan(weighted_auc(outcomes, predictions, (outcomes == 1).astype(float)[None])).all()
