"""How good predictions have turned out to be, by model version and week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from model.training.evaluation import calibration_error
from model.training.multiclass import MulticlassClassification

_ROUNDING = 1e-3  # of the sum of float32 probabilities, of a thousand classes too


@dataclass(frozen=True)
class LiveFigures:
    """
    Of the predictions of one model version in one week.

    Attributes
    ----------
    model, version : str
        Which registered model's, and which version.
    role : str
        ``answered``, or ``shadow`` where another version answered the same instances.
    week : str
        Its Monday, in UTC, of when the predictions were asked; empty for all weeks together.
    n_outcomes : int
    mean_outcome, mean_prediction : float or None
        For yes and no, how often it came true, and how often it was predicted to; None for several classes.
    figures : dict of str to float
        ``auc``, ``brier`` and ``calibration_error`` where all outcomes are 0 or 1 and all predictions between them,
        ``auc`` only where both occurred. Of several classes ``log_loss``, ``accuracy``, ``brier`` and
        ``calibration_error``, as training measures them. Else ``mae`` and ``rmse``.
    """

    model: str
    version: str
    role: str
    week: str
    n_outcomes: int
    mean_outcome: float | None
    mean_prediction: float | None
    figures: dict[str, float]


def measure(lines: Iterable[Mapping[str, Any]]) -> list[LiveFigures]:
    """
    Compare predictions with outcomes.

    Parameters
    ----------
    lines : iterable of mapping
        Of the dataset `treeserve.outcome`. Of those with several numbers as their prediction, the ones count that
        have a probability for each class, and one of the classes as their outcome.

    Returns
    -------
    list of LiveFigures
        By model, version and role, first of each all weeks together.
    """
    pairs: dict[tuple[str, str, str], dict[str, list[tuple[float, Any]]]] = {}
    for line in lines:
        week = _monday(line["@timestamp"])
        for version, role, prediction in predictions_of(line):
            if _is_comparable(line["treeserve.outcome"], prediction):
                of_version = pairs.setdefault((line["treeserve.model.name"], version, role), {"": []})
                pair = (line["treeserve.outcome"], prediction)
                of_version[""].append(pair)
                of_version.setdefault(week, []).append(pair)
    return [
        _measure(whose, week, *(np.array(values, dtype=float) for values in zip(*of_week, strict=True)))
        for whose, weeks in sorted(pairs.items())
        for week, of_week in sorted(weeks.items())
    ]


def predictions_of(line: Mapping[str, Any]) -> Iterable[tuple[str, str, Any]]:
    """Each prediction for a line's instance: whose version, in which role, and what it is."""
    yield line["treeserve.model.version"], "answered", line["treeserve.prediction"]
    for other in ("challenger", "champion"):
        if (prediction := line.get(f"treeserve.{other}.prediction")) is not None:
            yield line[f"treeserve.{other}.version"], "shadow", prediction


def _is_comparable(outcome: float, prediction: Any) -> bool:
    if not isinstance(prediction, list):
        return True
    is_probability = min(prediction) >= 0 and abs(sum(prediction) - 1) < _ROUNDING
    return is_probability and outcome in range(len(prediction))


def _monday(timestamp: str) -> str:
    day: date = datetime.fromisoformat(timestamp).astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def _measure(
    whose: tuple[str, str, str], week: str, outcomes: np.ndarray[Any, Any], predictions: np.ndarray[Any, Any]
) -> LiveFigures:
    if predictions.ndim > 1:
        classes = [str(code) for code in range(predictions.shape[1])]  # a log has no names of them
        return LiveFigures(
            *whose, week, len(outcomes), None, None, MulticlassClassification(classes).evaluate(outcomes, predictions)
        )
    errors = predictions - outcomes
    if np.isin(outcomes, (0, 1)).all() and ((predictions >= 0) & (predictions <= 1)).all():
        figures = {"brier": np.mean(errors**2), "calibration_error": calibration_error(outcomes, predictions)}
        if 0 < outcomes.mean() < 1:
            figures["auc"] = roc_auc_score(outcomes, predictions)
    else:
        figures = {"mae": np.mean(np.abs(errors)), "rmse": np.sqrt(np.mean(errors**2))}
    rounded = {name: float(value) for name, value in figures.items()}
    return LiveFigures(*whose, week, len(outcomes), float(outcomes.mean()), float(predictions.mean()), rounded)
